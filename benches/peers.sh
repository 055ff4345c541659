#!/usr/bin/env bash
# Compares tidegate with whatever of gzip, pigz, igzip, rapidgzip, bzip2, lbzip2, openssl and
# qemu-img is installed, on the disk that make-disk.sh makes.
#
#   benches/peers.sh [OUT_DIR] [RUNS]
#
# OUT_DIR holds the disk (default: under the target directory), RUNS is the number of pairs in rows
# that have a target (default 5). In the environment:
#
#   TIDEGATE=PATH  the program to measure; else it is built
#   OTHER_RUNS=N   pairs in rows without a target (default 3, at most RUNS); 0 leaves them out
#
# A benchmark is no test: it says MISS where a target is missed, and exits with 0.
set -euo pipefail
export LC_ALL=C

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
target_dir=${CARGO_TARGET_DIR:-$here/../target}
dir=${1:-$target_dir/peers}
runs=${2:-5}
other_runs=${OTHER_RUNS:-$((runs < 3 ? runs : 3))}

if [[ -z ${TIDEGATE:-} ]]; then
    cargo build --release --quiet --manifest-path "$here/../Cargo.toml"
    TIDEGATE=$target_dir/release/tidegate
fi
tidegate=$(realpath "$TIDEGATE")
"$here/make-disk.sh" "$dir"
cd "$dir"

have() {
    local tool
    for tool in "$@"; do
        type -P "$tool" >/dev/null || return 1
    done
}

# ---- The machine -------------------------------------------------------------------------------

load() {
    cut -d ' ' -f 1-3 /proc/loadavg 2>/dev/null || echo unknown
}

machine() {
    local model tool
    model=$(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo 2>/dev/null | head -n 1) || true
    printf '%s, %s cores, load %s, %s\n' "${model:-$(uname -m)}" "$(nproc)" \
        "$(load)" "$(date -u +%Y-%m-%d)"
    "$tidegate" --version
    for tool in gzip pigz igzip rapidgzip bzip2 lbzip2 openssl qemu-img; do
        if ! have $tool; then
            echo "$tool: not installed"
            continue
        fi
        case $tool in
        openssl) openssl version ;;
        # bzip2 says its version only while it compresses.
        bzip2) bzip2 --version </dev/null 2>&1 >/dev/null | grep -ao 'Version [^,]*' |
            sed 's/^/bzip2 /' ;;
        *) $tool --version 2>&1 | head -n 1 ;;
        esac || echo "$tool: version unknown"
    done
}

# ---- Measuring ---------------------------------------------------------------------------------

# timed COMMAND...: microseconds into $took. Whoever fails has measured nothing.
timed() {
    local start=${EPOCHREALTIME/./}
    if "$@" >/dev/null 2>"$errors"; then
        took=$((${EPOCHREALTIME/./} - start))
        return
    fi
    echo "failed: $*" >&2
    cat "$errors" >&2
    return 1
}
errors=$(mktemp)
said=$(mktemp)
trap 'rm -f "$errors" "$said"' EXIT

# The pairs on standard input (microseconds of tidegate and of the peer) as a row of the table. The
# machine changes its mood within minutes: so the ratio is taken within each pair, and the median is
# that of the ratios.
row() {
    awk -v what="$1" -v peer="$2" -v target="$3" '
        function sort(list, n,    i, j, x) {
            for (i = 2; i <= n; i++) {
                x = list[i]
                for (j = i - 1; j > 0 && list[j] > x; j--) list[j + 1] = list[j]
                list[j + 1] = x
            }
        }
        function median(list, n) {
            return n % 2 ? list[(n + 1) / 2] : (list[n / 2] + list[n / 2 + 1]) / 2
        }
        { ours[NR] = $1 / 1e6; theirs[NR] = $2 / 1e6; ratio[NR] = $1 / $2 }
        END {
            sort(ours, NR); sort(theirs, NR); sort(ratio, NR)
            verdict = target == "-" ? "" : median(ratio, NR) <= target + 0 ? "ok" : "MISS"
            printf "%-32s %8.3f  %-34s %8.3f  %6.3f (%.3f-%.3f)  %6s  %s\n", what,
                median(ours, NR), peer, median(theirs, NR), median(ratio, NR), ratio[1],
                ratio[NR], target, verdict
        }'
}

# compare WHAT PEER TARGET TIDEGATE_FUNCTION PEER_FUNCTION
compare() {
    local what=$1 peer=$2 target=$3 ours=$4 theirs=$5
    local count=$runs pairs='' pair mine
    if [[ $target == - ]]; then
        count=$other_runs
    fi
    if ((count == 0)); then
        return
    fi
    # Warm-up. Rows without a target take minutes and come after others of the same file.
    if [[ $target != - ]]; then
        timed "$ours" && timed "$theirs" || return 0
    fi
    for ((pair = 0; pair < count; pair++)); do
        timed "$ours" || return 0
        mine=$took
        timed "$theirs" || return 0
        pairs+="$mine $took"$'\n'
    done
    printf '%s' "$pairs" | row "$what" "$peer" "$target"
}

