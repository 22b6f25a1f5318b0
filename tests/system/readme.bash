# Sourced by the tests of the README: its commands, one a line of the sh blocks,
# and what the README's source says about running them in a fresh Debian tree.
# A comment that no reader sees, right before a block, has a line a mark:
#
#   <!-- commands
#   COMMAND'S BEGINNING => skip: why it cannot be run there
#   COMMAND'S BEGINNING => with OPTIONS      these too, to make it shorter
#   COMMAND'S BEGINNING => as COMMAND        this instead, for names to be filled in
#   COMMAND'S BEGINNING => beside COMMAND    while this runs, which is started before
#   COMMAND'S BEGINNING => limit SECONDS     instead of five minutes
#   * => ...                                 of every command of the block
#   -->
# shellcheck shell=bash

# One command a line, its fields parted by \037: line in the README, number of its
# block, limit (s), why it is skipped, what runs beside it (or nothing), as it
# stands there, as it is run. Status 1 and a line each on stderr when a mark fits
# none of its block's commands, or several.
readme_commands() { # README.md
    awk -v OFS='\037' -v file="$1" '
        function refuse(line, what) {
            print file ":" line ": " what >"/dev/stderr"
            bad = 1
        }
        function begins(text, with) { return substr(text, 1, length(with)) == with }

        # the command of the block that a mark means, or 0
        function meant(mark,    i, fits) {
            for (i = first; i <= n; i++) {
                if (command[i] == mark) return i
                if (begins(command[i], mark)) fits = fits ? -1 : i
            }
            if (fits > 0) return fits
            refuse(marked[j], (fits ? "several commands begin" : "no command begins") \
                " with \"" mark "\"")
            return 0
        }
        function apply_to(i, how) {
            if (sub(/^skip: /, "", how)) why[i] = how
            else if (sub(/^with /, "", how)) {
                if (!sub(/ &$/, " " how " \\&", run[i])) run[i] = run[i] " " how
            } else if (sub(/^as /, "", how)) run[i] = how
            else if (sub(/^beside /, "", how)) beside[i] = how
            else if (sub(/^limit /, "", how) && how > 0) limit[i] = how
            else refuse(marked[j], "what is \"" how "\"? skip: with as beside limit")
        }
        function apply(    i) {
            for (j = 1; j <= marks; j++) {
                for (i = first; mark[j] == "*" && i <= n; i++) apply_to(i, verb[j])
                if (mark[j] != "*" && (i = meant(mark[j]))) apply_to(i, verb[j])
            }
            marks = 0
        }

        /^<!-- commands$/ { marking = 1; next }
        marking && /^-->$/ { marking = 0; next }
        marking {
            at = index($0, " => ")
            if (!at) refuse(NR, "a mark is COMMAND => WHAT")
            marks++
            marked[marks] = NR
            mark[marks] = substr($0, 1, at - 1)
            verb[marks] = substr($0, at + 4)
            next
        }
        /^```sh$/ { inside = 1; block++; first = n + 1; next }
        inside && /^```$/ { apply(); inside = 0; next }
        inside {
            text = $0
            sub(/[ \t]+#.*$/, "", text)
            if (text == "") next
            if (open) command[n] = command[n] " " text
            else { command[++n] = text; where[n] = NR; of[n] = block; limit[n] = 300 }
            open = sub(/[ \t]*\\$/, "", command[n])
            run[n] = command[n]
            next
        }
        marks && NF { refuse(marked[1], "no block of commands follows"); marks = 0 }
        END {
            for (i = 1; i <= n; i++) print where[i], of[i], limit[i], why[i], beside[i],
                command[i], run[i]
            exit bad
        }' "$1"
}
