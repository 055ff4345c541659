# shellcheck shell=bash disable=SC2016,SC2154
# What is compared, for peers.sh to source: the rows for an image, and those for the images of peers.sh together.
#
# Functions that are measured read $file.

check() { "$tidegate" check -q "$file"; }
check_image() { "$tidegate" check -q --digest image "$file"; }
check_disk() { "$tidegate" check -q --digest disk "$file"; }
digest() { openssl dgst -sha256 "$1"; }
digest_file() { digest "$file"; }
qemu_and_digest() { qemu-img check "$file" && digest "$file"; }
unpack_igzip() { igzip -dc "$file"; }
unpack_rapidgzip() { "$rapidgzip" -P 2 -dc "$file"; }
unpack_gzip() { gzip -dc "$file"; }
unpack_pigz() { pigz -dc "$file"; }
unpack_lbzip2() { lbzip2 -n2 -dc "$file"; }
unpack_bzip2() { bzip2 -dc "$file"; }
digest_peer() { igzip -dc "$file" | openssl dgst -sha256; }
digest_gzip() { gzip -dc "$file" | sha256sum; }
convert_and_digest() { qemu-img convert -O raw "$file" making.converted && digest making.converted; }
many_at_once() { "$tidegate" check -q --jobs 2 "${many[@]}"; }
many_in_turn() { "$tidegate" check -q --jobs 1 "${many[@]}"; }

# facts: what a check says of $file, into $compression, $format and $image_size. Fails if it is refused: a refused image
# would be read in part only, and measure nothing.
facts() {
    local report=$scratch/report
    "$tidegate" check --format json "$file" >"$report" 2>"$errors" || return 1
    compression=$(sed -n 's/^ *"compression": "\(.*\)".*/\1/p' "$report" | head -n 1)
    format=$(sed -n 's/^ *"disk_format": "\(.*\)".*/\1/p' "$report" | head -n 1)
    image_size=$(sed -n 's/^ *"image_size": \([0-9]*\).*/\1/p' "$report" | head -n 1)
}

# rows_of FILE: the rows for an image.
rows_of() {
    file=$1
    local name compression format image_size expansion
    name=$(basename "$file")
    if ! facts; then
        skip "$name" 'the check refuses it'
        return
    fi
    expansion=$((image_size / $(stat -c %s "$file")))
    case $compression in
    gzip) rows_of_gzip ;;
    bzip2)
        # At most one byte of a hundred is left: that is how much data there is.
        needing lbzip2 -- compare "\`check $name\`" '`lbzip2 -n2 -dc`' "$( ((expansion < 100)) && echo 0.8 || echo 0.2)" \
            check unpack_lbzip2
        ;;
    none)
        if [[ $format == raw ]]; then
            needing openssl -- compare "\`check $name\`" '`openssl dgst -sha256`' - check digest_file
        else
            needing qemu-img openssl -- compare "\`check $name\`" '`qemu-img check` and `openssl dgst -sha256`' - \
                check qemu_and_digest
        fi
        if [[ $format == qcow2 ]] && have qemu-img &&
            qemu-img check --output=json "$file" 2>/dev/null | grep -q '"compressed-clusters": [1-9]'; then
            needing openssl -- compare "\`check --digest disk $name\`" \
                '`qemu-img convert -O raw` and `openssl dgst -sha256` of that' 0.5 check_disk convert_and_digest
        fi
        ;;
    *) skip "$name" "no row for $compression" ;;
    esac
}

