#!/bin/bash
# The README against the project, in seconds: every command's program is there and
# knows its options, the table of options has the defaults, examples are the files
# that they stand for, links lead somewhere, quoted words are said, and a live run has the columns and the
# metrics of the tables, no more and no fewer. slow/readme.sh runs the commands.
# not sanitised: what it reads is the same
# shellcheck disable=SC2016 # ` of Markdown
set -u
here=$(cd -- "$(dirname -- "$(readlink -f -- "$0")")" && pwd)
# shellcheck source=tests/system/lib.bash
. "$here/lib.bash"
# shellcheck source=tests/system/readme.bash
. "$here/readme.bash"

readme=$root/README.md run=$work/run
cd "$root" || exit 1

# What is between ` and ` outside of the blocks, one a line.
spans() {
    sed '/^```/,/^```$/d; /^<!--/,/^-->/d' "$readme" | grep -o '`[^`]*`' | tr -d '`'
}

# A block of that language that has these words.
block_with() { # language, words
    awk -v start="^\`\`\`$1\$" -v words="$2" '
        $0 ~ start { inside = 1; text = ""; next }
        inside && /^```$/ { inside = 0; if (index(text, words)) printf "%s", text }
        inside { text = text $0 "\n" }' "$readme"
}

# The names in the first cells of the tables with that head, or of the one that is
# the NTH: what is between ` and `.
names_of_tables() { # head, NTH
    awk -v head="$1" -v nth="${2-}" -F '|' '
        index($0, head) == 1 { inside = !nth || ++seen == nth; next }
        inside && !/^\|/ { inside = 0 }
        inside && !/^\|-/ { print $2 }' "$readme" | grep -o '`[^`]*`' | tr -d '`'
}

# -- commands and options --

declare -A ours=()
for name in softq-{learner,actor,replay,simulate}; do
    ours[$name]=$(program "$name")
done

# A script's own words about itself.
help_of() { # file
    sed -n '/^set /q; 2,$s/^# \{0,1\}//p' "$1"
}

# --name of the options that a command or some text has, - and _ being the same.
options_in() {
    grep -oE '(^|[[:space:](["])--[A-Za-z][A-Za-z_-]*' | grep -o -- '--.*' |
        tr - _ | sed 's/^__/--/' | sort -u
}

# The first program of a command that is ours: its file here.
program_in() { # command
    local word
    for word in $1; do
        case $word in
        deploy/*.sh | deploy/*.sbatch | tests/*.sh) echo "$root/$word" && return ;;
        build/tests/*) program "${word##*/}" && return ;;
        softq-* | build/softq-*)
            word=${word#build/}
            [[ -z ${ours[$word]-} ]] || { echo "${ours[$word]}" && return; }
            ;;
        esac
    done
}

# A file of what a command may be given: the options that its program tells of, and
# those of the one table where it passes them on.
allowed_for() { # program's file
    local list=$work/allowed${1//\//.}
    if [[ ! -e $list && $1 == *.@(sh|sbatch) ]]; then
        help_of "$1" | options_in >"$list"
        ! help_of "$1" | grep -qF -- '--name=value' || cat "$work/table" >>"$list"
    elif [[ ! -e $list ]]; then
        "$1" --help 2>/dev/null | options_in | cat - "$work/table" >"$list"
    fi
    echo "$list"
}

unknown_options() { # command: those that its program does not know
    local file
    file=$(program_in "$1")
    [[ -n $file ]] || return 0
    [[ -x $file || $file == *.sbatch ]] || { echo "no program: $1" && return; }
    # what stands before it is another program's
    options_in <<<"${1#*"$(basename -- "$file")"}" | grep -vxF -- '--name' |
        grep -vxFf "$(allowed_for "$file")" | sed "s|\$|: $1|"
}

the_marks_fit() {
    if readme_commands "$readme" >"$work/commands" 2>"$work/err"; then
        ok "${FUNCNAME[0]}"
    else
        not_ok "${FUNCNAME[0]}" "$(cat "$work/err")"
    fi
}

# Where a command is run in another form, it is still that command.
every_command_is_there() {
    local line beside command form bad=''
    while IFS=$'\037' read -r line _ _ _ beside command form; do
        bad+=$(unknown_options "$command")$(unknown_options "$form")
        bad+=$(unknown_options "$beside")
        [[ $(program_in "$command") == "$(program_in "$form")" ]] ||
            bad+="line $line: run as another program: $form"
    done <"$work/commands"
    if [[ -n $bad || ! -s $work/commands ]]; then
        not_ok "${FUNCNAME[0]}" "$bad"
    else
        ok "${FUNCNAME[0]} ($(wc -l <"$work/commands"))"
    fi
}

# In the text: of a command by its program, alone by any.
every_option_is_there() {
    local span bad=''
    for span in deploy/*.sh tests/*.sh; do help_of "$span"; done | options_in |
        sort -u - "$work/table" >"$work/all"
    while read -r span; do
        [[ $span == *--* ]] || continue
        if [[ -n $(program_in "$span") ]]; then
            bad+=$(unknown_options "$span")
        elif [[ $span == --* ]]; then
            bad+=$(options_in <<<"$span" | grep -vxF -- '--name' |
                grep -vxFf "$work/all")
        fi
    done < <(spans)
    if [[ -n $bad ]]; then not_ok "${FUNCNAME[0]}" "$bad"; else ok "${FUNCNAME[0]}"; fi
}

# The table's names and defaults, a default for each name of a row.
the_option_table_is_true() {
    local name names value bad=''
    "${ours[softq-learner]}" --help | sed -n '/^ /{s/^ *//;p}' | tr '\n' ' ' |
        sed 's/ --\([a-z_]*\)[=[]/\n\1 /g' |
        sed -nE 's/^([a-z_0-9]+) .*default ([^ ]*).*$/\1 \2/p' >"$work/defaults"
    while IFS='|' read -r _ names value _; do
        value=${value# }
        while read -r name; do
            same_default "$name" "${value%%, *}" ||
                bad+=" $name: ${value%%, *}, not $(default_of "$name")"
            [[ $value == *', '* ]] && value=${value#*, } || value=''
        done < <(grep -o '`[a-z_0-9]*`' <<<"$names" | tr -d '`')
    done < <(sed -n '/^| option | default |/,/^$/{/^| `/p}' "$readme")
    if [[ -n $bad ]]; then not_ok "${FUNCNAME[0]}" "$bad"; else ok "${FUNCNAME[0]}"; fi
}

default_of() { # option
    sed -n "s/^$1 //p" "$work/defaults"
}

same_default() { # option, what the README says
    local is
    is=$(default_of "$1")
    [[ $is == "${2%% *}" || ($is == empty && -z ${2// /}) ]]
}

# -- examples, links, names of sections --

the_examples_are_the_files() {
    local bad=''
    block_with ini '[robot]' | diff - deploy/examples/arm.ini >"$work/out" ||
        bad+="arm.ini: $(cat "$work/out")"
    block_with ini '[hub]' >"$work/hosts.ini"
    # the script's own reader of such files
    bash -c 'here=deploy; . deploy/common.sh; . deploy/hosts.sh; read_hosts "$1"' \
        hosts "$work/hosts.ini" 2>"$work/err" || bad+="hosts.ini: $(cat "$work/err")"
    if [[ -n $bad ]]; then not_ok "${FUNCNAME[0]}" "$bad"; else ok "${FUNCNAME[0]}"; fi
}

every_link_leads_somewhere() {
    local to bad=''
    sed -n '/^```/,/^```$/d; s/^##* //p' "$readme" | tr 'A-Z ' 'a-z-' |
        tr -cd 'a-z0-9\n-' >"$work/anchors"
    while read -r to; do
        grep -qxF -- "$to" "$work/anchors" || bad+=" #$to"
    done < <(grep -oE '\]\(#[^)]+\)' "$readme" | sed 's/^](#//; s/)$//')
    while read -r to; do
        [[ -e $to ]] || bad+=" $to"
    done < <(grep -oE '\]\([^)#]+\)' "$readme" | sed 's/^](//; s/)$//' |
        grep -v '^[a-z]*:')
    while read -r to; do
        grep -qE "^(#+ ${to}\$|\*\*${to}[.*])" "$readme" || bad+=" section \"$to\""
    done < <(grep -rhoE 'README, "[^"]+"' deploy tests/*.sh | sed 's/^README, "//; s/"$//' | sort -u)
    if [[ -n $bad ]]; then not_ok "${FUNCNAME[0]}" "$bad"; else ok "${FUNCNAME[0]}"; fi
}

# What the table of symptoms quotes, ... standing for what changes: a part of a
# string of the code.
the_words_are_really_said() {
    local words bad=''
    cat {learner,actor,replay,proto}/*.c | tr '\n' ' ' |
        sed -E 's/" *PRI[a-z0-9]+ *"/ /g; s/" *"//g' >"$work/said"
    while read -r words; do
        grep -qF -- "$words" "$work/said" || bad+=" '$words'"
    done < <(awk -F '|' '/^\| symptom \|/ { inside = 1; next } inside && !/^\|/ { exit }
        inside { print $3 }' "$readme" | grep -o '`[^`]*`' | tr -d '`' |
        sed 's/ *\.\.\. */\n/g; s/(ratio$//' | grep .)
    if [[ -n $bad ]]; then not_ok "${FUNCNAME[0]}" "$bad"; else ok "${FUNCNAME[0]}"; fi
}

# -- a live run's columns and metrics --

metrics_of_run() { # the names, as README and /metrics have them in common
    local port
    port=$(sed -n 's|^http http://127.0.0.1:||p' "$run/address" 2>/dev/null)
    python3 - "$port" 2>/dev/null <<'END' | sort -u
import re, sys, urllib.request
text = urllib.request.urlopen("http://127.0.0.1:%s/metrics" % sys.argv[1], timeout=5).read().decode()
for name, kind in re.findall(r"^# TYPE softq_(\S+) (\S+)$", text, re.M):
    print(name)
END
}

# A counter stands there without _total, as everywhere but in /metrics.
documented_metrics() {
    names_of_tables '| metric |' | sort -u
}

all_metrics_are_there() {
    metrics_of_run >"$work/metrics"
    sed -i 's/_total$//' "$work/metrics"
    sort -u -o "$work/metrics" "$work/metrics"
    [[ -s $work/metrics && -z $(comm -13 "$work/metrics" <(documented_metrics)) ]]
}

every_metric_is_documented() {
    local odd
    within 90 all_metrics_are_there
    odd=$(comm -3 "$work/metrics" <(documented_metrics))
    if [[ -n $odd || ! -s $work/metrics ]]; then
        not_ok "${FUNCNAME[0]}" "in /metrics only, or (indented) in README only:
$odd"
    else
        ok "${FUNCNAME[0]} ($(wc -l <"$work/metrics"))"
    fi
}

every_column_is_documented() { # file, which of the tables
    local odd
    head -n 1 "$run/$1" | tr , '\n' | sort >"$work/columns"
    odd=$(comm -3 "$work/columns" <(names_of_tables '| column |' "$2" | sort))
    if [[ -n $odd || $(wc -l <"$work/columns") -lt 10 ]]; then
        not_ok "${FUNCNAME[0]} $1" "in $1 only, or (indented) in README only:
$odd"
    else
        ok "${FUNCNAME[0]} $1 ($(wc -l <"$work/columns"))"
    fi
}

for name in "${ours[@]}"; do "$name" --help; done | options_in >"$work/table"
the_marks_fit
every_command_is_there
every_option_is_there
the_option_table_is_true
the_examples_are_the_files
every_link_leads_somewhere
the_words_are_really_said
# an entropy is measured where something follows it
launch "$run" --temperature=auto --evaluators=1 --evaluate_every=200
every_metric_is_documented
every_column_is_documented progress.csv 1
every_column_is_documented evaluations.csv 2
kill -INT "$launcher"
finish "$launcher" 20
summary
