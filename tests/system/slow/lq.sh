#!/bin/bash
# The linear-quadratic problem, whose optimal soft policy is known, learned end
# to end: two temperatures, three seeds each. Ten minutes on two cores.
set -u
# shellcheck source=tests/system/lib.bash
. "$(dirname "$0")/../lib.bash"

one() { # alpha, seed
    local log=$work/$1-$2
    "$(program lq)" "$1" "$2" >"$log" 2>&1
    [[ $? -le 1 ]] || echo "not ok lq (alpha $1, seed $2)" >>"$log"
}

for alpha in 0.03 0.06; do
    jobs=()
    for seed in 1 2 3; do
        one "$alpha" "$seed" &
        jobs+=($!)
    done
    wait "${jobs[@]}"
done

echo '# 128 units, minibatch 64, K = M = 32, 64 uniform proposals, 20000 updates'
echo '# alpha seed states  RMS-Ks  sd1   sd2  mean off %  variance ratios 1, 2,' \
    'their RMS off % 1, 2, within 25 % of %, correlation, exact'
for log in "$work"/0.*; do
    cat "$log"
    ! grep -q '^not ok' "$log" || failures=$((failures + 1))
done
summary
