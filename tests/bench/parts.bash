# Sourced by tests/bench.sh: its parts, each writing records for table.py; those
# that are whole runs are in runs.bash.
# shellcheck shell=bash

: "${root:?}" "${build:?}" "${work:?}" "${rounds:?}" "${quick?}" "${only?}"
peers=${peers-} no_peers='' no_reverb='' jemalloc='' # set up by tests/bench.sh
cores=$(nproc)
some_threads=$((cores > 1 ? 2 : 1)) # as many as are compared, from 1
round=1
# of a turn; of bench_update; of bench_ring; of a shard
turn_seconds=4 update_rounds=40 ring_rows=1000000 shard_seconds=6
[[ -z $quick ]] ||
    turn_seconds=0.5 update_rounds=6 ring_rows=100000 shard_seconds=1

record() { # part, row, unit, who, kind, value or why not
    printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "${@:1:5}" "$round" "$6" \
        >>"$work/records"
}

# A number of an object in one line, or nothing.
number_in() { # JSON, name
    [[ $1 =~ \"$2\":\ *([-+0-9.eE]+) ]] && echo "${BASH_REMATCH[1]}"
}

word_in() { # JSON, name
    [[ $1 =~ \"$2\":\ *\"([^\"]*)\" ]] && echo "${BASH_REMATCH[1]}"
}

log_end() { grep -v '^[[:space:]]*$' "$work/log" | tail -n 1; }

quotient() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.6g", a / b }'; }

# On the first so many processors.
on_cores() { # n, command...
    local n=$1
    shift
    taskset -c "0-$((n - 1))" "$@"
}

# -- peers that take turns (tests/bench/peers/turns.py) --

declare -A turns_to=() turns_from=()

# 0 when it is ready.
start_turns() { # name, command...
    local name=$1 line='' to from
    shift
    mkfifo "$work/$name.to" "$work/$name.from"
    # MuJoCo for Python leaves MUJOCO_LOG.TXT where it stands
    (cd -- "$work" && "$@" <"$name.to" >"$name.from" 2>>log) &
    exec {to}>"$work/$name.to" {from}<"$work/$name.from"
    turns_to[$name]=$to turns_from[$name]=$from
    rm -f -- "$work/$name.to" "$work/$name.from"
    while [[ $line != ready ]]; do
        IFS= read -r -t 600 line <&"$from" || {
            stop_turns "$name"
            return 1
        }
    done
}

take_turn() { # name: its object
    echo go >&"${turns_to[$1]}" && IFS= read -r -t 600 -u "${turns_from[$1]}" &&
        echo "$REPLY"
}

stop_turns() { # name...
    local name to from
    for name; do
        to=${turns_to[$name]} from=${turns_from[$name]}
        exec {to}>&- {from}<&-
        unset "turns_to[$name]" "turns_from[$name]"
    done
}

# All of ours and theirs, one after the other, as many times as there are
# rounds. ours: a function that records; peers: NAME by start_turns.
interleave() { # part, row, unit, key, ours..., --, peer...
    local part=$1 row=$2 unit=$3 key=$4 ours=() peer said
    shift 4
    while [[ $1 != -- ]]; do
        ours+=("$1")
        shift
    done
    shift
    for ((round = 1; round <= rounds; round++)); do
        "${ours[@]}"
        for peer; do
            [[ -n ${turns_to[$peer]-} ]] || continue
            said=$(take_turn "$peer")
            record "$part" "$row" "$unit" "${peer_names[$peer]}" peer \
                "$(number_in "$said" "$key" || log_end)"
        done
    done
    round=1
    stop_turns "${!turns_to[@]}"
}

# -- learner --

readonly -A peer_names=([eager]='PyTorch' [compiled]='PyTorch compiled'
    [jax]='JAX' [sync]='Gymnasium sync' [async]='Gymnasium async'
    [envpool]='EnvPool')

learner_cases=(
    'SQL, 28/8 dimensions, paper|'
    'SQL, 8/2 dimensions, paper|--observation_dim=8 --action_dim=2'
    'DDPG, 28/8 dimensions|--algorithm=ddpg'
    'SQL, 256 units, minibatch 256|--units=256 --minibatch=256'
    'SQL, 128 units, 16 particles|--units=128 --particles_fixed=16 --particles_moved=16 --value_particles=16'
    'SQL, sampler proposals|--value_proposals=sampler --proposal_switch=0'
)

# as PyTorch's own tuning guide has it
readonly malloc_conf=oversize_threshold:1,background_thread:true,metadata_thp:auto,dirty_decay_ms:-1,muzzy_decay_ms:-1

start_learner_peer() { # eager|compiled|jax, threads, options...
    local kind=$1 threads=$2 script=sql_torch.py
    shift 2
    local with=(env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE
        OMP_NUM_THREADS="$threads" MKL_NUM_THREADS="$threads"
        GOMP_CPU_AFFINITY="0-$((threads - 1))"
        TORCHINDUCTOR_CACHE_DIR="$peers/inductor"
        LD_PRELOAD="$jemalloc"
        MALLOC_CONF="$malloc_conf")
    case $kind in
    compiled) set -- "$@" --compile=1 ;;
    jax)
        script=sql_jax.py
        ((threads > 1)) ||
            with+=(XLA_FLAGS=--xla_cpu_multi_thread_eigen=false)
        ;;
    esac
    start_turns "$kind" on_cores "$threads" "${with[@]}" \
        "$peers/python/bin/python" "$root/tests/bench/peers/$script" \
        --threads="$threads" --seconds="$turn_seconds" "$@"
}

update_ours() { # row, threads, kind of limit, options...
    local row=$1 threads=$2 kind=$3 said rate
    shift 3
    said=$(on_cores "$threads" "$build/tests/bench/bench_update" --json \
        --rounds="$update_rounds" --threads="$threads" "$@") ||
        refuse 'bench_update failed'
    BENCH_BLAS_CORE=$(word_in "$said" blas_core)
    export BENCH_BLAS_CORE
    rate=$(number_in "$said" updates_per_s)
    record learner "$row" 1/s softq ours "$rate"
    record learner "$row" 1/s sgemm "$kind" \
        "$(quotient "$rate" "$(number_in "$said" ratio_median)")"
    ((threads == 1)) || record learner "$row" times 'scaling, over that of sgemm' \
        note "$(number_in "$said" scaling_ratio_median)"
}

part_learner() {
    local case name threads kind peer options
    local cases=("${learner_cases[@]}") kinds=(eager compiled jax)
    [[ -z $quick ]] || cases=("${cases[@]:0:3}")
    for case in "${cases[@]}"; do
        [[ $case == *"$only"* ]] || continue
        read -ra options <<<"${case#*|}"
        for ((threads = 1; threads <= some_threads; threads++)); do
            name="${case%%|*}, $threads thread$([[ $threads == 1 ]] || echo s)"
            say "learner: $name"
            kind=limit
            [[ $threads != 1 || $case != *paper* ]] || kind=gate
            for peer in "${kinds[@]}"; do
                if [[ -n $no_peers ]]; then
                    record learner "$name" 1/s "${peer_names[$peer]}" peer \
                        "$no_peers"
                elif ! start_learner_peer "$peer" "$threads" "${options[@]}"; then
                    record learner "$name" 1/s "${peer_names[$peer]}" peer \
                        "$(log_end)"
                fi
            done
            interleave learner "$name" 1/s updates_per_s update_ours "$name" \
                "$threads" "$kind" "${options[@]}" -- "${kinds[@]}"
        done
    done
}

# -- actor --

# A program so many times at once; their objects in $work/said, a line each.
side_by_side() { # n, command...; @ in it is which
    local n=$1 i pids=() failed=''
    shift
    for ((i = 0; i < n; i++)); do
        "${@//@/$i}" >"$work/said-$i" 2>>"$work/log" &
        pids+=($!)
    done
    for i in "${pids[@]}"; do
        wait "$i" || failed=yes
    done
    cat "$work"/said-* >"$work/said" && rm -f -- "$work"/said-*
    [[ -z $failed ]] || refuse "$1 failed: $(log_end)"
}

sum_of() { # name: of the objects in $work/said
    local line
    while read -r line; do
        number_in "$line" "$1"
    done <"$work/said" | awk '{ s += $1 } END { printf "%.6g", s }'
}

rollout_ours() { # row, task, processes
    local clock=() # as the peers' (turns.py)
    (($3 == 1)) || clock=(--wall)
    side_by_side "$3" on_cores "$3" "$rollout" --json "${clock[@]}" \
        "$turn_seconds" "$2"
    record actor "$1" steps/s 'softq, with its policy' ours \
        "$(sum_of steps_per_s)"
    record actor "$1" steps/s 'mj_step and sgemm alone' limit \
        "$(sum_of bare_steps_per_s)"
    BENCH_MUJOCO=$(word_in "$(<"$work/said")" mujoco)
    export BENCH_MUJOCO
}

part_actor() {
    local tasks=(swimmer half-cheetah ant) task n row peer kinds
    rollout=$build/tests/bench/bench_rollout
    if [[ -z $no_peers ]]; then
        say 'actor: builds with the MuJoCo of the peers'
        (build_with_mujoco_of "$peers/python" "$work/mujoco" \
            tests/bench/bench_rollout) || exit 2
        rollout=$work/mujoco/tests/bench/bench_rollout
    fi
    [[ -z $quick ]] || tasks=(half-cheetah)
    for task in "${tasks[@]}"; do
        for ((n = 1; n <= some_threads; n++)); do
            row="$task, 16 environments a process, $n core$([[ $n == 1 ]] || echo s)"
            say "actor: $row"
            kinds=(sync envpool)
            ((n == 1)) || kinds=(async envpool)
            for peer in "${kinds[@]}"; do
                if [[ -n $no_peers ]]; then
                    record actor "$row" steps/s "${peer_names[$peer]}" peer \
                        "$no_peers"
                elif ! start_turns "$peer" on_cores "$n" \
                    "$peers/python/bin/python" \
                    "$root/tests/bench/peers/environments.py" \
                    "$peer" "$task" "$n" "$turn_seconds"; then
                    record actor "$row" steps/s "${peer_names[$peer]}" peer \
                        "$(log_end)"
                fi
            done
            interleave actor "$row" steps/s steps_per_s rollout_ours "$row" \
                "$task" "$n" -- "${kinds[@]}"
        done
    done
}

# -- replay --

shard_ours() { # row, shards, bench_shard's arguments...
    local row=$1 n=$2 said which
    shift 2
    side_by_side "$n" "$build/tests/bench/bench_shard" --json --port=56@0 "$@"
    record replay "$row" rows/s softq ours "$(sum_of rows_per_s)"
    record replay "$row" rows/s 'ZeroMQ alone' limit \
        "$(sum_of zeromq_rows_per_s)"
    said=$(head -n 1 "$work/said")
    [[ $row != *'and'* ]] || record replay "$row" 1/s 'minibatches of 64' note \
        "$(sum_of minibatches_per_s)"
    for which in insert sample; do
        [[ $row == *"$which"* ]] || continue
        record replay "$row" ms "$which p50" note \
            "$(number_in "$said" "${which}_ms_p50")"
        record replay "$row" ms "$which p99" note \
            "$(number_in "$said" "${which}_ms_p99")"
    done
}

reverb_rows() { # row, kind
    local said why=$no_reverb
    if [[ -z $why ]]; then
        said=$(TF_CPP_MIN_LOG_LEVEL=3 timeout 300 "$peers/reverb/bin/python" \
            "$root/tests/bench/peers/reverb_rows.py" "$2" "$shard_seconds" 5690 \
            2>>"$work/log" | tail -n 1) || said=''
        why=$(log_end)
    fi
    record replay "$1" rows/s Reverb peer \
        "$(number_in "$said" rows_per_s || echo "$why")"
}

ring_ours() { # seconds are set by the rows
    local said what
    said=$("$build/tests/bench/bench_ring" --json "$ring_rows" /dev/shm) ||
        refuse 'bench_ring failed'
    said=${said##*$'\n'}
    for what in insert sample; do
        record replay "the ring, ${what}s of 328 bytes" rows/s softq ours \
            "$(number_in "$said" "$what")"
        record replay "the ring, ${what}s of 328 bytes" rows/s memcpy limit \
            "$(number_in "$said" "${what}_memcpy")"
    done
}

part_replay() {
    local kind n curve row arguments
    local kinds=(insert 'insert and sample' sample) shards=(1 4)
    [[ -z $quick ]] || shards=(1)
    for ((round = 1; round <= rounds; round++)); do
        say "replay: round $round of $rounds"
        ring_ours
        for kind in "${kinds[@]}"; do
            for n in "${shards[@]}"; do
                for curve in '' --curve; do
                    row="$kind, $n shard$([[ $n == 1 ]] || echo s)${curve:+, CURVE}"
                    arguments=(${curve:+"$curve"})
                    [[ $kind != sample ]] || arguments+=(--sample)
                    arguments+=("$shard_seconds" 0 /dev/shm)
                    [[ $kind != *and* ]] || arguments[-2]=2000
                    shard_ours "$row" "$n" "${arguments[@]}"
                    [[ $n$curve != 1 ]] || reverb_rows "$row" \
                        "${kind/insert and sample/both}"
                done
            done
        done
    done
    round=1
}
