# shellcheck shell=bash
# Completion for softq and its programs. Options, commands and tasks are what the
# programs say (--print_options, --commands, --tasks, --help): no list stands here.

# The word under the cursor, whole: bash splits words at '='.
_softq_word() {
    local line=${COMP_LINE:0:COMP_POINT}
    echo "${line##*[[:space:]]}"
}

# The options that a script's help speaks of, `=` behind what takes a value.
_softq_script_options() { # softq, command
    "$1" "$2" --help 2>/dev/null | grep -oE -- '--[a-z][a-z_-]+=?' |
        sed 's/^--//; y/-/_/'
}

# Whose options a command takes beside its own.
_softq_program_of() { # command
    case $1 in
    local | cluster | sweep | compare | compose | stress) echo softq-learner ;;
    evaluate | export | gallery) echo softq-actor ;;
    esac
}

# A program that lies beside the command, or is found as the command is.
_softq_beside() { # command as typed, program
    case $1 in
    */*) echo "${1%/*}/$2" ;;
    *) echo "$2" ;;
    esac
}

# The runs of this folder, and every folder on the way to others.
_softq_runs() { # beginning
    local file folders
    compopt -o filenames
    mapfile -t COMPREPLY < <(compgen -d -- "$1")
    [[ $1 != */* ]] || return 0
    folders=("${COMPREPLY[@]}") COMPREPLY=()
    for file in runs/*/config.ini; do
        [[ ! -e $file || $file != "$1"* ]] || COMPREPLY+=("${file%/config.ini}")
    done
    for file in "${folders[@]}"; do
        [[ $file == runs && ${#COMPREPLY[@]} != 0 ]] || COMPREPLY+=("$file")
    done
}

_softq_table() { # program or nothing: its options
    [[ -z $1 ]] || "$1" --print_options 2>/dev/null
}

# Is the word the value of `--name value`? A task may follow `--flag`.
_softq_is_value() { # program or nothing, the word before
    [[ $2 == --[a-z]* ]] || return
    [[ $2 == --resume ]] || _softq_table "$1" | awk -F '\t' -v name="$(_softq_name "$2")" \
        '$1 == name && $2 != "" && $2 != "BOOL" { found = 1 } END { exit !found }'
}

# For `--name=value`, only the value's part is replaced.
_softq_value() { # program or nothing, name, value's beginning
    local kind range
    case $2 in
    resume | run_dir | init_from | evaluate | export | status | audit)
        _softq_runs "$3" && return ;;
    task)
        mapfile -t COMPREPLY < <(compgen -W \
            "$("$(_softq_beside "$softq" softq)" --tasks 2>/dev/null)" -- "$3")
        return
        ;;
    esac
    IFS=$'\t' read -r kind range < <(_softq_table "$1" |
        awk -F '\t' -v name="$2" '$1 == name { print $2 "\t" $3 }')
    case $kind in
    WORD | BOOL)
        mapfile -t COMPREPLY < <(compgen -W "${range//|/ }" -- "$3") ;;
    COUNT | NUMBER | REAL) ;;
    *) mapfile -t COMPREPLY < <(compgen -f -- "$3") && compopt -o filenames ;;
    esac
}

_softq_options() { # program or nothing, further names
    local name=${word#-}
    name=${name#-}
    compopt -o nospace
    mapfile -t COMPREPLY < <(compgen -P -- -W "$2 $(_softq_table "$1" | cut -f 1)" -- \
        "${name//-/_}" | _softq_with_equals "$1")
}

# Each name once, with `=` if it takes a value, else with a space.
_softq_with_equals() { # program or nothing
    awk -F '\t' '
        FILENAME != "-" { if ($2 != "" && $2 != "BOOL") takes["--" $1] = 1; next }
        sub(/=$/, "") { takes[$1] = 1 }
        !seen[$1]++ { names[++n] = $1 }
        END { for (i = 1; i <= n; i++) print names[i] (takes[names[i]] ? "=" : " ") }
    ' <(_softq_table "$1") -
}

_softq_program() {
    local softq=$1 word before=${COMP_WORDS[COMP_CWORD - 1]}
    word=$(_softq_word)
    case $word in
    --*=*) _softq_value "$1" "$(_softq_name "$word")" "${word#*=}" ;;
    -*) _softq_options "$1" '' ;;
    *)
        ! _softq_is_value "$1" "$before" ||
            _softq_value "$1" "$(_softq_name "$before")" "$word"
        ;;
    esac
}

_softq_name() { # --name=value
    local name=${1%%=*}
    name=${name#--}
    echo "${name//-/_}"
}

_softq() {
    local softq=$1 word command=${COMP_WORDS[1]} program
    local before=${COMP_WORDS[COMP_CWORD - 1]}
    word=$(_softq_word)
    if ((COMP_CWORD == 1)); then
        mapfile -t COMPREPLY < <(compgen -W \
            "$("$softq" --commands 2>/dev/null) --help --version" -- "$word")
        return
    fi
    program=$(_softq_program_of "$command")
    program=${program:+$(_softq_beside "$softq" "$program")}
    if [[ $word != -* ]] && _softq_is_value "$program" "$before"; then
        _softq_value "$program" "$(_softq_name "$before")" "$word"
        return
    fi
    case $command:$word in
    *:--*=*) _softq_value "$program" "$(_softq_name "$word")" "${word#*=}" ;;
    *:-*)
        _softq_options "$program" "$(_softq_script_options "$softq" "$command")" ;;
    local:* | sweep:* | stress:*)
        mapfile -t COMPREPLY < <(compgen -W "$("$softq" --tasks 2>/dev/null)" -- "$word"
            compgen -f -X '!*.@(ini|so)' -- "$word")
        ;;
    cluster:* | keys:*)
        if ((COMP_CWORD == 2)); then
            mapfile -t COMPREPLY < <(compgen -W "$("$softq" "$command" --help 2>/dev/null |
                sed -n "s/^  softq $command \([a-z]*\) .*$/\1/p
                    s#^  deploy/$command\.sh \([a-z]*\) .*\$#\1#p")" -- "$word"
                [[ $command == keys ]] || compgen -f -X '!*.ini' -- "$word")
        elif [[ ${COMP_WORDS[2]} == *.ini ]]; then
            mapfile -t COMPREPLY < <(compgen -W \
                "$("$softq" --tasks 2>/dev/null)" -- "$word")
        else
            _softq_runs "$word"
        fi
        ;;
    *) _softq_runs "$word" ;;
    esac
}

complete -F _softq softq
complete -F _softq_program softq-learner softq-actor softq-replay softq-simulate
