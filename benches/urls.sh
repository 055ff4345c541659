#!/usr/bin/env bash
# Checks images by URL on loopback, served by nginx, against curl and sha256sum.
#
#   benches/urls.sh [OUT_DIR] [RUNS]
#
# OUT_DIR holds the disk that make-disk.sh makes (default: under the target directory), RUNS is the
# number of pairs a row (default 5). TIDEGATE=PATH names the program to measure; else it is built.
#
# A benchmark is no test: it says MISS where a target is missed, and exits with 0.
set -euo pipefail
export LC_ALL=C

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
target_dir=${CARGO_TARGET_DIR:-$here/../target}
dir=${1:-$target_dir/peers}
runs=${2:-5}

for tool in nginx curl sha256sum gzip; do
    type -P $tool >/dev/null || { echo "$tool is not installed" >&2; exit 1; }
done
if [[ -z ${TIDEGATE:-} ]]; then
    cargo build --release --quiet --manifest-path "$here/../Cargo.toml"
    TIDEGATE=$target_dir/release/tidegate
fi
tidegate=$(realpath "$TIDEGATE")
"$here/make-disk.sh" "$dir"
dir=$(realpath "$dir")
scratch=$(mktemp -d)
server=
trap 'if [[ -n $server ]]; then kill "$server" 2>/dev/null || true; fi; rm -rf "$scratch"' EXIT

# serve SETTINGS: an nginx of its own on a free port of loopback; its address goes into $url.
serve() {
    if [[ -n $server ]]; then kill "$server"; wait "$server" 2>/dev/null || true; fi
    for port in {18080..18180}; do
        if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then break; fi
    done
    {
        echo "daemon off; master_process off; pid $scratch/pid; error_log $scratch/errors;"
        echo 'events { }'
        echo 'http { access_log off; sendfile on;'
        for name in client_body proxy fastcgi uwsgi scgi; do echo "${name}_temp_path $scratch/$name;"; done
        echo "server { listen 127.0.0.1:$port; root $dir; $1 } }"
    } >"$scratch/nginx.conf"
    nginx -e "$scratch/errors" -c "$scratch/nginx.conf" &
    server=$!
    until curl -sf -o /dev/null -r 0-0 "http://127.0.0.1:$port/disk.raw"; do
        kill -0 "$server"
        sleep 0.1
    done
    url=http://127.0.0.1:$port
}

timed() {
    local start=${EPOCHREALTIME/./}
    "$@" >"$scratch/said" 2>&1 || { echo "failed: $*" >&2; cat "$scratch/said" >&2; return 1; }
    took=$((${EPOCHREALTIME/./} - start))
}

# compare WHAT PEER TARGET OURS THEIRS: the ratio is taken within each pair.
compare() {
    local pairs='' pair mine
    timed "$4" && timed "$5" || return 0
    for ((pair = 0; pair < runs; pair++)); do
        timed "$4" || return 0
        mine=$took
        timed "$5" || return 0
        pairs+="$mine $took"$'\n'
    done
    printf '%s' "$pairs" | awk '{ print $1 / 1e6, $2 / 1e6, $1 / $2 }' | sort -g -k 3 |
        awk -v what="$1" -v peer="$2" -v target="$3" '
            { ours[NR] = $1; theirs[NR] = $2; ratio[NR] = $3 }
            END {
                middle = int((NR + 1) / 2)
                printf "%-30s %8.3f  %-38s %8.3f  %6.3f (%.3f-%.3f)  %5s  %s\n", what, ours[middle],
                    peer, theirs[middle], ratio[middle], ratio[1], ratio[NR], target,
                    target == "-" ? "" : ratio[middle] <= target ? "ok" : "MISS"
            }'
}

check() { "$tidegate" check -q --no-url-rules --connections "${connections:-4}" "$url/$file"; }
check_one() { connections=1 check; }
curl_digest() { curl -sf "$url/$file" | sha256sum; }
curl_openssl() { curl -sf "$url/$file" | openssl dgst -sha256; }
curl_unpack() { curl -sf "$url/$file" | gzip -dc | sha256sum; }

sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -n 1
echo "$(nproc) cores, load $(cut -d ' ' -f 1-3 /proc/loadavg), $(date -u +%Y-%m-%d)"
"$tidegate" --version
nginx -v 2>&1
curl --version | head -n 1
echo
printf '%-30s %8s  %-38s %8s  %-21s  %5s\n' seconds tidegate peer peer 'ratio (min-max)' target
serve ''
file=disk.raw
compare "check URL/$file" 'curl | sha256sum' 1 check curl_digest
compare "check URL/$file" 'curl | openssl dgst -sha256' - check curl_openssl
compare "check --connections 1" 'curl | openssl dgst -sha256' - check_one curl_openssl
file=disk.raw.gz
compare "check URL/$file" 'curl | gzip -dc | sha256sum' 1 check curl_unpack
file=disk.qcow2
compare "check URL/$file" 'curl | sha256sum' 1 check curl_digest

if type -P python3 >/dev/null; then
    kill "$server"
    wait "$server" 2>/dev/null || true
    "$here/limited.py" "$port" "$dir" 20000000 2>/dev/null &
    server=$!
    until curl -sf -o /dev/null -I "$url/disk.raw"; do sleep 0.1; done
    file=disk.raw.gz
    compare "4 connections of 20 MB/s each" '1 connection of 20 MB/s' 0.2857 check check_one
fi

# spared WHAT ARGUMENTS…: milliseconds of a check that a receipt spares.
spared() {
    local what=$1 times='' run
    shift
    local check=("$tidegate" check -q --cache --no-url-rules "$@")
    for ((run = 0; run < 2; run++)); do
        XDG_CACHE_HOME=$scratch/cache timed "${check[@]}" --format json || return 0
    done
    if ! grep -q '"unchanged"' "$scratch/said"; then
        echo "$what: no receipt counts, see $(grep -m 1 '"why"' "$scratch/said")"
        return 0
    fi
    for ((run = 0; run < 20; run++)); do
        XDG_CACHE_HOME=$scratch/cache timed "${check[@]}" || return 0
        times+="$took"$'\n'
    done
    printf '%s' "$times" | sort -g | awk -v what="$what" '
        { ms[NR] = $1 / 1000 }
        END {
            middle = ms[int((NR + 1) / 2)]
            printf "%-30s %8.1f  (%.1f-%.1f)  %5s  %s\n", what, middle, ms[1], ms[NR], "< 20",
                middle < 20 ? "ok" : "MISS"
        }'
}

echo
serve ''
printf '%-30s %8s  %-21s  %5s\n' 'unchanged, by a receipt: ms' tidegate '(min-max)' target
spared 'check --cache disk.raw' "$dir/disk.raw"
spared 'check --cache URL/disk.raw' "$url/disk.raw"

echo
gnu_time=$(type -P time || true)
if [[ -z $gnu_time ]]; then
    echo 'peak resident memory: not measured, GNU time is not installed'
    exit 0
fi
serve ''
printf '%-46s %8s  %8s\n' 'peak resident memory, kB' tidegate target
for arguments in disk.raw disk.raw.gz disk.raw.bz2 'disk.qcow2' '--connections 16 disk.raw' '--digest image disk.raw.gz' '--quick disk.qcow2'; do
    read -ra words <<<"$arguments"
    last=$((${#words[@]} - 1))
    words[last]=$url/${words[last]}
    "$gnu_time" -f %M -o "$scratch/peak" "$tidegate" check -q --no-url-rules "${words[@]}" >/dev/null
    printf '%-46s %8s  %8s  %s\n' "check $arguments" "$(tail -n 1 "$scratch/peak")" 65536 \
        "$( (($(tail -n 1 "$scratch/peak") <= 65536)) && echo ok || echo MISS)"
done
