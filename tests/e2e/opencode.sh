#!/usr/bin/env bash
# One turn on a real opencode server, told as it happens: the client is cut, afterbay is killed with
# kill -9, and every event still comes exactly once.
#
# Needs cargo, npm and about 200 MB below target/; installs a pinned opencode there, starts it with
# a small fake model, and ends everything it started. Exit code 0 only if all went as told.
set -euo pipefail
cd "$(dirname "$0")/../.."
export CARGO_TARGET_DIR="$PWD/target"

for tool in cargo cc npm; do
    command -v "$tool" >/dev/null || { echo "opencode.sh: $tool is missing" >&2; exit 1; }
done

echo "building afterbay and its end-to-end test (the first time takes a few minutes) ..."
cargo build --locked --quiet --bin afterbay
cargo test --locked --quiet --no-run --test e2e

account=$(mktemp)
trap 'rm -f "$account"' EXIT
# The account's lines start with a bar; everything else is kept in case it does not go well.
if cargo test --locked --quiet --test e2e -- --exact e2e::story::story --nocapture 2>&1 |
    tee "$account" | sed -un 's/^| //p' && grep -q '1 passed' "$account"
then
    echo "it went as told"
else
    echo "it did not go as it should:" >&2
    cat "$account" >&2
    exit 1
fi
