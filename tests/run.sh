#!/usr/bin/env bash
# Runs every test: format, lints, docs, unit and integration tests, end-to-end tests on a real
# opencode server. Installs what only tests need, pinned, below target/ (cargo-nextest: in cargo's
# bin folder). Ends non-zero if a part failed or was skipped.
#
# `tests/run.sh PART...` runs only these parts and then says that the others were skipped.
set -uo pipefail
cd "$(dirname "$0")/.."
export CARGO_TARGET_DIR="$PWD/target"
export CARGO_TERM_COLOR=never

# The runner of the tests. Another version may be there; any of this minor version will do.
nextest=0.9.143
parts=(tools format lockfile clippy docs unit_and_it e2e)

missing_tools() {
    local tool missing=0
    for tool in rustc cargo node npm python3 cc curl openssl setpriv; do
        command -v "$tool" >/dev/null || { echo "missing: $tool"; missing=1; }
    done
    return "$missing"
}

tools() {
    missing_tools || return 1
    rustc --version && cargo --version && node --version && python3 --version || return 1
    if ! cargo nextest --version >/dev/null 2>&1; then
        cargo install --locked --version "$nextest" cargo-nextest --target-dir target/nextest ||
            return 1
    fi
    cargo nextest --version | head -1
    system_packages
}

# Two reverse proxies, a browser, a Prometheus and what reads systemd's units, as the system's packages;
# the tests that want one say so where it is missing.
system_packages() {
    command -v nginx >/dev/null && command -v haproxy >/dev/null && command -v chromium >/dev/null &&
        command -v promtool >/dev/null && command -v systemd-analyze >/dev/null && return
    # Only where installing them starts no service: in containers, whose policy forbids it.
    if [ "$(id -u)" != 0 ] || [ ! -e /usr/sbin/policy-rc.d ] || ! command -v apt-get >/dev/null; then
        echo "nginx, haproxy, chromium, prometheus and systemd are not all installed; tests with them are skipped"
        return
    fi
    { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes \
        --no-install-recommends nginx-light haproxy chromium prometheus systemd; } >/dev/null 2>&1 ||
        echo "nginx, haproxy, chromium, prometheus or systemd cannot be installed; tests with them are skipped"
}

format() { cargo fmt --all --check && cargo fmt --manifest-path tests/fuzz/Cargo.toml --check; }

lockfile() {
    cargo tree --locked --quiet >/dev/null &&
        cargo tree --locked --quiet --manifest-path tests/fuzz/Cargo.toml >/dev/null
}

clippy() { cargo clippy --locked --all-targets --quiet -- -D warnings; }

docs() {
    RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps && cargo test --locked --quiet --doc
}

unit_and_it() { cargo nextest run --locked --no-fail-fast -E 'not binary(e2e)'; }

# `.config/nextest.toml` bounds how many run at once and how long each may take.
e2e() { cargo nextest run --locked --no-fail-fast --test e2e; }

wanted=("$@")
[ "$#" -gt 0 ] || wanted=("${parts[@]}")
for part in "${wanted[@]}"; do
    [[ " ${parts[*]} " == *" $part "* ]] || { echo "no part $part; parts: ${parts[*]}" >&2; exit 2; }
done
logs="target/test-logs"
mkdir -p "$logs"
failed=0
summary=()
for part in "${parts[@]}"; do
    if [[ " ${wanted[*]} " != *" $part "* ]]; then
        summary+=("$(printf '%-12s %6s  skipped' "$part" -)")
        failed=1
        continue
    fi
    echo "=== $part"
    begun=$SECONDS
    if "$part" 2>&1 | tee "$logs/$part.log"; then said=passed; else said=FAILED failed=1; fi
    closing=$(grep -E '^ +Summary \[' "$logs/$part.log" | tail -1 | sed 's/^ *//')
    summary+=("$(printf '%-12s %4d s  %s  %s' "$part" $((SECONDS - begun)) "$said" "$closing")")
done

echo
echo "=== summary: $SECONDS s in all"
printf '%s\n' "${summary[@]}"
if [ "$failed" -eq 0 ]; then echo "all parts passed"; else echo "NOT all parts passed"; fi
exit "$failed"
