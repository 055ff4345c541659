# shellcheck shell=bash
# Raw disks with an MBR, for scripts to source.

# le32 NUMBER: four bytes, the lowest first, as printf takes them.
le32() {
    printf '\\x%02x' $(($1 & 255)) $(($1 >> 8 & 255)) $(($1 >> 16 & 255)) $(($1 >> 24 & 255))
}

# put_mbr FILE BYTES: a sparse file with one Linux partition, from 1 MiB to its end.
put_mbr() {
    rm -f "$1"
    truncate -s "$2" "$1"
    # shellcheck disable=SC2059 # the bytes are the format
    printf "\\x00\\xfe\\xff\\xff\\x83\\xfe\\xff\\xff$(le32 2048)$(le32 $(($2 / 512 - 2048)))" |
        dd of="$1" bs=1 seek=446 conv=notrunc status=none
    printf '\x55\xaa' | dd of="$1" bs=1 seek=510 conv=notrunc status=none
}

# put_data FILE: writes standard input to where the partition begins.
put_data() {
    dd of="$1" bs=1M seek=1 iflag=fullblock conv=notrunc status=none
}
