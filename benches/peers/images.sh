#!/usr/bin/env bash
# Makes the further images that peers.sh measures with, beside those of make-disk.sh. What exists already is left alone.
#
#   benches/peers/images.sh OUT_DIR
#
# Needs about 3 GB, what make-disk.sh has made in OUT_DIR, tar, gzip and bzip2. In the environment:
#
#   DENSE_MIB=N   size of the dense disk (default 256); the others grow with it. Smaller ones are for trying the scripts
set -euo pipefail
export LC_ALL=C

if [[ $# -ne 1 ]]; then
    echo "usage: $0 OUT_DIR" >&2
    exit 2
fi
# shellcheck source=benches/peers/mbr.sh
source "$(dirname "${BASH_SOURCE[0]}")/mbr.sh"
cd "$1"

mib=$((1 << 20))
dense=$((${DENSE_MIB:-256} * mib))
# Everything is made under this name first, so that an interrupted run leaves nothing half done.
part=making.part
trap 'rm -f making.part making.part.bz2' EXIT

# make NAME COMMAND...: the command writes to standard output.
make() {
    local name=$1
    shift
    if [[ ! -e $name ]]; then
        printf '%s\n' "$name" >&2
        "$@" >$part
        mv $part "$name"
    fi
}

# piece FILE FROM BYTES: a piece of a file.
piece() {
    dd if="$1" bs=1M iflag=skip_bytes,count_bytes skip="$2" count="$3" status=none
}

# tree DIR...: a tar archive of what is in the directories. Whoever takes only its beginning ends it.
tree() {
    tar -C / --sort=name -cf - "${@#/}" 2>/dev/null || true
}

# Real binaries and libraries, in the ratio of 3 to 5: a disk that is full of them.
dense_data() {
    local data=$((dense - mib))
    tree /usr/bin | head -c $((data * 3 / 8))
    tree /usr/lib/*-linux-gnu | head -c $((data * 5 / 8))
}
if [[ ! -e dense.raw ]]; then
    echo dense.raw >&2
    put_mbr $part $dense
    dense_data | put_data $part
    mv $part dense.raw
fi
# The output of lbzip2 is like that of bzip2, in less time.
bzip2=$(type -P lbzip2 || type -P bzip2)
make dense.raw.gz gzip -6 -n -c dense.raw
make dense.raw.bz2 "$bzip2" -9 -c dense.raw
make disk.qcow2.gz gzip -6 -n -c disk.qcow2

# A disk sixteen times as large with less than a hundredth of data.
if [[ ! -e thin.raw.bz2 ]]; then
    echo thin.raw.bz2 >&2
    put_mbr $part $((dense * 16))
    piece dense.raw $((dense / 2)) $((dense * 15 / 100)) | put_data $part
    "$bzip2" -9 -c $part >$part.bz2
    mv $part.bz2 thin.raw.bz2
    rm $part
fi

# Eight disks of 250 MB with 190 MB of data each, which begins at another place in each.
size=$((dense * 1000 / 1074 / 512 * 512))
for number in {1..8}; do
    if [[ ! -e many$number.raw ]]; then
        echo "many$number.raw" >&2
        put_mbr $part $size
        from=$((mib + number * dense / 16)) length=$((size * 76 / 100))
        first=$((dense - from < length ? dense - from : length))
        { piece dense.raw $from $first && piece dense.raw $mib $((length - first)); } | put_data $part
        mv $part "many$number.raw"
    fi
    make "many$number.raw.gz" gzip -1 -n -c "many$number.raw"
done
