# shellcheck shell=bash disable=SC2016,SC2154,SC2034
# What does not depend on the machine's mood, and what more cores would bring, for peers.sh to source.

# slice NAME DATA_MIB DISK_MIB: a disk with an MBR and so much data from the middle of dense.raw.
slice() {
    put_mbr "$1" $(($3 << 20))
    dd if=dense.raw bs=1M skip=$(($(stat -c %s dense.raw) >> 21)) count="$2" status=none | put_data "$1"
}

# executed FILE: instructions of a check with one thread, without those of SHA-256. Valgrind knows no SHA instructions of
# the processor, so there they would be many times as many.
executed() {
    local out=$scratch/callgrind
    TIDEGATE_THREADS=1 valgrind --tool=callgrind --callgrind-out-file="$out" "$tidegate" check -q "$1" \
        >/dev/null 2>"$errors" || { cat "$errors" >&2; return 1; }
    awk '
        # A function is named in full where it is met first. The line behind `calls=` is the cost of the callee.
        /^c?fn=/ {
            name = $1
            sub(/^c?fn=/, "", name)
            if (NF > 1) digest[name] = /sha2|sha256/
            if (/^f/) id = name
            next
        }
        /^calls=/ { getline; next }
        /^[0-9+*-]/ && NF == 2 && !digest[id] { sum += $2 }
        END { printf "%d", sum }' "$out"
}

# instructions_of WHAT PACK DATA_MIB DISK_MIB: a row for a disk of that size, less one of half of it: what a check costs
# before it decodes falls out.
instructions_of() {
    local what=$1 pack=$2 data=$3 disk=$4 small large
    say "instructions: $what"
    slice making.small $((data / 2)) $((disk / 2))
    slice making.large "$data" "$disk"
    "$pack" -9 -c making.small >making.small.packed
    "$pack" -9 -c making.large >making.large.packed
    if small=$(executed making.small.packed) && large=$(executed making.large.packed); then
        awk -v what="$what" -v count=$((large - small)) -v bytes=$(((disk - disk / 2) << 20)) \
            'BEGIN { printf "| %s | %.2f |\n", what, count / bytes }'
    else
        skip "instructions of $what" 'it failed'
    fi
    rm -f making.small making.large making.small.packed making.large.packed
}

instructions_table() {
    if ! have valgrind; then
        skip 'instructions per byte' 'valgrind is not installed'
        return
    fi
    printf '\nInstructions of `check` for each byte of the disk, one thread, without SHA-256 of the file (callgrind; the '
    printf 'slope between a slice of the disk and another one twice as large):\n'
    printf '\n| file | instructions a byte |\n| --- | --: |\n'
    instructions_of 'gzip, dense' gzip 8 8
    instructions_of 'gzip, a quarter of data' gzip 8 32
    instructions_of 'bzip2, dense' bzip2 4 4
}

on_one_core() { TIDEGATE_THREADS=1 taskset -c "$core" "$tidegate" check -q "$file"; }
on_two_cores() { TIDEGATE_THREADS=2 "$tidegate" check -q "$file"; }
digest_on_one_core() { taskset -c "$core" openssl dgst -sha256 "$file"; }

# scaling_of FILE MOST: a row, from runs on one and on two cores. MOST is the number of threads that decode at most.
scaling_of() {
    # shellcheck disable=SC2034 # facts sets them
    local most=$2 run one lines='' compression format image_size core
    file=$1
    # The first core that this process may use.
    core=$(taskset -cp $$ | sed 's/.*: *\([0-9]*\).*/\1/')
    say "scaling: $file"
    if ! { facts && timed on_one_core && timed on_two_cores; }; then
        skip "scaling of $file" 'it failed'
        return
    fi
    for ((run = 0; run < runs; run++)); do
        timed on_one_core || return 0
        one=$took
        timed on_two_cores || return 0
        lines+="$one $took $used"
        timed digest_on_one_core || return 0
        lines+=" $took"$'\n'
    done
    printf '%s' "$lines" | awk -v file="$file" -v most="$most" -v bytes="$image_size" "$awk_median"'
        { one[NR] = $1 / 1e6; two[NR] = $2 / 1e6; work[NR] = $3 / 1e6; digest[NR] = $4 / 1e6 }
        END {
            sort(one, NR); sort(two, NR); sort(work, NR); sort(digest, NR)
            t1 = median(one, NR); t2 = median(two, NR); c = median(work, NR); h = median(digest, NR)
            s = 2 * t2 - c
            if (s < 0) s = 0
            # One core at least works all the time, so S is C at most, if nothing else runs.
            busy = s > c
            printf "| `%s` | %.2f s | %.2f s | %.2f s | %.2f s | %s | %.2f | %.2f", file, t1, t2, c, h,
                busy ? "?" : sprintf("%.0f %%", 100 * s / c), bytes / t1 / 1e9, bytes / t2 / 1e9
            for (n = 4; n <= 64; n *= 2) {
                t = s + (c - s) / (n < most ? n : most)
                printf " | %s", busy ? "?" : sprintf("%.2f%s", bytes / (t > h ? t : h) / 1e9, t > h ? "" : "*")
            }
            print " |"
        }'
}

scaling_table() {
    if ! have taskset openssl; then
        skip 'the curve to 64 cores' 'taskset or openssl is not installed'
        return
    fi
    printf '\nOn one core and on two, measured, and **computed** for more: T(n) = max(H, S + (C − S) / min(n, m)), with '
    printf 'T(2) the time on two cores, C the processor time there, S = max(0, 2 T(2) − C) the time in which one core '
    printf 'works alone, S / C the serial fraction, H one SHA-256 of the file (`openssl dgst`), and m the most threads '
    printf 'that decode: 25 of gzip, 18 of bzip2. `*`: H decides. What the memory of a machine can carry is not in it, '
    printf 'and other work on the machine counts as serial (`?`: there was too much of it).\n'
    printf '\n| file | T(1) | T(2) | C | H | S / C | GB/s of the disk at 1 core | at 2 | 4, computed | 8, computed '
    printf '| 16, computed | 32, computed | 64, computed |\n'
    printf '| --- | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: |\n'
    scaling_of disk.raw.gz 25
    scaling_of dense.raw.gz 25
    scaling_of dense.raw.bz2 18
}