# The rows for $file, a gzip. One that is five times as large decompressed is a sparse disk; others are dense.
rows_of_gzip() {
    local sparse=$((expansion >= 5)) plain=${file%.gz}
    needing igzip -- compare "\`check $name\`" '`igzip -dc`' "$( ((sparse)) && echo 0.7 || echo 0.85)" check unpack_igzip
    needing rapidgzip -- compare "\`check $name\`" '`rapidgzip -P 2 -dc`' 1.0 check unpack_rapidgzip
    if [[ $file == */* || ! -e $plain ]]; then
        plain=making.plain
        gzip -dc "$file" >$plain
    fi
    needing igzip openssl -- compare_digests "\`check --digest image $name\`" '`igzip -dc | openssl dgst -sha256`' \
        "$( ((sparse)) && echo 0.5 || echo 0.6)" "$plain" 1.12
    rm -f making.plain
    if [[ $format != raw ]]; then
        compare "\`check --digest disk $name\`" '`check`' 2.2 check_disk check
        temporary_file
    fi
}

# A row on the temporary file that `check --digest disk` has open, if it has one.
temporary_file() {
    local folder=$PWD/making.temporary most=0 pid descriptor target size
    mkdir -p "$folder"
    TMPDIR=$folder "$tidegate" check -q --digest disk "$file" >/dev/null 2>&1 &
    pid=$!
    while kill -0 $pid 2>/dev/null; do
        for descriptor in "/proc/$pid/fd"/*; do
            target=$(readlink "$descriptor" 2>/dev/null) || continue
            if [[ $target == "$folder"/* ]]; then
                size=$(stat -L -c %b "$descriptor" 2>/dev/null) || continue
                most=$((size > most ? size : most))
            fi
        done
        sleep 0.02
    done
    wait $pid || true
    rmdir "$folder" 2>/dev/null || true
    printf '| `check --digest disk %s`, its temporary file | %s | | | | none | %s |\n' "$name" \
        "$( ((most > 0)) && echo "$((most / 2048)) MiB" || echo none)" "$( ((most > 0)) && echo MISS || echo ok)"
}

# Eight images in one call.
rows_of_many() {
    local many=(many{1..8}.raw)
    compare '`check --jobs 2 many*.raw`' '`check --jobs 1`' 0.6 many_at_once many_in_turn
    many=(many{1..8}.raw.gz)
    compare_processor '`check --jobs 2 many*.raw.gz`' 1.1 many_at_once many_in_turn
}

# Rows without a target: programs that nobody would pick who is in a hurry.
other_rows() {
    ((other_runs > 0)) || return 0
    local runs=$other_runs
    file=disk.raw.gz
    needing gzip -- compare '`check disk.raw.gz`' '`gzip -dc`' - check unpack_gzip
    needing pigz -- compare '`check disk.raw.gz`' '`pigz -dc`' - check unpack_pigz
    needing gzip sha256sum -- compare '`check disk.raw.gz`' '`gzip -dc | sha256sum`' - check digest_gzip
    file=dense.raw.bz2
    needing bzip2 -- compare '`check dense.raw.bz2`' '`bzip2 -dc`' - check unpack_bzip2
}

# quick FILE: milliseconds of a quick check.
quick() {
    local times=() run
    timed "$tidegate" check --quick -q "$1" || return 0
    for ((run = 0; run < runs; run++)); do
        timed "$tidegate" check --quick -q "$1" || return 0
        times+=("$took")
    done
    printf '%s\n' "${times[@]}" | sort -n | awk -v what="$1" -v target=50 "$awk_median"'
        { time[NR] = $1 / 1000 }
        END {
            middle = median(time, NR)
            printf "| `check --quick %s` | %.1f (%.1f–%.1f) | < %d | %s |\n", what, middle, time[1], time[NR], target,
                middle < target ? "ok" : "MISS"
        }'
}

quick_table() {
    local image
    printf '\n| tables and headers only | ms | target | |\n| --- | --: | --: | --- |\n'
    for image in sparse99.{raw,qcow2,vmdk,vdi,vhdx} disk.{raw,qcow2,vmdk,vdi,vhdx} disk.c.qcow2; do
        quick "$image"
    done
}

# memory OPTION... FILE: the most that was resident.
memory() {
    local peak
    if ! "$gnu_time" -f %M -o "$clock" "$tidegate" check -q "$@" >/dev/null 2>"$errors"; then
        skip "memory of check $*" 'it failed'
        return
    fi
    peak=$(tail -n 1 "$clock")
    printf '| `check %s` | %s | ≤ 64 | %s |\n' "$*" "$(awk -v kib="$peak" 'BEGIN { printf "%.1f", kib / 1024 }')" \
        "$( ((peak <= 65536)) && echo ok || echo MISS)"
}

memory_table() {
    local gnu_time image
    gnu_time=$(type -P time || true)
    if [[ -z $gnu_time ]] || ! "$gnu_time" -f %M true 2>/dev/null; then
        skip 'peak resident memory' 'GNU time is not installed'
        return
    fi
    printf '\n| peak resident memory | MiB | target | |\n| --- | --: | --: | --- |\n'
    for image in disk.raw.gz disk.raw.bz2 disk.raw disk.c.qcow2 zeros90.raw.gz thin.raw.bz2; do
        memory $image
    done
    memory --digest image disk.raw.gz
    memory --digest disk disk.qcow2.gz
}
