#!/bin/bash
# Builds with clang without a warning, and the unit tests pass there too.
set -u
# shellcheck source=tests/system/lib.bash
. "$(dirname "$0")/../lib.bash"

builds_with_clang_without_a_warning() {
    if CC=clang meson setup "$work/build" "$root" -Dwerror=true \
        >"$work/log" 2>&1 && ninja -C "$work/build" >>"$work/log" 2>&1; then
        ok "${FUNCNAME[0]}"
        return
    fi
    not_ok "${FUNCNAME[0]}" "$(grep -m 3 -E 'error|ERROR' "$work/log")"
    return 1
}

unit_tests_pass_with_clang() {
    if meson test -C "$work/build" --suite unit --no-rebuild \
        >"$work/log" 2>&1; then
        ok "${FUNCNAME[0]}"
    else
        not_ok "${FUNCNAME[0]}" "$(grep -E 'FAIL|TIMEOUT' "$work/log" | head -n 5)"
    fi
}

if ! command -v clang >/dev/null; then
    skip clang 'clang is not installed'
else
    builds_with_clang_without_a_warning && unit_tests_pass_with_clang
fi
summary