# quick FILE: milliseconds of a quick check.
quick() {
    local times=() run target=50
    timed "$tidegate" check --quick -q "$1" || return 0
    for ((run = 0; run < runs; run++)); do
        timed "$tidegate" check --quick -q "$1" || return 0
        times+=("$took")
    done
    printf '%s\n' "${times[@]}" | sort -n | awk -v what="check --quick $1" -v target=$target '
        { time[NR] = $1 / 1000 }
        END {
            middle = time[int((NR + 1) / 2)]
            printf "%-32s %8.1f  (%.1f-%.1f)  %6s  %s\n", what, middle, time[1], time[NR],
                "< " target, middle < target ? "ok" : "MISS"
        }'
}

# memory OPTION... FILE: the most that was resident, in kB.
memory() {
    local target=65536 peak
    if ! "$gnu_time" -f %M -o "$errors" "$tidegate" check -q "$@" >"$said" 2>&1; then
        echo "failed: check -q $*" >&2
        cat "$said" >&2
        return 0
    fi
    peak=$(tail -n 1 "$errors")
    printf '%-44s %8s  %8s  %s\n' "check $*" "$peak" $target \
        "$( ((peak <= target)) && echo ok || echo MISS)"
}

# ---- What is compared --------------------------------------------------------------------------

check() { "$tidegate" check -q "$file"; }
check_digest() { "$tidegate" check -q --digest image "$file"; }
# openssl's SHA-256 uses the same instructions of the CPU as ours; sha256sum's often does not.
digest_file() { openssl dgst -sha256 "$file"; }
qemu_and_digest() { qemu-img check "$file" && digest_file; }
unpack_igzip() { igzip -dc "$file"; }
unpack_gzip() { gzip -dc "$file"; }
unpack_pigz() { pigz -dc "$file"; }
unpack_rapidgzip() { rapidgzip -dc "$file"; }
unpack_bzip2() { bzip2 -dc "$file"; }
unpack_lbzip2() { lbzip2 -dc "$file"; }
digest_igzip() { igzip -dc "$file" | openssl dgst -sha256; }
digest_gzip() { gzip -dc "$file" | sha256sum; }

# Shows what the images are found to be: a refused one would be read in part only, and measure
# nothing.
verdicts() {
    local image
    for image in disk.raw.gz disk.raw disk.qcow2 disk.vmdk disk.vdi disk.vhdx disk.c.qcow2 \
        sparse99.raw; do
        "$tidegate" check -q --quick "$image" 2>&1 || true
    done
}

machine
echo
verdicts
echo
printf '%-32s %8s  %-34s %8s  %-21s  %6s\n' 'seconds' tidegate peer peer 'ratio (min-max)' target

file=disk.raw.gz
what='check disk.raw.gz'
if have igzip; then compare "$what" 'igzip -dc' 1.5 check unpack_igzip; fi
if have gzip; then compare "$what" 'gzip -dc | sha256sum' 0.25 check digest_gzip; fi
if have igzip openssl; then
    compare 'check --digest image disk.raw.gz' 'igzip -dc | openssl dgst -sha256' 0.9 \
        check_digest digest_igzip
fi
for tool in gzip pigz rapidgzip; do
    if have $tool; then compare "$what" "$tool -dc" - check unpack_$tool; fi
done

file=disk.raw
if have openssl; then compare 'check disk.raw' 'openssl dgst -sha256' - check digest_file; fi
for file in disk.qcow2 disk.c.qcow2 disk.vmdk disk.vdi disk.vhdx; do
    if have qemu-img openssl; then
        compare "check $file" 'qemu-img check + openssl dgst' - check qemu_and_digest
    fi
done

file=disk.raw.bz2
for tool in lbzip2 bzip2; do
    if have $tool; then compare 'check disk.raw.bz2' "$tool -dc" - check unpack_$tool; fi
done

echo
printf '%-32s %8s  (min-max)  %6s\n' 'milliseconds' tidegate target
for image in sparse99.{raw,qcow2,vmdk,vdi,vhdx} disk.{raw,qcow2,vmdk,vdi,vhdx} disk.c.qcow2; do
    quick "$image"
done

echo
# Whoever else was busy has widened the ranges above.
echo "load at the end: $(load)"
echo
gnu_time=$(type -P time || true)
if [[ -z $gnu_time ]] || ! "$gnu_time" -f %M true 2>/dev/null; then
    echo 'peak resident memory: not measured, GNU time is not installed'
    exit 0
fi
printf '%-44s %8s  %8s\n' 'peak resident memory, kB' tidegate target
for image in disk.raw.gz disk.raw.bz2 disk.raw; do
    memory "$image"
done
memory --digest image disk.raw.gz
memory zeros90.raw.gz
