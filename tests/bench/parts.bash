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

sum() { awk '{ s += $1 } END { printf "%.6g", s }'; }

quotient() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.6g", a / b }'; }

# On the first so many processors.
on_cores() { # n, command...
    local n=$1
    shift
    taskset -c "0-$((n - 1))" "$@"
}

# -- peers that take turns (tests/bench/peers/turns.py) --

declare -A turns_of=() turns_to=() turns_from=() # of NAME; of NAME.0, ...

# 0 when it is ready.
start_one() { # name, command...
    local name=$1 line='' to from
    shift
    mkfifo "$work/$name.to" "$work/$name.from"
    # MuJoCo for Python leaves MUJOCO_LOG.TXT where it stands
    (cd -- "$work" && "$@" <"$name.to" >"$name.from" 2>>log) &
    exec {to}>"$work/$name.to" {from}<"$work/$name.from"
    turns_to[$name]=$to turns_from[$name]=$from
    rm -f -- "$work/$name.to" "$work/$name.from"
    while [[ $line != ready ]]; do
        IFS= read -r -t 600 line <&"$from" || return 1
    done
}

# So many processes, which take their turns at once; 0 when all are ready.
start_turns() { # n, name, command...
    local n=$1 name=$2
    shift 2
    for ((turns_of[$name] = 0; turns_of[$name] < n; turns_of[$name]++)); do
        start_one "$name.${turns_of[$name]}" "$@" || {
            turns_of[$name]=$((turns_of[$name] + 1))
            stop_turns "$name"
            return 1
        }
    done
}

take_turn() { # name, number of its objects: the processes' sum
    local name=$1 i x numbers=()
    for ((i = 0; i < turns_of[$name]; i++)); do
        echo go >&"${turns_to[$name.$i]}" || return 1
    done
    for ((i = 0; i < turns_of[$name]; i++)); do
        IFS= read -r -t 600 -u "${turns_from[$name.$i]}" &&
            x=$(number_in "$REPLY" "$2") || return 1
        numbers+=("$x")
    done
    printf '%s\n' "${numbers[@]}" | sum
}

stop_turns() { # name...
    local name i to from
    for name; do
        for ((i = 0; i < turns_of[$name]; i++)); do
            to=${turns_to[$name.$i]} from=${turns_from[$name.$i]}
            exec {to}>&- {from}<&-
        done
        unset "turns_of[$name]"
    done
}

# All of ours and theirs, one after the other, as many times as there are
# rounds. ours: a function that records; peers: NAME by start_turns.
interleave() { # part, row, unit, key, ours..., --, peer...
    local part=$1 row=$2 unit=$3 key=$4 ours=() peer
    shift 4
    while [[ $1 != -- ]]; do
        ours+=("$1")
        shift
    done
    shift
    for ((round = 1; round <= rounds; round++)); do
        "${ours[@]}"
        for peer; do
            [[ -n ${turns_of[$peer]-} ]] || continue
            record "$part" "$row" "$unit" "${peer_names[$peer]}" peer \
                "$(take_turn "$peer" "$key" || log_end)"
        done
    done
    round=1
    stop_turns "${!turns_of[@]}"
}

# -- learner --

readonly -A peer_names=([eager]='PyTorch' [eager-chunks]='PyTorch in chunks'
    [compiled]='PyTorch compiled' [tuned]='PyTorch compiled, max-autotune'
    [jax]='JAX' [jax-chunks]='JAX in chunks'
    [sync]='Gymnasium sync' [async]='Gymnasium async, 16 processes'
    [envpool]='EnvPool' [envpool-async]='EnvPool async, batches of 8')

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

# A thread's rows in chunks: two layers of 256 units fill an L2 of 1 MiB.
readonly chunk_rows=512

# PyTorch as fast as it goes: sets with.
torch_with() { # threads
    with=(env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE
        OMP_NUM_THREADS="$1" MKL_NUM_THREADS="$1"
        GOMP_CPU_AFFINITY="0-$(($1 - 1))"
        TORCHINDUCTOR_CACHE_DIR="$peers/inductor"
        LD_PRELOAD="$jemalloc"
        MALLOC_CONF="$malloc_conf")
}

start_learner_peer() { # of peer_names, threads, options...
    local kind=$1 threads=$2 script=sql_torch.py with
    shift 2
    torch_with "$threads"
    case $kind in
    compiled) set -- "$@" --compile=1 ;;
    tuned) set -- "$@" --compile=2 ;;
    jax*)
        script=sql_jax.py
        ((threads > 1)) ||
            with+=(XLA_FLAGS=--xla_cpu_multi_thread_eigen=false)
        ;;
    esac
    [[ $kind != *-chunks ]] || set -- "$@" --chunk_rows=$((chunk_rows * threads))
    start_turns 1 "$kind" on_cores "$threads" "${with[@]}" \
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
    local cases=("${learner_cases[@]}") kinds
    [[ -z $quick || -n $only ]] || cases=("${cases[@]:0:3}")
    for case in "${cases[@]}"; do
        [[ $case == *"$only"* ]] || continue
        read -ra options <<<"${case#*|}"
        for ((threads = 1; threads <= some_threads; threads++)); do
            name="${case%%|*}, $threads thread$([[ $threads == 1 ]] || echo s)"
            say "learner: $name"
            kind=limit
            [[ $threads != 1 || $case != *paper* ]] || kind=gate
            kinds=(eager eager-chunks compiled tuned jax jax-chunks)
            # of whose passes none is of many actions
            [[ $case != DDPG* ]] || kinds=(eager compiled tuned jax)
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

