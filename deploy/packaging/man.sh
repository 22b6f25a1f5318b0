#!/bin/bash
# Writes a manual page from what a program says of itself.
#
#   man.sh NAME VERSION HELP OPTIONS   of a program, by files of what its --help and
#                                      --print_options print
#   man.sh softq VERSION FOLDER        of the scripts, installed in FOLDER, by their heads
set -eu -o pipefail

here=$(cd -- "$(dirname -- "$(readlink -f -- "$0")")/.." && pwd -P)
scripts=$here
# shellcheck source=deploy/common.sh
. "$here/common.sh"

# What troff would take for its own.
plain() {
    sed -e 's/\\/\\e/g' -e 's/-/\\-/g' -e "s/^[.']/\\\\\&&/"
}

head_of() { # name, version, what it is
    printf '.TH %s 1 "" "softq %s" softq\n.SH NAME\n%s \\- %s\n' "${1^^}" "$2" "$1" \
        "$3" | sed '3,$s/-/\\-/g; s/\\\\-/\\-/g'
}

paragraphs() {
    plain | sed 's/^$/.PP/'
}

of_program() { # name, version, help, options
    local name=$1 help purpose
    help=$(<"$3")
    # before the first heading; the rest is behind the last option
    purpose=$(sed -n '1,/^$/p' <<<"$help" | tr '\n' ' ' | sed 's/ *$//')
    head_of "$name" "$2" \
        "$(sed 's/^./\L&/; s/[.,:;].*//' <<<"$purpose")"
    printf '.SH SYNOPSIS\n.B %s\n[\\fB\\-\\-name=value\\fR ...]\n' "${name//-/\\-}"
    printf '.SH DESCRIPTION\n'
    plain <<<"$purpose"
    echo .PP
    awk '/^ / { text = "" } !/^ / { text = text $0 "\n" } END { printf "%s", text }' \
        <<<"$help" | sed '1{/^$/d}' | paragraphs
    echo '.SH OPTIONS'
    awk -F '\t' '
        $6 != heading { heading = $6; print ".SS " $6 }
        {
            print ".TP"
            print "\\fB--" $1 "\\fR" ($2 == "" ? "" : "=\\fI" $2 "\\fR")
            print $7 ($3 == "" ? "." : "; " $3 ($4 == "" ? "" : " " $4) \
                ($5 == "" ? "" : ", default " $5) ".")
        }' "$4" | sed 's/-/\\-/g'
    printf '.SH SEE ALSO\n.BR softq (1)\n'
}

of_scripts() { # version, where they will lie
    local version=$1 command
    installed=yes here=$2 # as they will speak
    head_of softq "$version" 'Soft Q-Learning with actors and replay shards'
    printf '.SH SYNOPSIS\n.B softq\n\\fICOMMAND\\fR [\\fIARGUMENT\\fR ...]\n'
    printf '.SH DESCRIPTION\n'
    printf 'Each command says by \\fB\-\-help\\fR too what follows.\n'
    while read -r command; do
        printf '.SS softq %s\n.nf\n' "$command"
        (help "$scripts/$command.sh") | plain
        echo .fi
    done < <("$scripts/softq" --commands)
    printf '.SH FILES\n.TP\n.I %s\nscripts, presets, examples\n' "${2//-/\\-}"
    printf '.TP\n.I runs/TASK\\-TIME\na run, in the folder where it was begun\n'
    printf '.SH SEE ALSO\n.BR softq\\-learner (1),\n.BR softq\\-actor (1),\n'
    printf '.BR softq\\-replay (1),\n.BR softq\\-simulate (1)\n'
}

case $1 in
softq) of_scripts "$2" "$3" ;;
*) of_program "$@" ;;
esac
