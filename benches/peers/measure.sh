# shellcheck shell=bash disable=SC2016,SC2154
# Paired runs, and rows of Markdown tables with what came of them, for peers.sh to source. It wants $runs.
#
# The machine changes its mood within minutes: so a ratio is taken within each pair, and the median is that of the ratios.

scratch=$(mktemp -d)
# Everything that is made in the folder of the images for a while is called making.*.
trap 'rm -rf "$scratch" making.*' EXIT
errors=$scratch/errors
clock=$scratch/clock
# What is not in a table, and why.
left_out=()

have() {
    local tool
    for tool in "$@"; do
        type -P "$tool" >/dev/null || return 1
    done
}

say() {
    printf '%s\n' "$*" >&2
}

# skip ROW WHY
skip() {
    left_out+=("$1: $2")
    say "left out: $1: $2"
}

# needing TOOL... -- FUNCTION WHAT PEER ...: a row, if the tools are there.
needing() {
    local tools=() tool
    while [[ $1 != -- ]]; do
        tools+=("$1")
        shift
    done
    shift
    for tool in "${tools[@]}"; do
        if ! have "$tool"; then
            skip "$2 against $3" "$tool is not installed"
            return
        fi
    done
    "$@"
}

# timed COMMAND...: microseconds on the clock into $took, and of processor time into $used. Whoever fails has measured
# nothing.
timed() {
    local start status=0 TIMEFORMAT='%3U %3S'
    # Removing what an earlier run wrote is in nobody's time.
    rm -f making.converted
    start=${EPOCHREALTIME/./}
    { time "$@" >/dev/null 2>"$errors"; } 2>"$clock" || status=$?
    took=$((${EPOCHREALTIME/./} - start))
    if ((status != 0)); then
        say "failed ($status): $*"
        cat "$errors" >&2
        return 1
    fi
    used=$(awk '{ printf "%d", ($1 + $2) * 1e6 }' "$clock")
}

# The functions of awk that the tables share.
awk_median='
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
    # A bar ends a cell, also within a code span.
    function cell(text) {
        gsub(/\|/, "\\|", text)
        return text
    }
    function seconds(time) {
        return sprintf(time < 0.1 ? "%.4f s" : time < 10 ? "%.2f s" : "%.1f s", time)
    }'

# row WHAT PEER TARGET [BOUND]: the pairs on standard input (microseconds of tidegate and of the peer) as a row. A target
# of `-` is none. With BOUND, standard input has a third column, microseconds that tidegate may take instead: the larger
# of both is the limit.
row() {
    awk -v what="$1" -v peer="$2" -v target="$3" -v bound="${4:-}" "$awk_median"'
        {
            ours[NR] = $1 / 1e6; theirs[NR] = $2 / 1e6; ratio[NR] = $1 / $2
            limit = target * $2
            if (bound != "" && bound * $3 > limit) limit = bound * $3
            part[NR] = target == "-" ? 0 : $1 / limit
        }
        END {
            sort(ours, NR); sort(theirs, NR); sort(ratio, NR); sort(part, NR)
            verdict = target == "-" ? "" : median(part, NR) <= 1 ? "ok" : "MISS"
            aim = target == "-" ? "" : "≤ " target
            if (bound != "") aim = aim ", or the next"
            printf "| %s | %s | %s | %s | %.2f (%.2f–%.2f) | %s | %s |\n", cell(what),
                seconds(median(ours, NR)), cell(peer), seconds(median(theirs, NR)),
                median(ratio, NR), ratio[1], ratio[NR], aim, verdict
        }'
}

# compare WHAT PEER TARGET TIDEGATE_FUNCTION PEER_FUNCTION: a row of pairs.
compare() {
    local what=$1 peer=$2 target=$3 ours=$4 theirs=$5 pairs='' pair mine
    say "$what against $peer"
    # Warm-up: from here on the file is in the page cache.
    if ! { timed "$ours" && timed "$theirs"; }; then
        skip "$what against $peer" 'it failed'
        return
    fi
    for ((pair = 0; pair < runs; pair++)); do
        timed "$ours" || return 0
        mine=$took
        timed "$theirs" || return 0
        pairs+="$mine $took"$'\n'
    done
    printf '%s' "$pairs" | row "$what" "$peer" "$target"
}

# compare_digests WHAT PEER TARGET PLAIN BOUND: two rows of runs in threes: check_image, digest_peer, and one SHA-256 of
# the decompressed file PLAIN. The limit is the larger of TARGET of the one and BOUND of the other.
compare_digests() {
    local what=$1 peer=$2 target=$3 plain=$4 bound=$5 threes='' three mine theirs
    say "$what against $peer"
    if ! { timed check_image && timed digest_peer && timed digest "$plain"; }; then
        skip "$what against $peer" 'it failed'
        return
    fi
    for ((three = 0; three < runs; three++)); do
        timed check_image || return 0
        mine=$took
        timed digest_peer || return 0
        theirs=$took
        timed digest "$plain" || return 0
        threes+="$mine $theirs $took"$'\n'
    done
    printf '%s' "$threes" | row "$what" "$peer" "$target" "$bound"
    # The verdict on both is in the row before.
    printf '%s' "$threes" | awk '{ print $1, $3 }' | row '' "one SHA-256 of the decompressed bytes" - |
        awk -v bound="$bound" '{ sub(/\|  \|  \|$/, "| ≤ " bound " | see above |"); print }'
}

# compare_processor WHAT TARGET TIDEGATE_FUNCTION OTHER_FUNCTION: a row of the time of the one against half of the
# processor time of the other.
compare_processor() {
    local what=$1 target=$2 ours=$3 other=$4 pairs='' pair mine
    say "$what against processor time"
    if ! { timed "$ours" && timed "$other"; }; then
        skip "$what against processor time" 'it failed'
        return
    fi
    for ((pair = 0; pair < runs; pair++)); do
        timed "$ours" || return 0
        mine=$took
        timed "$other" || return 0
        pairs+="$mine $((used / 2))"$'\n'
    done
    printf '%s' "$pairs" | row "$what" 'half the processor time of `--jobs 1`' "$target"
}

# table_of_ratios: its head.
table_of_ratios() {
    printf '\n| job | tidegate | peer | its time | ratio | target | |\n'
    printf '| --- | --: | --- | --: | --: | --: | --- |\n'
}
