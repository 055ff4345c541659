#!/usr/bin/env bash
# Makes the images that peers.sh measures with. What exists already is left alone.
#
#   benches/make-disk.sh OUT_DIR
#
# Needs about 4 GB and sgdisk, mke2fs, tar, gzip, bzip2 and qemu-img.
set -euo pipefail
export LC_ALL=C

if [[ $# -ne 1 ]]; then
    echo "usage: $0 OUT_DIR" >&2
    exit 2
fi
for tool in sgdisk mke2fs tar gzip bzip2 qemu-img; do
    if ! type -P "$tool" >/dev/null; then
        echo "$0: $tool is missing (Debian: gdisk, e2fsprogs, tar, gzip, bzip2, qemu-utils)" >&2
        exit 1
    fi
done
mkdir -p "$1"
cd "$1"

# Everything is made under this name first, so that an interrupted run leaves nothing half done.
part=making.part
trap 'rm -rf making.part making.tree making.list' EXIT

mib=$((1 << 20))
# Sectors of the Linux partition: the last is the last usable one of a 2 GiB disk.
first=4096
last=4194270

say() {
    printf '%s\n' "$*" >&2
}

# put_gpt FILE BYTES: a sparse file with an empty BIOS boot and a Linux partition.
put_gpt() {
    rm -f "$1"
    truncate -s "$2" "$1"
    sgdisk -n 1:2048:+1M -t 1:ef02 -n 2:$first:0 -t 2:8300 "$1" >/dev/null
}

# take MIB TREE DIR...: copies files from the directories, in the order of their names, up to so
# many MiB. Very large ones are left out, or one of them would be all there is.
take() {
    local most=$(($1 * mib)) tree=$2 dir
    shift 2
    for dir in "$@"; do
        if [[ -d $dir ]]; then
            find "$dir" -xdev -type f -readable -size -32768k -printf '%s\t%p\n'
        fi
    done | sort -t $'\t' -k 2 | awk -F '\t' -v most="$most" \
        '{ sum += $1; if (sum <= most) print substr($2, 2) }' >making.list
    # A file that goes away meanwhile is no loss.
    tar -C / -cf - -T making.list 2>/dev/null | tar -xf - -C "$tree" || true
}

# A disk as users have them: mostly binaries and libraries, some text, three quarters empty.
if [[ ! -e disk.raw ]]; then
    say 'disk.raw'
    mkdir -p making.tree
    take 180 making.tree /usr/bin /usr/sbin
    take 220 making.tree /usr/lib/*-linux-gnu /usr/lib64 /usr/libexec
    take 80 making.tree /usr/lib/python3* /usr/share/perl /usr/share/perl5 /usr/include
    take 40 making.tree /usr/share/doc /usr/share/locale
    # Where one of them is small, any other file makes up for it.
    missing=$((520 - $(du -sm --apparent-size making.tree | cut -f 1)))
    if ((missing > 0)); then
        take "$missing" making.tree /usr/share /usr/lib/[a-o]*
    fi
    put_gpt $part 2G
    # mke2fs -d wants the size of the file system: without it, it would take the file's and go past
    # the partition, over the backup GPT.
    kib=$(((last - first + 1) / 2))
    mke2fs -q -F -t ext4 -L root -d making.tree -E "offset=$((first * 512))" $part "${kib}k"
    if [[ $(stat -c %s $part) -ne $((2048 * mib)) ]]; then
        say 'disk.raw: mke2fs has changed the size of the file'
        exit 1
    fi
    if ! sgdisk -v $part | grep -q '^No problems found'; then
        say 'disk.raw: the partition table is damaged'
        sgdisk -v $part >&2
        exit 1
    fi
    rm -rf making.tree
    mv $part disk.raw
fi

# make NAME COMMAND...: the command writes to standard output.
make() {
    local name=$1
    shift
    if [[ ! -e $name ]]; then
        say "$name"
        "$@" >$part
        mv $part "$name"
    fi
}

# convert FROM TO FORMAT OPTION...
convert() {
    local from=$1 to=$2 format=$3
    shift 3
    if [[ ! -e $to ]]; then
        say "$to"
        qemu-img convert -f raw -O "$format" "$@" "$from" $part
        mv $part "$to"
    fi
}

make disk.raw.gz gzip -6 -n -c disk.raw
# The output of lbzip2 is like that of bzip2, in less time.
bzip2=$(type -P lbzip2 || type -P bzip2)
make disk.raw.bz2 "$bzip2" -9 -c disk.raw
convert disk.raw disk.c.qcow2 qcow2 -c

# The largest disk that is of interest: just under DigitalOcean's 100 GB.
if [[ ! -e sparse99.raw ]]; then
    say 'sparse99.raw'
    put_gpt $part 99GB
    mv $part sparse99.raw
fi
for disk in disk sparse99; do
    for format in qcow2 vmdk vdi vhdx; do
        convert $disk.raw $disk.$format $format
    done
done

# 84 GiB of zeros between the two ends of a GPT disk. One member of a GiB is compressed, and
# repeated: gzip would need ten minutes for all of them.
zeros_gz() {
    local disk=making.tree/disk.raw
    put_gpt $disk $((84 * 1024 * mib + 2 * mib))
    head -c $mib $disk | gzip -6 -n
    head -c 1G /dev/zero | gzip -6 -n >making.tree/member.gz
    for _ in {1..84}; do
        cat making.tree/member.gz
    done
    tail -c $mib $disk | gzip -6 -n
}
mkdir -p making.tree
make zeros90.raw.gz zeros_gz
