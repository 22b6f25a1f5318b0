# shellcheck shell=bash
# shellcheck disable=SC2154 # stress.sh sets what is read
# What a stress run comes to: the table at its end and the verdict. Sourced by
# stress.sh, whose run, counts and options it reads.

failed=''
judge() { # ok or not, claim
    if [[ $1 == ok ]]; then
        echo "ok      $2"
    else
        echo "NOT OK  $2"
        failed=yes
    fi
}

value_of() { # name, in lines "name value" on stdin
    awk -v name="$1" '$1 == name { v = $2 } END { print v }'
}

latencies() { # name in words, prefix, lines
    awk -v words="$1" -v p="$2" '
        { v[$1] = $2 }
        END {
            printf "%-28s %10d  p50 %.2f  p95 %.2f  p99 %.2f  p99.9 %.2f ms\n",
                words, v[p "s"], v[p "_us_p50"] / 1e3, v[p "_us_p95"] / 1e3,
                v[p "_us_p99"] / 1e3, v[p "_us_p999"] / 1e3
        }' <<<"$3"
}

# Of each process that lived from half time to the end: KiB there and now, and
# the slope of a least-squares line between, in % of the first an hour.
growth() {
    awk -F, -v half=$((seconds / 2)) '
        NR > 1 {
            key = $2 " " $3
            if ($1 <= half || !(key in at)) at[key] = $4
            if ($1 <= half) seen[key] = 1
            else {
                n[key]++
                x = $1 - half
                y = $4 - at[key]
                sx[key] += x; sy[key] += y
                sxx[key] += x * x; sxy[key] += x * y
            }
            now[key] = $4
            t[key] = $1
            if ($1 > end) end = $1
        }
        END {
            for (key in now) {
                if (!seen[key] || t[key] < end) continue
                split(key, k, " ")
                d = n[key] * sxx[key] - sx[key] ^ 2
                slope = d > 0 ? (n[key] * sxy[key] - sx[key] * sy[key]) / d : 0
                print k[1], at[key], now[key], slope * 3600 / at[key] * 100
            }
        }' "$run/rss.csv"
}

report_memory() {
    local grown steep
    echo
    growth | awk '
        { role = $1; sub(/-.*/, "", role); n[role]++; from[role] += $2; to[role] += $3
          d = $3 - $2
          if (!(role in most) || d > most[role]) { most[role] = d; who[role] = $1 }
          if (!(role in slope) || $4 > slope[role]) slope[role] = $4 }
        END {
            for (role in n)
                printf "RssAnon %-8s %5d processes  half time %.1f MiB  end %.1f MiB  most grown %s %+d KiB  steepest %+.2f %% an hour\n",
                    role, n[role], from[role] / 1024, to[role] / 1024, who[role], most[role], slope[role]
        }'
    grown=$(growth | awk '
        { d = $3 - $2; allowed = $2 / 100 > 256 ? $2 / 100 : 256
          if (d > allowed) { n++; list = list " " $1 " +" d } }
        END { if (n) print n " processes:" substr(list, 1, 200) }')
    if [[ -n $grown ]]; then
        echo "grown by more than max(256 KiB, 1 %) in the second half: $grown"
        ((seconds < 600)) || [[ -n $faults ]] || judge no 'no process grows'
    elif ((seconds >= 600)); then
        judge ok 'no process grows'
    fi
    ((seconds >= 3600)) && [[ -z $faults ]] || return 0
    steep=$(growth | awk '$4 >= 1 { n++; list = list " " $1 " " $4 }
        END { if (n) print n " processes:" substr(list, 1, 200) }')
    if [[ -n $steep ]]; then
        judge no "no process grows by 1 % an hour: $steep"
    else
        judge ok 'no process grows by 1 % an hour'
    fi
}

# What --report needs again.
keep_facts() {
    local name
    printf '%s\n' "${final-}" >"$run/status.txt"
    for name in actors seconds simulated faults audit served_most early; do
        echo "$name ${!name}"
    done >"$run/facts.txt"
}

recall_facts() {
    local name value
    run=$(existing_run "$reported") || exit 2
    [[ -e $run/facts.txt && -d $run/replay ]] ||
        refuse "$reported was not kept: run deploy/stress.sh with --keep"
    final=$(<"$run/status.txt")
    while read -r name value; do
        declare -g "$name=$value"
    done <"$run/facts.txt"
}

report() {
    local text=$final own verdict
    echo
    if [[ -n $simulated ]]; then
        own=$(grep -v -- '^----' "$run/logs/actor-all.log")
        latencies 'inserts, all with parameters' insert "$own"
        latencies 'pulls, all with parameters' pull "$own"
        echo "held back (no room, or not yet joined): $(value_of held_batches \
            <<<"$own") batches"
    else
        latencies 'inserts' insert "$text"
        latencies 'pulls' pull "$text"
    fi
    latencies 'minibatches' sample "$text"
    awk -F, 'NR > 1 && $4 > 0 { n++; s += $4; u += $5 }
        END { if (n) printf "throughput: %.0f rows/s stored, %.0f updates/s\n", s / n, u / n }' \
        "$run/stress.csv"
    awk '$1 == "shard" { for (i = 5; i < NF; i += 2) v[$i] += $(i + 1) }
        END { printf "stored %d  duplicate batches asked again %d  refused %d  busy %d (shards, since each last started)\n",
            v["stored"], v["duplicates"], v["refused"], v["busy"] }' <<<"$text"
    report_memory
    echo
    [[ -z $early ]] || judge no "the run lasted: $early"
    if (($(value_of updates <<<"$text") + 0 > 0)); then
        judge ok 'the learner updates'
    else
        judge no 'the learner updates'
    fi
    if ((served_most >= actors)); then
        judge ok "every actor was served parameters ($served_most)"
    else
        judge no "every actor was served parameters: $served_most of $actors"
    fi
    [[ -n $audit ]] || return
    if verdict=$("$run/bin/softq-replay" "--audit=$run" \
        "--ledger=$run/ledger" 2>&1); then
        judge ok 'every acknowledged row is stored'
    else
        judge no 'every acknowledged row is stored'
    fi
    echo "$verdict" >"$run/audit.txt"
    grep -E '^(sent_rows|acked_rows|missing_rows|altered_rows|duplicate_batches|overwritten_batches) ' \
        "$run/audit.txt" | tr '\n' ' '
    echo
    [[ -z $failed ]] || head -n 20 "$run/audit.txt"
}
