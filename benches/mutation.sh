#!/usr/bin/env bash
# Changes single fields of images and prints the table of what tidegate and qemu-img report.
#
#   benches/mutation.sh [TABLE]
#
# TABLE is a file for the table, in Markdown. In the environment:
#
#   TIDEGATE_MUTATIONS=N  changes per format (default 2000)
#   TIDEGATE_SEED=N       where they begin (default: the number of the day)
set -euo pipefail
export LC_ALL=C

if [[ -n ${1:-} ]]; then
    TIDEGATE_MUTATION_TABLE=$(realpath "$1")
    export TIDEGATE_MUTATION_TABLE
fi
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# A missing qemu-img is an error here.
CI=true TIDEGATE_MUTATIONS=${TIDEGATE_MUTATIONS:-2000} \
    cargo test --quiet --test mutation what_qemu_img_reports -- --nocapture
