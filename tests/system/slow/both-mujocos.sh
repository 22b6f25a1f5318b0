#!/bin/bash
# The same sources against MuJoCo 3: the library and headers of its wheel.
# tests/run.sh itself covers the system's MuJoCo.
set -u
# shellcheck source=tests/system/lib.bash
. "$(dirname "$0")/../lib.bash"

fetch() {
    python3 -m pip -q download --no-deps --only-binary=:all: \
        -d "$work" 'mujoco>=3,<4' >"$work/log" 2>&1 &&
        python3 -m zipfile -e "$work"/mujoco-*.whl "$work/wheel" >>"$work/log" 2>&1
}

builds_against_mujoco_3() {
    if meson setup "$work/build" "$root" -Dmujoco="$work/wheel/mujoco" \
        -Dwerror=true >"$work/log" 2>&1 &&
        ninja -C "$work/build" >>"$work/log" 2>&1; then
        ok "${FUNCNAME[0]}"
        return
    fi
    not_ok "${FUNCNAME[0]}" "$(grep -m 3 -E 'error|ERROR' "$work/log")"
    return 1
}

unit_tests_pass_with_mujoco_3() {
    if meson test -C "$work/build" --suite unit --no-rebuild \
        >"$work/log" 2>&1; then
        ok "${FUNCNAME[0]}"
    else
        not_ok "${FUNCNAME[0]}" "$(grep -E 'FAIL|TIMEOUT' "$work/log" | head -n 5)"
    fi
}

the_actor_is_linked_with_mujoco_3() {
    local linked
    linked=$(ldd "$(find "$work/build" -maxdepth 2 -name softq-actor -type f)" |
        grep -F mujoco)
    if [[ $linked == *"$work/wheel/mujoco/libmujoco.so.3"* ]]; then
        ok "${FUNCNAME[0]}"
    else
        not_ok "${FUNCNAME[0]}" "$linked"
    fi
}

if ! fetch; then
    skip both_mujocos "no wheel of MuJoCo 3: $(tail -n 1 "$work/log")"
else
    builds_against_mujoco_3 && the_actor_is_linked_with_mujoco_3 &&
        unit_tests_pass_with_mujoco_3
fi
summary
