#!/usr/bin/env bash
# Fuzzes one target for so many seconds, beginning with its kept corpus, and keeps what is new below
# target/fuzz. Needs cargo-fuzz (`cargo install cargo-fuzz`); no nightly, since there is no sanitizer:
# the crate has no unsafe code, and overflows and broken promises panic.
#
# `tests/fuzz/run.sh TARGET [SECONDS] [libFuzzer's options]`; `tests/fuzz/run.sh keep TARGET` puts the
# smallest corpus that covers the same back into `tests/fuzz/corpus`.
set -euo pipefail
cd "$(dirname "$0")/../.."
targets=target/fuzz
run=(--fuzz-dir tests/fuzz -s none --target-dir "$targets")
if [ "${1:-}" = keep ]; then
    target="$2"
    kept="tests/fuzz/corpus/$target"
    mkdir -p "$targets/kept/$target"
    cargo fuzz run "${run[@]}" "$target" "$targets/kept/$target" "$kept" \
        "$targets/corpus/$target" -- -merge=1 -close_fd_mask=1
    # Inputs with names of their own tell what was found once: they stay.
    find "$kept" -type f -regextype posix-extended -regex '.*/[0-9a-f]{40}' -delete
    cp "$targets/kept/$target"/* "$kept"/
    exit
fi
target="${1:?a target: frames, records, recovery or transcript}"
seconds="${2:-60}"
mkdir -p "$targets/corpus/$target" "$targets/artifacts/$target"
cargo fuzz run "${run[@]}" "$target" "$targets/corpus/$target" "tests/fuzz/corpus/$target" -- \
    -max_total_time="$seconds" -timeout=20 -rss_limit_mb=1500 -max_len=1024 -close_fd_mask=1 \
    -artifact_prefix="$targets/artifacts/$target/" "${@:3}"
