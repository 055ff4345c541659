#!/usr/bin/env bash
# Makes the file systems of this directory. Needs mke2fs, debugfs, mkfs.vfat, mtools, mkfs.xfs, mkfs.btrfs, gzip.
#
#     testdata/guest/make.sh [DIR]     # default: the directory of this script
set -euo pipefail
export LC_ALL=C.UTF-8 TZ=UTC E2FSPROGS_FAKE_TIME=1700000000 SOURCE_DATE_EPOCH=1700000000
PATH=$PATH:/usr/sbin
umask 022

here="$(cd "$(dirname "$0")" && pwd)"
out="${1:-$here}"
mkdir -p "$out"
out="$(cd "$out" && pwd)"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
cd "$work"

mkdir -p root/etc/cloud root/many
printf 'ID=debian\nVERSION_ID="12"\n' > root/etc/os-release
printf 'datasource_list: [ ConfigDrive ]\n' > root/etc/cloud/cloud.cfg
ln -s ../etc/os-release root/etc/fast
ln -s "$(printf 'slow%.0s' $(seq 40))" root/etc/slow
seq 1500 > root/numbers
for number in $(seq 60); do : > "root/many/a-file-with-a-long-name-$number"; done
# Every other block is a hole, so that its extents need a tree.
for number in $(seq 0 2 30); do
  printf 'x' | dd of=root/holes bs=1024 seek="$number" conv=notrunc status=none
done
# Behind all that one and two tables of blocks can reach.
for kilobytes in 0 20 300 66000; do
  printf 'far' | dd of=root/far bs=1024 seek="$kilobytes" conv=notrunc status=none
done

# ext NAME SIZE ARGUMENT...
ext() {
  local name=$1 size=$2
  shift 2
  mke2fs -q -F -b 1024 -N 128 -m 0 -U 7d4e0000-0000-4000-8000-000000000003 \
    -E hash_seed=7d4e0000-0000-4000-8000-000000000004,root_owner=0:0 "$@" -d root "$name" "$size" > /dev/null
}

ext ext2 256K -t ext2
ext ext4 256K -t ext4 -O ^has_journal,^metadata_csum,^64bit,^resize_inode
ext ext4-inline 256K -t ext4 -O ^has_journal,^metadata_csum,^resize_inode,inline_data,64bit
ext ext4-sums 256K -t ext4 -O ^has_journal,metadata_csum,metadata_csum_seed,64bit,meta_bg,^resize_inode
for sums in '' '-c -v 3'; do
  name=ext4-journal${sums:+-sums}
  ext "$name" 2560K -t ext4 -O "${sums:+64bit,}$([ -n "$sums" ] || printf ^)metadata_csum,^resize_inode"
  block=$(debugfs -R 'blocks /numbers' "$name" 2> /dev/null | cut -d ' ' -f 1)
  head -c 1024 /dev/zero | tr '\0' 'j' > new
  { printf '\300\073\071\230'; head -c 1020 new; } > escaped
  printf '%s\n' "jo $sums" "jw -b $block new" "jw -b $((block + 1)) escaped" "jw -r $block" "jc" \
    > commands
  debugfs -w -f commands "$name" > /dev/null 2>&1
done

# fat NAME KILOBYTES ARGUMENT...
fat() {
  local name=$1 kilobytes=$2
  shift 2
  mkfs.vfat -C -i 7d4e0005 -n TIDE --invariant "$@" "$name" "$kilobytes" > /dev/null
  rm -f root/far root/etc/fast root/etc/slow
  mcopy -i "$name" -s -Q root/etc root/many root/numbers ::/
  mdel -i "$name" ::/many/a-file-with-a-long-name-7
}
fat fat12 256 -F 12 -s 1
fat fat16 2304 -F 16 -s 1
fat fat32 36864 -F 32 -s 1 -f 1
# All that is in it is at its beginning.
truncate -s 512K fat32

# XFS and btrfs, whose files say when and by what they were made: these differ from run to run.
mkdir -p source/etc source/usr/bin source/many
printf 'LABEL=tide / auto defaults 0 1\n' > source/etc/fstab
printf '#!/bin/sh\n' > source/usr/bin/sh
chmod 755 source/usr/bin/sh
ln -s usr/bin source/bin
ln -s "$(printf 'long/%.0s' $(seq 1 120))" source/long
for number in $(seq 1 90); do printf '%s' "$number" > "source/many/a-file-of-many-$number"; done
for number in $(seq 1 900); do printf 'line %s\n' "$number"; done > source/lines
truncate -s 40K source/holes
printf 'behind a hole' >> source/holes
# proto DIR: what mkfs.xfs makes of a directory.
proto() {
  local path name
  for path in "$1"/*; do
    name="${path##*/}"
    if [ -L "$path" ]; then
      printf '%s l--777 0 0 %s\n' "$name" "$(readlink "$path")"
    elif [ -d "$path" ]; then
      printf '%s d--755 0 0\n' "$name"
      proto "$path"
      printf '$\n'
    else
      printf '%s ---644 1000 1001 %s\n' "$name" "$path"
    fi
  done
}
{
  printf '/stand\n0 0\nd--755 0 0\n'
  proto source
  printf '$\n'
} > proto
# Volumes below 300 MB are for tests alone, which these variables say.
for version in 5 4; do
  crc=$((version - 4))
  TEST_DIR=1 TEST_DEV=1 QA_CHECK_FS=1 mkfs.xfs -q -f -L tide -m "crc=$crc" -p proto \
    -d "file,name=xfs-$version,size=20m" 2> xfs.log
done
mkfs.btrfs -q -M -L tide -U 7d4e0000-0000-4000-8000-000000000001 -b 20M --rootdir source btrfs > btrfs.log 2>&1


for name in xfs-5 xfs-4 btrfs ext2 ext4 ext4-inline ext4-sums ext4-journal ext4-journal-sums fat12 fat16 fat32; do
  gzip -9nc "$name" > "$out/$name.img.gz"
done
