#!/usr/bin/env bash
# Compares tidegate with whatever of igzip, rapidgzip, gzip, pigz, lbzip2, openssl and qemu-img is installed, on the
# images that make-disk.sh and peers/images.sh make, on two cores, in one sitting. Prints tables in Markdown.
#
#   benches/peers.sh [OUT_DIR [RUNS]]             all of it
#   benches/peers.sh --write [OUT_DIR [RUNS]]     and puts the tables between the marks in benches/README.md
#   benches/peers.sh OUT_DIR RUNS IMAGE...        the rows for these images, whichever they are
#
# OUT_DIR holds the images (default: under the target directory; about 7 GB), RUNS is the number of pairs (default 5).
# In the environment:
#
#   TIDEGATE=PATH  the program to measure; else it is built
#   OTHER_RUNS=N   pairs beside gzip, pigz and bzip2, which take longest (default 3, at most RUNS); 0 leaves them out
#   DENSE_MIB=N    size of the images of peers/images.sh (default 256)
#
# A benchmark is no test: it says MISS where a target is missed, and exits with 0.
set -euo pipefail
export LC_ALL=C
# Whoever has a cache of receipts would measure that.
unset TIDEGATE_CACHE TIDEGATE_THREADS TIDEGATE_RECEIPT_KEY

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if (($(nproc) > 2)) && type -P taskset >/dev/null; then
    exec taskset -c 0,1 "$here/peers.sh" "$@"
fi
write=
if [[ ${1:-} == --write ]]; then
    write=yes
    shift
fi
if [[ ${1:-} == -* || -n $write && $# -gt 2 ]]; then
    sed -n '2,/^set/ { /^set/d; s/^# \{0,1\}//p }' "$here/peers.sh" >&2
    exit 2
fi
target_dir=${CARGO_TARGET_DIR:-$here/../target}
dir=${1:-$target_dir/peers}
runs=${2:-5}
shift $(($# < 2 ? $# : 2))
images=()
for image in "$@"; do
    images+=("$(realpath -e "$image")")
done
other_runs=${OTHER_RUNS:-$((runs < 3 ? runs : 3))}

if [[ -z ${TIDEGATE:-} ]]; then
    cargo build --release --quiet --manifest-path "$here/../Cargo.toml"
    TIDEGATE=$target_dir/release/tidegate
fi
tidegate=$(realpath "$TIDEGATE")
mkdir -p "$dir"
if ((${#images[@]} == 0)); then
    "$here/make-disk.sh" "$dir"
    "$here/peers/images.sh" "$dir"
fi
cd "$dir"
# Temporary files are on the disk that the peers write to.
TMPDIR=$PWD
export TMPDIR

# A shim of pyenv takes a quarter of a second before it starts the program that it stands for.
rapidgzip=$(type -P rapidgzip || true)
if [[ $rapidgzip == */shims/* ]]; then
    rapidgzip=$(pyenv which rapidgzip 2>/dev/null || echo "$rapidgzip")
fi

# shellcheck source=benches/peers/mbr.sh
source "$here/peers/mbr.sh"
# shellcheck source=benches/peers/measure.sh
source "$here/peers/measure.sh"
# shellcheck source=benches/peers/rows.sh
source "$here/peers/rows.sh"
# shellcheck source=benches/peers/scaling.sh
source "$here/peers/scaling.sh"

load() {
    cut -d ' ' -f 1-3 /proc/loadavg 2>/dev/null || echo unknown
}

# One line for the machine, one for the programs.
machine() {
    local model tool versions=()
    model=$(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo 2>/dev/null | head -n 1) || true
    # shellcheck disable=SC2016 # the backticks are Markdown
    printf '%s, %s cores, load %s, %s; pairs a row: %s (beside `gzip`, `pigz` and `bzip2`: %s).\n' "${model:-$(uname -m)}" "$(nproc)" \
        "$(load)" "$(date -u +%Y-%m-%d)" "$runs" "$other_runs"
    versions+=("$("$tidegate" --version)")
    for tool in igzip rapidgzip gzip pigz lbzip2 openssl qemu-img; do
        have $tool || continue
        case $tool in
        openssl) versions+=("$(openssl version | cut -d ' ' -f 1-2)") ;;
        qemu-img) versions+=("$(qemu-img --version | sed -n '1s/ (.*//p')") ;;
        *) versions+=("$tool $($tool --version 2>&1 | grep -Eo '[0-9]+(\.[0-9]+)+' | head -n 1)") ;;
        esac
    done
    local IFS=,
    printf '%s.\n' "${versions[*]}" | sed 's/,/, /g'
}

tables() {
    local image
    machine
    table_of_ratios
    if ((${#images[@]} > 0)); then
        for image in "${images[@]}"; do
            rows_of "$image"
        done
    else
        for image in disk.raw.bz2 dense.raw.bz2 thin.raw.bz2 disk.raw.gz dense.raw.gz disk.qcow2.gz disk.c.qcow2 \
            disk.raw disk.qcow2 disk.vmdk disk.vdi disk.vhdx; do
            rows_of $image
        done
        rows_of_many
        other_rows
        quick_table
        memory_table
        instructions_table
        scaling_table
    fi
    printf '\nLoad at the end: %s.\n' "$(load)"
    if ((${#left_out[@]} > 0)); then
        printf '\nLeft out:\n\n'
        printf -- '- %s\n' "${left_out[@]}"
    fi
}

tables | tee "$scratch/tables"
if [[ -n $write ]]; then
    readme=$here/README.md
    awk -v tables="$scratch/tables" '
        /^<!-- peers: begin -->$/ {
            print; print ""
            while ((getline line < tables) > 0) print line
            print ""
            inside = 1
        }
        /^<!-- peers: end -->$/ && inside { inside = 0; found = 1 }
        !inside
        END { exit !found }' "$readme" >"$scratch/readme" ||
        { say "$readme has no marks <!-- peers: begin --> and <!-- peers: end -->"; exit 1; }
    cat "$scratch/readme" >"$readme"
    say "written to $readme"
fi
