#!/usr/bin/env bash
# Makes the images of this directory. Needs qemu-img, sgdisk, sfdisk, gzip, bzip2, xz, zstd, tar.
#
#     testdata/make.sh [DIR]     # default: the directory of this script
set -euo pipefail
export LC_ALL=C TZ=UTC XZ_OPT= XZ_DEFAULTS=
umask 022

here="$(cd "$(dirname "$0")" && pwd)"
out="${1:-$here}"
mkdir -p "$out"
out="$(cd "$out" && pwd)"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
cd "$work"

# patch FILE OFFSET BYTES: BYTES are written as printf escapes.
patch() {
  # shellcheck disable=SC2059 # the bytes are a format on purpose
  printf "$3" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

# u64be FILE OFFSET
u64be() { od -An -v -tu8 --endian=big -j "$2" -N 8 "$1" | tr -d ' '; }

# u64le FILE OFFSET
u64le() { od -An -v -tu8 --endian=little -j "$2" -N 8 "$1" | tr -d ' '; }

# size FILE
size() { stat -c %s "$1"; }

# vmdk FILE COMMAND...: runs a command that makes FILE until its random content ID has eight digits,
# as one of the same length can be put in its place.
vmdk() {
  local file="$1"
  shift
  until grep -aqE '^CID=[0-9a-f]{8}$' "$file" 2> /dev/null; do
    rm -f "$file"
    "$@" "$file"
  done
  sed -i -E 's/^CID=[0-9a-f]{8}$/CID=74696465/' "$file"
}

# qcow2 FILE OPTIONS [-c]: gpt.raw in a qcow2.
qcow2() { qemu-img convert -q ${3:-} -f raw -O qcow2 -o "$2" gpt.raw "$1"; }

## Raw disks

# Digests of the numbers: text that packs to about half.
for number in $(seq 1 60); do printf '%s' "$number" | sha256sum; done | cut -c 1-64 > content
truncate -s 128K gpt.raw
sgdisk -a 1 -U 7D4E0000-0000-4000-8000-000000000001 -n 1:40:215 -t 1:8300 -c 1:tide \
  -u 1:7D4E0000-0000-4000-8000-000000000002 gpt.raw > sgdisk.log 2>&1
dd if=content of=gpt.raw bs=512 seek=40 conv=notrunc status=none

truncate -s 64K mbr.raw
sfdisk -q mbr.raw <<'TABLE'
label: dos
label-id: 0x7d4e0001
unit: sectors
start=8, size=120, type=83
TABLE
dd if=content of=mbr.raw bs=512 seek=8 conv=notrunc status=none

head -c $(($(size gpt.raw) * 2 / 3)) gpt.raw > gpt-cut.raw
head -c 16384 mbr.raw > mbr-past-end.raw
head -c 4096 /dev/zero > blank.raw
: > empty.img

## Packed files

touch -d '2024-01-01 00:00:00' gpt.raw
gzip -9 -N -k gpt.raw
{ head -c 50000 gpt.raw | gzip -9 -n; gzip -9 -n < empty.img; tail -c +50001 gpt.raw | gzip -9 -n; } \
  > gpt-members.raw.gz
bzip2 -k gpt.raw
xz -k gpt.raw
zstd -q gpt.raw -o gpt.raw.zst

gzip -9 -n < gpt.raw > plain.gz
packed="$(size plain.gz)"
head -c $((packed / 2)) plain.gz > truncated.raw.gz
cp plain.gz crc.raw.gz
patch crc.raw.gz $((packed - 8)) \
  "\\$(printf '%03o' $(($(od -An -tu1 -j $((packed - 8)) -N 1 plain.gz) ^ 255)))"
{ cat plain.gz; echo 'This is no gzip member.'; } > garbage.raw.gz
{ cat plain.gz; head -c 512 /dev/zero; } > zeros-after.raw.gz
head -c $(($(size gpt.raw.bz2) / 2)) gpt.raw.bz2 > truncated.raw.bz2

archive() {
  tar --format=ustar --sort=name --mtime=@1704067200 --owner=0 --group=0 --numeric-owner \
    --mode=644 -b 1 -cf "$@"
}
archive gpt.tar gpt.raw
gzip -9 -n < gpt.tar > gpt.tar.gz

## qcow2

qcow2 gpt.qcow2 compat=1.1,cluster_size=4096
qcow2 gpt-v2.qcow2 compat=0.10,cluster_size=4096
qcow2 gpt-compressed.qcow2 compat=1.1,cluster_size=4096 -c
qcow2 gpt-zstd.qcow2 compat=1.1,cluster_size=4096,compression_type=zstd -c
gzip -9 -n < gpt.qcow2 > gpt.qcow2.gz
qemu-img create -q -f qcow2 -o compat=1.1,cluster_size=4096 blank.qcow2 1M

# The broken ones have the smallest clusters, to keep this directory small.
qcow2 small.qcow2 compat=1.1,cluster_size=512
qcow2 small-v2.qcow2 compat=0.10,cluster_size=512
cp small.qcow2 gpt-dirty.qcow2
patch gpt-dirty.qcow2 79 '\001'
cp small.qcow2 encrypted.qcow2
patch encrypted.qcow2 35 '\001'
# What follows the L1 table is an L2 table, then the first sectors of the disk.
head -c $(($(u64be small.qcow2 40) + 1024)) small.qcow2 > truncated.qcow2
qemu-img create -q -f qcow2 -o compat=1.1,cluster_size=512 -b gpt.raw -F raw backing.qcow2
# Only version 2 leaves room for an MBR: the table of feature names reaches into it otherwise.
cp small-v2.qcow2 polyglot.qcow2
patch polyglot.qcow2 446 '\000\000\002\000\203\000\011\000\001\000\000\000\010\000\000\000'
patch polyglot.qcow2 510 '\125\252'
qemu-img create -q -f qcow2 bomb.qcow2 200000000000
gzip -9 -n < bomb.qcow2 > bomb.qcow2.gz

## vmdk

vmdk gpt.sparse.vmdk qemu-img convert -q -f raw -O vmdk -o subformat=monolithicSparse gpt.raw
gzip -9 -n < gpt.sparse.vmdk > gpt.sparse.vmdk.gz
vmdk gpt.stream.vmdk qemu-img convert -q -f raw -O vmdk -o subformat=streamOptimized gpt.raw
# An extent of a split disk has no descriptor. Its overhead ends right behind the tables here.
qemu-img create -q -f vmdk -o subformat=monolithicSparse split-s001.vmdk 64K
tables_end=$(($(u64le split-s001.vmdk 56) + 5))
dd if=/dev/zero of=split-s001.vmdk bs=512 seek=1 count=20 conv=notrunc status=none
patch split-s001.vmdk 28 '\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000'
patch split-s001.vmdk 64 "\\$(printf '%03o' "$tables_end")\\000"
truncate -s $((tables_end * 512)) split-s001.vmdk
flat() { qemu-img create -q -f vmdk -o subformat=monolithicFlat "$1" 64K; }
vmdk descriptor.vmdk flat

## vdi, vhdx, vhd: megabytes of zeros, so only packed

qemu-img convert -q -f raw -O vdi gpt.raw gpt.vdi
patch gpt.vdi 392 '\175\116\000\000\000\000\000\100\200\000\000\000\000\000\000\003'
patch gpt.vdi 408 '\175\116\000\000\000\000\000\100\200\000\000\000\000\000\000\004'
gzip -9 -n < gpt.vdi > gpt.vdi.gz
bzip2 -k gpt.vdi
# Its random GUIDs lie under checksums: this file differs from run to run.
qemu-img convert -q -f raw -O vhdx -o block_size=1048576,log_size=1048576 gpt.raw gpt.vhdx
gzip -9 -n < gpt.vhdx > gpt.vhdx.gz
# vhd FILE OFFSET...: fixes the footers at these offsets, which have the time, a checksum and a random UUID, in this order.
vhd() {
  local file="$1" footer sum
  shift
  for footer; do
    patch "$file" $((footer + 24)) '\000\000\000\000'
    patch "$file" $((footer + 64)) '\000\000\000\000'
    patch "$file" $((footer + 68)) '\175\116\000\000\000\000\000\100\200\000\000\000\000\000\000\005'
    sum="$(od -An -v -tu1 -j "$footer" -N 512 "$file" | tr -s ' ' '\n' | awk '{ sum += $1 } END { print sum }')"
    patch "$file" $((footer + 64)) "$(printf '%08x' $((~sum & 0xffffffff)) | sed 's/../\\x&/g')"
  done
  gzip -9 -n < "$file" > "$file.gz"
}
qemu-img convert -q -f raw -O vpc -o subformat=fixed,force_size=on mbr.raw fixed.vhd
vhd fixed.vhd $(($(size fixed.vhd) - 512))
qemu-img convert -q -f raw -O vpc -o subformat=dynamic,force_size=on gpt.raw gpt.vhd
vhd gpt.vhd 0 $(($(size gpt.vhd) - 512))

## qcow of version 1

qemu-img convert -q -f raw -O qcow gpt.raw gpt.qcow
# qemu-img 10 writes all of it, and exits with 1 without a word.
qemu-img convert -q -c -f raw -O qcow gpt.raw gpt-compressed.qcow || true
qemu-img compare -q -f qcow -F raw gpt-compressed.qcow gpt.raw
gzip -9 -n < gpt.qcow > gpt.qcow.gz
gzip -9 -n < gpt-compressed.qcow > gpt-compressed.qcow.gz

## What is no image

cat > box.ovf <<'OVF'
<?xml version="1.0"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1"><References/></Envelope>
OVF
printf 'data' > box-disk1.vmdk
archive box.ova box.ovf box-disk1.vmdk
cat > page.html <<'HTML'
<!DOCTYPE html>
<html><head><title>404 Not Found</title></head><body><h1>Not Found</h1></body></html>
HTML
cat > pointer.img <<'POINTER'
version https://git-lfs.github.com/spec/v1
oid sha256:fa43239bcee7b97ca62f007cc68487560a39e19f74f3dde7486db3f98df8e471
size 131072
POINTER

cp gpt.raw mbr.raw gpt-cut.raw mbr-past-end.raw blank.raw empty.img \
  gpt.raw.gz gpt-members.raw.gz gpt.raw.bz2 gpt.raw.xz gpt.raw.zst \
  truncated.raw.gz crc.raw.gz garbage.raw.gz zeros-after.raw.gz truncated.raw.bz2 gpt.tar.gz \
  gpt.qcow2 gpt-v2.qcow2 gpt-compressed.qcow2 gpt-zstd.qcow2 gpt.qcow2.gz blank.qcow2 \
  gpt-dirty.qcow2 encrypted.qcow2 truncated.qcow2 backing.qcow2 polyglot.qcow2 bomb.qcow2.gz \
  gpt.sparse.vmdk.gz gpt.stream.vmdk split-s001.vmdk descriptor.vmdk \
  gpt.vdi.gz gpt.vdi.bz2 gpt.vhdx.gz gpt.vhd.gz fixed.vhd.gz \
  gpt.qcow.gz gpt-compressed.qcow.gz box.ova page.html pointer.img "$out"
