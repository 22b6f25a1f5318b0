#!/bin/bash
# deploy/slurm.sbatch under a Slurm of three nodes on this machine: a run that is
# queued again in the middle by scontrol goes on from its checkpoint to its end.
# Slurm, its munge and all files are this test's own, in a network namespace.
set -u
here=$(cd -- "$(dirname -- "$(readlink -f -- "$0")")" && pwd)
# shellcheck source=tests/chaos/net.bash
. "$here/../../chaos/net.bash"
enter_namespaces "$@"
# shellcheck source=tests/system/lib.bash
. "$here/../lib.bash"

export SLURM_CONF=$work/slurm.conf
run=$work/run

needed() {
    local c
    [[ -n ${SOFTQ_NAMESPACES-} ]] || { echo 'no leave to make namespaces' && return; }
    if ((UID != 0)) || [[ $(</proc/self/uid_map) != *4294967295 ]]; then
        echo 'slurmd wants a real root' && return
    fi
    for c in slurmctld slurmd munged; do
        command -v "$c" >/dev/null || { echo "no $c" && return; }
    done
}

start_slurm() {
    local host n
    host=$(uname -n)
    host=${host%%.*}
    # a resolver that finds loopback alone looks for no address at all
    ip link set lo up && ip link add bridge type bridge &&
        ip link set bridge up && ip address add 10.77.0.1/24 dev bridge || return
    mkdir -m 755 "$work/munge" "$work/state"
    chmod 755 "$work"
    head -c 1024 /dev/urandom >"$work/munge/key"
    chmod 600 "$work/munge/key"
    cat >"$SLURM_CONF" <<CONF
ClusterName=softq
SlurmctldHost=$host(10.77.0.1)
SlurmctldPort=16817
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$work/munge/socket
StateSaveLocation=$work/state
SlurmdSpoolDir=$work/spool-%n
SlurmctldPidFile=$work/slurmctld.pid
SlurmdPidFile=$work/slurmd-%n.pid
SlurmctldLogFile=$work/slurmctld.log
SlurmdLogFile=$work/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
ReturnToService=2
SelectType=select/cons_tres
NodeName=n[1-3] NodeHostname=$host NodeAddr=10.77.0.1 Port=[17001-17003] CPUs=2
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
    munged --foreground --force "--key-file=$work/munge/key" \
        "--socket=$work/munge/socket" "--pid-file=$work/munge/pid" \
        "--log-file=$work/munge/log" "--seed-file=$work/munge/seed" \
        >"$work/munge/out" 2>&1 &
    within 10 test -S "$work/munge/socket" || return
    slurmctld -D -f "$SLURM_CONF" >/dev/null 2>&1 &
    for n in 1 2 3; do
        slurmd -D -f "$SLURM_CONF" -N "n$n" >/dev/null 2>&1 &
    done
    disown -a # bash would tell of their deaths
    within 30 nodes_are_idle
}

nodes_are_idle() {
    [[ $(sinfo -h -o %T,%D 2>/dev/null) == idle,3 ]]
}

job_is() { # state
    [[ $(squeue -h -j "$id" -o %T 2>/dev/null) == "$1" ]]
}

job_has_ended() {
    [[ $(scontrol show job "$id") == *JobState=COMPLETED* ]]
}

# Without the two minutes that Slurm gives a job that is queued again, but in
# another second than its end: slurmd tells a job's lives apart by the second, takes
# a new one in it for the killed one, and the job has FAILED with 1:0.
starts_at_once() {
    sleep 1
    scontrol update "jobid=$id" StartTime=now
}

why() {
    scontrol show job "$id" | grep -E 'JobState|Reason|ExitCode'
    grep -h ' error: .*[Jj]ob' "$work"/slurmd-*.log | tail -n 3
    tail -n 15 "$work/job.out" "$run"/tasks/*/logs/*.log
}

a_requeued_run_goes_on() {
    local at limit=1000000
    id=$(cd "$work" && sbatch --parsable --output="$work/job.out" --export=ALL \
        "$root/deploy/slurm.sbatch" multigoal "--run_dir=$run" --actors=2 \
        --units=32 --value_particles=8 --particles_fixed=4 --particles_moved=4 \
        --minibatch=16 --warmup=200 --replay_size=100000 --ratio=0.2 \
        "--max_updates=$limit" --checkpoint_seconds=1) || {
        not_ok 'sbatch'
        return
    }
    if ! within 90 has_updates "$run" 500; then
        not_ok 'a job trains' "$(why 2>&1)"
        return
    fi
    ok 'a job trains'
    within 10 compgen -G "$run/checkpoints/*" >/dev/null
    scontrol requeue "$id"
    if ! within 60 job_is PENDING; then
        not_ok 'requeue ends the tasks' "$(why 2>&1)"
        return
    fi
    at=$(updates_of "$run")
    if gone "$run/bin/"; then
        ok 'requeue ends the tasks'
    else
        not_ok 'requeue ends the tasks' "left: $(processes_of "$run/bin/")"
    fi
    starts_at_once
    if ! within 180 compgen -G "$run/checkpoints/0000000002-*" >/dev/null ||
        ! within 60 has_updates "$run" "$((at + 200))"; then
        not_ok 'it goes on from the checkpoint' "at $at: $(why 2>&1)"
        return
    fi
    ok "it goes on from the checkpoint (at $at, now $(updates_of "$run"))"
}

# The batch shell hears of it a minute before, stops the run and queues the job.
a_time_limit_queues_it_again() {
    local at
    scontrol update "jobid=$id" TimeLimit=2
    if ! within 150 job_is PENDING || ! grep -q 'the time is up' "$work/job.out"; then
        not_ok "${FUNCNAME[0]}" "$(why 2>&1)"
        return
    fi
    at=$(updates_of "$run")
    scontrol update "jobid=$id" TimeLimit=60
    starts_at_once
    if within 180 compgen -G "$run/checkpoints/0000000003-*" >/dev/null &&
        within 60 has_updates "$run" "$((at + 200))"; then
        ok "${FUNCNAME[0]} (at $at, now $(updates_of "$run"))"
    else
        not_ok "${FUNCNAME[0]}" "$(why 2>&1)"
    fi
}

# scancel's SIGTERM to the steps is an orderly stop.
cancel_leaves_no_process() {
    local newest
    scancel "$id"
    if within 45 gone "$run/bin/"; then
        newest=$(cd "$run/checkpoints" && printf '%s\n' * | tail -n 1)
        ok "scancel leaves no process, and $newest"
    else
        not_ok 'scancel leaves no process' "$(processes_of "$run/bin/")"
    fi
}

reason=$(needed)
if [[ -n $reason ]]; then
    skip 'a run under Slurm' "$reason"
    exit 0
fi
if ! start_slurm; then
    not_ok 'a Slurm of three nodes' "$(sinfo 2>&1; tail -n 3 "$work"/*.log)"
    exit 1
fi
a_requeued_run_goes_on
a_time_limit_queues_it_again
cancel_leaves_no_process
summary