numbers_of() { # name: of the objects in $work/said
    local line
    while read -r line; do
        number_in "$line" "$1"
    done <"$work/said"
}

sum_of() { numbers_of "$1" | sum; }

most_of() { numbers_of "$1" | sort -g | tail -n 1; }

rollout_ours() { # row, task, processes, threads of each
    local clock=() # as the peers' (environments.py)
    (($3 * $4 == 1)) || clock=(--wall)
    side_by_side "$3" on_cores $(($3 * $4)) "$rollout" --json "${clock[@]}" \
        --threads="$4" "$turn_seconds" "$2"
    record actor "$1" steps/s 'softq, with its policy' ours \
        "$(sum_of steps_per_s)"
    # one thread's, by as many as there are
    record actor "$1" steps/s 'mj_step and sgemm alone' limit \
        "$(sum_of bare_steps_per_s | awk -v n="$4" '{ print n * $1 }')"
    BENCH_MUJOCO=$(word_in "$(<"$work/said")" mujoco)
    export BENCH_MUJOCO
}

actor_row() { # row, task, processes, threads of each, peers...
    local row=$1 task=$2 processes=$3 threads=$4 peer
    shift 4
    say "actor: $row"
    for peer; do
        if [[ -n $no_peers ]]; then
            record actor "$row" steps/s "${peer_names[$peer]}" peer "$no_peers"
        elif ! start_turns "$processes" "$peer" \
            on_cores $((processes * threads)) "$peers/python/bin/python" \
            "$root/tests/bench/peers/environments.py" \
            "$peer" "$task" "$processes" "$threads" "$turn_seconds"; then
            record actor "$row" steps/s "${peer_names[$peer]}" peer "$(log_end)"
        fi
    done
    interleave actor "$row" steps/s steps_per_s rollout_ours "$row" "$task" \
        "$processes" "$threads" -- "$@"
}

part_actor() {
    local tasks=(swimmer half-cheetah ant) task n
    rollout=$build/tests/bench/bench_rollout
    if [[ -z $no_peers ]]; then
        say 'actor: builds with the MuJoCo of the peers'
        (build_with_mujoco_of "$peers/python" "$work/mujoco" \
            tests/bench/bench_rollout) || exit 2
        rollout=$work/mujoco/tests/bench/bench_rollout
    fi
    [[ -z $quick ]] || tasks=(half-cheetah)
    n=$some_threads
    for task in "${tasks[@]}"; do
        actor_row "$task, a process of 16 environments, 1 core" "$task" 1 1 \
            sync envpool
        ((n > 1)) || continue
        actor_row "$task, $n processes of 16 environments each, $n cores" \
            "$task" "$n" 1 sync envpool
        actor_row "$task, a process of 16 environments, $n threads, $n cores" \
            "$task" 1 "$n" async envpool envpool-async
    done
}

# -- replay --

shard_ours() { # row, shards, bench_shard's arguments...
    local row=$1 n=$2 which what
    shift 2
    side_by_side "$n" "$build/tests/bench/bench_shard" --json --port=56@0 "$@"
    record replay "$row" rows/s softq ours "$(sum_of rows_per_s)"
    record replay "$row" rows/s 'ZeroMQ alone' limit \
        "$(sum_of zeromq_rows_per_s)"
    [[ $row != *'and'* ]] || record replay "$row" 1/s 'minibatches of 64' note \
        "$(sum_of minibatches_per_s)"
    for which in insert sample; do
        [[ $row == *"$which"* ]] || continue
        for what in p50 p99; do
            record replay "$row" ms "$which $what, the worst shard's" note \
                "$(most_of "${which}_ms_$what")"
        done
    done
}

reverb_rows() { # row, kind
    local said why api
    local -A names=([trajectory]='Reverb' [step]='Reverb, Writer, Timesteps')
    for api in trajectory step; do
        said='' why=$no_reverb
        if [[ -z $why ]]; then
            said=$(TF_CPP_MIN_LOG_LEVEL=3 timeout 300 \
                "$peers/reverb/bin/python" \
                "$root/tests/bench/peers/reverb_rows.py" "$2" "$api" \
                "$shard_seconds" 5690 2>>"$work/log" | tail -n 1) || said=''
            why=$(log_end)
        fi
        record replay "$1" rows/s "${names[$api]}" peer \
            "$(number_in "$said" rows_per_s || echo "$why")"
    done
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
