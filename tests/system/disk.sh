#!/bin/bash
# A disk that is full: at the start exit 2 in words; later warned and tried again
# while training goes on. On a small tmpfs in a mount namespace of the script's
# own.
set -u
if [[ -z ${SOFTQ_NAMESPACES-} ]]; then
    own=(unshare --mount --propagation private)
    ((UID == 0)) || own+=(--user --map-root-user)
    if "${own[@]}" true 2>/dev/null; then
        SOFTQ_NAMESPACES=yes exec "${own[@]}" "$0"
    fi
fi
# shellcheck source=tests/system/lib.bash
. "$(dirname "$0")/lib.bash"

disk=$work/disk
learner=$(program softq-learner)

new_disk() { # size
    umount "$disk" 2>/dev/null
    mkdir -p "$disk"
    mount -t tmpfs -o "size=$1" tmpfs "$disk"
}

# With so many KiB beside the programs that a run keeps copies of.
new_disk_for_a_run() {
    local programs=("$learner" "$(program softq-replay)" "$(program softq-actor)")
    new_disk $(($(du -ck "${programs[@]}" | awk 'END { print $1 }') + $1))k
}

fill_up() {
    top_up
    ! { echo x >"$disk/probe"; } 2>/dev/null || not_ok 'the disk is full' "$(df "$disk")"
    rm -f "$disk/probe"
}

a_learner_does_not_start_on_it() {
    new_disk 64k
    mkdir "$disk/run"
    fill_up
    refuses "${FUNCNAME[0]}" 'No space left' \
        "$learner" --run_dir="$disk/run" --task=multigoal --progress=none
}

# Nothing of the ring is left, or the next start would find a cut one.
a_ring_that_does_not_fit_is_refused() {
    local run=$disk/run status
    new_disk_for_a_run 4096
    timeout -k 2 $((120 * pace)) "$root/deploy/local.sh" multigoal "${small[@]}" \
        --replay_size=1000000 --run_dir="$run" >"$work/out" 2>"$work/err" \
        </dev/null
    status=$?
    if [[ $status == 2 ]] && grep -qi 'ring: no space' "$work/err" &&
        ! compgen -G "$run/replay/*" >/dev/null; then
        ok "${FUNCNAME[0]}"
    else
        not_ok "${FUNCNAME[0]}" "status $status, $(ls "$run/replay"): \
$(tail -n 3 "$work/err")"
    fi
    within 12 gone "$disk" || not_ok "${FUNCNAME[0]}" 'processes stay behind'
}

status_of() { # run, figure
    "$learner" --status="$1" 2>/dev/null | awk -v name="$2" '$1 == name { print $2 }'
}

says() { # run, words
    grep -qE "$2" "$1/logs/learner.log"
}

# All there is: a checkpoint that replaces an older one leaves its room again.
top_up() {
    dd if=/dev/zero of="$disk/ballast" bs=4096 oflag=append conv=notrunc \
        2>/dev/null
}

full_and_says() { # run, words
    top_up
    says "$@"
}

updates_beyond() { # run, how many
    to=$(status_of "$1" updates)
    [[ -n $to ]] && ((to > $2))
}

# The last page of a file is full, so that its next byte wants a new one.
fill_page() { # file
    local size
    size=$(stat -c %s "$1")
    head -c $((4096 - size % 4096)) /dev/zero | tr '\0' '\n' >>"$1"
}

has_new_checkpoint() { # run, written before
    local written
    written=$(status_of "$1" checkpoints_written)
    [[ -n $written ]] && ((written > $2))
}

training_goes_on_without_it() {
    local run=$disk/run from to written bad learner_pid
    new_disk_for_a_run 12288
    launch "$run" --max_updates=0 --replay_size=20000
    if ! within 60 has_updates "$run" 100; then
        not_ok "${FUNCNAME[0]}" "did not start: $(tail -n 3 "$run.err")"
        return
    fi
    learner_pid=$(pids_of "$run" softq-learner)
    kill -STOP "$learner_pid" # or it would begin a page, or remove a checkpoint
    fill_page "$run/progress.csv"
    fill_page "$run/logs/shard-0.log"
    fill_up
    kill -CONT "$learner_pid"
    within 30 full_and_says "$run" \
        'checkpoint at .* No space left .* trying again' ||
        not_ok "${FUNCNAME[0]}" 'no word of the checkpoint'
    within 30 full_and_says "$run" 'progress.csv: No space left' ||
        not_ok "${FUNCNAME[0]}" 'no word of progress.csv'
    within 30 full_and_says "$run" 'state: No space left .* trying again' ||
        not_ok "${FUNCNAME[0]}" 'no word of RUN/state'
    from=$(status_of "$run" updates)
    within 30 updates_beyond "$run" "${from:-0}" ||
        not_ok "${FUNCNAME[0]}" "from $from to $to updates"
    written=$(status_of "$run" checkpoints_written)
    rm "$disk/ballast"
    within 30 has_new_checkpoint "$run" "$written" ||
        not_ok "${FUNCNAME[0]}" 'no checkpoint since there is room'
    goes_on "$run" || not_ok "${FUNCNAME[0]}" 'progress.csv stands still'
    kill -INT "$launcher"
    finish "$launcher" 30
    bad=$(awk -F, 'NR == 1 { n = NF } NF != n && NF > 0' "$run/progress.csv")
    if [[ $status != 0 ]]; then
        not_ok "${FUNCNAME[0]}" "status $status: $(tail -n 3 "$run.err")"
    elif [[ -n $bad ]]; then
        not_ok "${FUNCNAME[0]}" "rows that are cut or run together: $bad"
    else
        ok "${FUNCNAME[0]} ($from to $to updates)"
    fi
}

if ! new_disk 64k; then
    skip 'full disks' 'no leave to mount a tmpfs'
    exit 0
fi
a_learner_does_not_start_on_it
a_ring_that_does_not_fit_is_refused
training_goes_on_without_it
umount "$disk"
summary
