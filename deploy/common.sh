# shellcheck shell=bash
# What the scripts of this folder share.

: "${here:?is set by the script that reads this}"

# one decimal point for printf, awk and gnuplot
unset LC_ALL
export LC_NUMERIC=C

say() {
    local clear=''
    [[ -t 2 ]] && clear=$'\r\e[K' # what a live progress line left
    printf '%s%s: %s\n' "$clear" "$(basename -- "$0" .sh)" "$*" >&2
}

refuse() {
    say "$@"
    exit 2
}

# The comment at the head of a script.
help() {
    sed -n '/^set /q; 2,$s/^# \{0,1\}//p' "$1"
    exit 0
}

# The absolute path of a run that has begun, or one line and status 1.
existing_run() {
    local run
    run=$(readlink -f -- "$1")
    if [[ ! -d $run ]]; then
        say "there is no run $1"
    elif [[ ! -e $run/config.ini ]]; then
        say "$1 is no run: it has no config.ini"
    else
        echo "$run" && return
    fi
    return 1
}

# The value of `name = value` in an INI file, or nothing.
option_of() { # file, name
    sed -n "s/^$2 *= *//p" "$1" 2>/dev/null | tail -n 1
}

# A number of a flat JSON file, or nothing.
number_of() { # file, name
    sed -n "s/^.*\"$2\":[[:space:]]*\\([-+0-9.eE]*\\).*$/\\1/p" "$1" 2>/dev/null |
        head -n 1
}

newest_checkpoint() { # run
    local list=("$1"/checkpoints/*.safetensors)
    [[ ! -e ${list[-1]} ]] || echo "${list[-1]}"
}

# A run's own copy of a program, else the newest build's.
program() { # run, name
    if [[ -x $1/bin/$2 ]]; then
        echo "$1/bin/$2"
    else
        built "$2"
    fi
}

# SOFTQ_BUILD: another build folder than ours, sanitised for example.
build_folder=${SOFTQ_BUILD:-$here/../build}
built() { echo "$build_folder/$1"; }
