#!/bin/bash
# Would the comparison with independent code notice? Known mistakes are made in
# a copy of the sources, one at a time, and test_golden must fail for each.
set -u
# shellcheck source=tests/system/lib.bash
. "$(dirname "$0")/../system/lib.bash"

copy=$work/softq
suite=tests/unit/test_golden

# The copy is built for itself, with the MuJoCo of the build at hand.
make_copy() {
    local mujoco
    mkdir "$copy" &&
        tar -C "$root" --exclude=./build* --exclude=./runs --exclude=./.git \
            -cf - . | tar -C "$copy" -xf - || return 1
    mujoco=$(meson introspect --buildoptions "$build" |
        sed -n 's/.*"name": "mujoco", "value": "\([^"]*\)".*/\1/p')
    [[ -z $mujoco || $mujoco == /* ]] || mujoco=$root/$mujoco
    meson setup "$copy/build" "$copy" -Dmujoco="$mujoco"
}

builds() {
    ninja -C "$copy/build" "$suite" >"$work/build.log" 2>&1
}

agrees() {
    timeout 60 "$copy/build/$suite" >"$work/golden.log" 2>&1
}

unmutated_code_agrees() {
    if ! builds; then
        not_ok "${FUNCNAME[0]}" "no build: $(tail -n 5 "$work/build.log")"
    elif ! agrees; then
        not_ok "${FUNCNAME[0]}" "$(tail -n 5 "$work/golden.log")"
    else
        ok "${FUNCNAME[0]}"
    fi
}

mutate() { # name, file, sed script: a mistake that must be noticed
    local name=$1 file=$copy/$2
    cp -p "$file" "$work/original"
    sed -i "$3" "$file"
    if cmp -s "$file" "$work/original"; then
        not_ok "$name" "nothing in $2 fits $3"
        return
    fi
    if ! builds; then
        not_ok "$name" "no build: $(grep error "$work/build.log" | head -n 3)"
    elif agrees; then
        not_ok "$name" "test_golden does not notice"
    elif ! grep -q ', too much$' "$work/golden.log"; then
        not_ok "$name" "not a difference: $(tail -n 3 "$work/golden.log")"
    else
        ok "$name"
    fi
    cp "$work/original" "$file" # with a new time, to be built again
}

if ! make_copy >"$work/setup.log" 2>&1; then
    not_ok a_copy_is_made "$(tail -n 5 "$work/setup.log")"
    exit 1
fi
unmutated_code_agrees
mutate repulsion_of_the_wrong_sign_is_noticed learner/svgd.c \
    's/(g - repel \* /(g + repel * /'
mutate a_missing_log_k_is_noticed learner/svgd.c \
    's|median / logf((float)n.K)|median|'
mutate a_missing_squash_term_is_noticed common/policy.c \
    's/ - 2.0f \* alpha \* t;/ + 0.0f * alpha;/'
mutate a_mean_for_the_median_is_noticed learner/svgd.c \
    's|^    return smallest;|    smallest = 0;\n    for (size_t i = 0; i < n; i++) smallest += x[i];\n    return smallest / (float)n;|'
mutate adam_without_bias_correction_is_noticed learner/adam.c \
    's|(float)(1.0 / (1.0 - pow(.*, (double)step)))|1.0f|'
mutate a_truncation_taken_for_an_end_is_noticed learner/soft_value.c \
    's/flags\[b\] & BATCH_TERMINAL/flags[b]/'
mutate a_mean_over_oneself_is_noticed learner/svgd.c \
    's/n.one_set ? n.K - 1 : n.K/n.K/'
mutate a_missing_determinant_is_noticed common/policy.c \
    's/ = -log_determinant(/ = 0.0f * log_determinant(/'
summary
