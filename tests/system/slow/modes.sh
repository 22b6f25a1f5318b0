#!/bin/bash
# Four modes DEPTH alpha above the saddles between them: which of them the
# amortised sampler keeps, and how evenly, without and with svgd_alpha_ramp.
# shellcheck disable=SC2016 # awk's dollars
set -u
# shellcheck source=tests/system/lib.bash
. "$(dirname "$0")/../lib.bash"

readonly ramp=10,4000

# Sets lines: one a seed, "DEPTH SEED KEPT WORST shares (exact)".
sample() { # depth, ramp or nothing
    local seed
    lines=$(for seed in 1 2 3; do
        "$(program modes)" "$1" "$seed" ${2:+"$2"} || echo "$1 $seed 0 100"
    done)
    # shellcheck disable=SC2001 # every line
    sed "s/^/# ${2:-none}  /" <<<"$lines"
}

holds() { # awk condition on a line, that all of them meet
    awk "!($1) { bad = 1 } END { exit bad }" <<<"$lines"
}

judge() { # name, awk condition
    if holds "$2"; then
        ok "$1"
    else
        not_ok "$1" "$(cut -d' ' -f1-4 <<<"$lines" | tr '\n' ';')"
    fi
}

echo '# 8 sets of K = M = 32 particles, 128 units, rate 2e-3 to 4e-5, 8000 updates'
echo '# ramp depth seed, modes of 10 % or more, worst error in points,' \
    'shares (exact) %'
for depth in 0.7 1; do
    sample "$depth"
    judge "modes_${depth}_alpha_apart_keep_their_shares" '$3 == 4 && $4 <= 5'
done
for depth in 2 4; do
    sample "$depth"
    sample "$depth" "$ramp"
    [[ $depth != 4 ]] ||
        judge modes_4_alpha_apart_are_kept_with_a_ramp '$3 == 4'
done
summary
