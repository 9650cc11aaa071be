#!/usr/bin/env bash
# Seconds per training step as a batch grows and as sentences grow: `bench/train/curves.sh [THREADS]`.
# Linear means that the time per token, the last column, stays the same.
set -euo pipefail
cd "$(dirname "$0")/../.."
threads=${1:-2}
program=build/bench/bench_step
[[ -x $program ]] || { echo "curves: build it first: cmake --build build --target bench_step" >&2; exit 1; }

row() { # TOKENS LENGTH
    "$program" models/tatoeba-deu-eng --tokens "$1" --length "$2" --threads "$threads" --steps 3 |
        python3 -c '
import json, sys
r = json.load(sys.stdin)
tokens, length = sys.argv[1:]
rate = r["best"]
print(f"| {tokens} | {length} | {rate:.0f} | {1e6 / rate:.0f} |")' "$1" "$2"
}

echo "| target tokens | length | tokens/s | µs per token |"
echo "| ---: | ---: | ---: | ---: |"
for tokens in 1024 2048 4096 8192 16384; do row $tokens 20; done
for length in 10 50 100 200; do row 4096 $length; done
