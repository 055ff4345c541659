#!/usr/bin/env bash
# Scores `tidegate check` on a table of expected verdicts over the files in a directory.
set -euo pipefail
usage='usage: tests/score.sh TABLE DIR'
table="$(realpath -e "${1:?$usage}")"
dir="$(realpath -e "${2:?$usage}")"
cd "$(dirname "$0")/.."
TIDEGATE_CORPUS_TABLE="$table" TIDEGATE_CORPUS_DIR="$dir" \
  cargo test -q --test corpus -- --nocapture --exact corpus_is_judged_as_labelled
