# shellcheck shell=bash
# What cluster.sh looks at on every host before it sends anything; each failure
# in words, with the host and the next step.
# shellcheck disable=SC2154 # cluster.sh's own and those of hosts.sh, launch.sh

: "${here:?}" "${bundle_folder:?}"

need() { option_of "$bundle_folder/bundle.needs" "$1"; } # name

# Is version a at least version b?
at_least() { # a, b
    [[ $(printf '%s\n' "$1" "$2" | sort -V | head -n 1) == "$2" ]]
}

ports_of() { # host
    local port i
    port=$(effective port)
    if [[ ${host[$1/learner]} == yes ]]; then
        echo "$port"
        [[ $(effective http) == false ]] || http_port
    fi
    for ((i = first_shard[$1]; i < first_shard[$1] + ${host[$1/shards]}; i++)); do
        echo $((port + 10 + i))
    done
}

# KiB of a host's rings, for a task whose shape is known here; else 0.
ring_room() { # host
    "$(built softq-actor)" --list-tasks | awk -v task="$task" \
        -v rows="$(effective replay_size)" -v all="$shards" \
        -v here="${host[$1/shards]}" '
        $1 == task { row = 64 + 4 * (2 * $3 + $5) }
        END { printf "%d\n", here * rows / all * row / 1024 }'
}

check_host() { # host
    local h=$1 before after key value ports bad=0
    local -A fact=()
    connect "$h" || return
    mapfile -t ports < <(ports_of "$h")
    before=$(date +%s)
    must "$h" "$name" facts "${host[$h/replay_dir]-}" "${host[$h/cores]-}" \
        "${host[$h/programs]-}" "${ports[@]}" \
        >"$control/$h.facts" || return
    after=$(date +%s)
    while IFS='=' read -r key value; do
        fact[$key]+="${fact[$key]:+ }$value"
    done <"$control/$h.facts"
    check_machine || bad=1
    check_room || bad=1
    check_programs || bad=1
    if [[ -n ${fact[taken]-} && -z ${fact[run]-} ]]; then
        complain "$h" "port ${fact[taken]// /, } is in use there: stop what uses" \
            'it (another run?), or take others by --port=P' || bad=1
    fi
    if [[ $command == launch && -n ${fact[known]-} ]]; then
        complain "$h" "${host[$h/folder]}/runs/$name is there already: deploy/$go_on" \
            'goes on with a run, a new one needs another --run_dir' || bad=1
    fi
    if ((fact[time] < before - 2 || fact[time] > after + 2)); then
        say "$h: its clock is $((fact[time] - after)) s from this machine's: times" \
            'in logs will differ, nothing else'
    fi
    ((bad == 0)) || return
    echo "$h: ${fact[arch]}, glibc ${fact[glibc]}, ${fact[cores]} cores," \
        "$((fact[memory] >> 20)) GiB of memory, $((fact[room] >> 20)) GiB of disk" \
        "free${fact[run]:+, runs already}"
}

# The rest are parts of it: h and fact are its own.
check_machine() {
    local bad=0 f
    if [[ -n ${fact[no_tool]-} ]]; then
        complain "$h" "it has no ${fact[no_tool]// /, }: install coreutils, util-linux" \
            'and tar there' || bad=1
    fi
    if [[ -n ${fact[no_cores]-} ]]; then
        complain "$h" "cores = ${fact[no_cores]}: it has ${fact[cores]} cores, 0 to" \
            "$((fact[cores] - 1))" || bad=1
    fi
    if [[ -n ${host[$h/memory]-} ]] && (($(numfmt --from=iec \
        "${host[$h/memory]}") >> 10 > fact[memory])); then
        complain "$h" "memory = ${host[$h/memory]}: it has" \
            "$((fact[memory] >> 10)) MiB" || bad=1
    fi
    [[ -z ${host[$h/programs]-} ]] || return "$bad"
    if [[ ${fact[arch]} != "$(need arch)" ]]; then
        complain "$h" "its processor is ${fact[arch]}, our programs are for" \
            "$(need arch): build softq there and name their folder by programs =" ||
            bad=1
        return "$bad"
    fi
    if ! at_least "${fact[glibc]:-0}" "$(need glibc)"; then
        complain "$h" "its glibc is ${fact[glibc]:-unknown}, our programs need" \
            "$(need glibc): build on the oldest system, or there (programs =)" ||
            bad=1
    fi
    for f in $(need flags); do
        [[ " ${fact[flags]} " == *" $f "* ]] ||
            complain "$h" "its CPU lacks $f, which our programs use: build there" \
                '(programs =)' || bad=1
    done
    return "$bad"
}

# The bundle twice while it is unpacked, logs and checkpoints, the rings.
check_room() {
    local bad=0 room rings=0
    if [[ -n ${fact[no_folder]-} ]]; then
        complain "$h" "cannot write to ${fact[no_folder]}: another folder =, or its" \
            'rights' || bad=1
    fi
    if [[ -n ${fact[no_replay]-} ]]; then
        complain "$h" "cannot write to ${fact[no_replay]}: another replay_dir =, or" \
            'its rights' || bad=1
    fi
    [[ -n ${fact[rings]-} ]] || rings=$(ring_room "$h")
    room=$((64 << 10))
    [[ -n ${fact[bundle]-} ]] ||
        room=$((room + $(stat -c %s "$bundle_folder/bundle.tar") / 1024))
    if [[ -z ${host[$h/replay_dir]-} ]]; then
        room=$((room + rings))
    elif ((fact[replay_room] < rings)); then
        complain "$h" "$((fact[replay_room] >> 10)) MiB are free for" \
            "${host[$h/replay_dir]}, its rings take $((rings >> 10)) MiB: another" \
            'replay_dir =, or a smaller --replay_size' || bad=1
    fi
    if ((fact[room] < room)); then
        complain "$h" "$((fact[room] >> 10)) MiB are free for" \
            "${host[$h/folder]}, the run takes $((room >> 10)) MiB: make room, or" \
            'another folder =' || bad=1
    fi
    return "$bad"
}

# Of what is there already: the same version as ours, and it starts.
check_programs() {
    local ours there programs
    if [[ -n ${host[$h/programs]-} ]]; then
        ours=$(need version)
        there=${fact[version]#softq-learner }
        if [[ $there != "$ours" ]]; then
            [[ $there =~ ^[0-9]+\. ]] || complain "$h" \
                "${host[$h/programs]}/softq-learner says no version: $there" || return
            if at_least "$there" "$ours"; then
                complain "$h" "${host[$h/programs]} has version $there, this machine" \
                    "the older $ours: update this one, or leave out programs =" ||
                    return
            fi
            complain "$h" "${host[$h/programs]} has the older version $there, this" \
                "machine $ours: update that one, or leave out programs =" || return
        fi
    elif [[ -z ${fact[bundle]-} ]]; then
        return 0
    fi
    mapfile -t programs < <(programs_of "$h")
    on "$h" "$name" verify "${host[$h/programs]-}" "${programs[@]}" \
        2>"$control/$h.said" && return
    complain "$h" "$(tail -n 1 "$control/$h.said"): $(repair)"
}

repair() {
    if [[ -n ${host[$h/programs]-} ]]; then
        echo "install it there, or leave out programs = to be sent ours"
    else
        echo "remove ${host[$h/folder]}/bundles/$bundle there, to be sent it again"
    fi
}
