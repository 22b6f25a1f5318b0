# Level curves of Q over the actions of three states, with sampled actions.
# Set before: style, folder (of q-<i>.csv and actions-<i>.csv), out.
load style
eval canvas(1800, 680)
name(i) = word("(−2.5,0) (0,0) (2.5,2.5)", i + 1)

do for [i = 0:2] {
    stats sprintf("%s/q-%d.csv", folder, i) using 3 nooutput
    set contour base
    unset surface
    top = STATS_max
    span = STATS_max - STATS_min
    eval q_levels(top, span)
    set table sprintf("%s/levels-%d.txt", folder, i)
    splot sprintf("%s/q-%d.csv", folder, i) using 1:2:3
    unset table
    unset contour
    set surface
}

set palette defined (0 "#f7f9fb", 0.6 "#dbe9f6", 0.85 "#a9cfe8", 1 "#4f97c9")
unset colorbox
set multiplot layout 1, 3 title "Q(s, a) at three states, with 100 sampled actions" \
    margins 0.07, 0.985, 0.13, 0.82 spacing 0.05
set xrange [-1:1]
set yrange [-1:1]
set xtics 0.5
set ytics 0.5
set xlabel "a_1" offset 0,0.4
set size ratio -1
do for [i = 0:2] {
    set title "s = ".name(i)
    if (i == 0) { set ylabel "a_2" offset 2.5,0 } else { unset ylabel }
    grid = sprintf("%s/q-%d.csv", folder, i)
    levels = sprintf("< sed 's/  */,/g; s/^,//' '%s/levels-%d.txt'", folder, i)
    dots = sprintf("%s/actions-%d.csv", folder, i)
    plot grid using 1:2:3 with image, \
        levels using 1:2 with lines linewidth 0.8 linecolor rgb "#5d7a94", \
        dots using 1:2 with points pointtype 7 pointsize 0.7 \
            linecolor rgb "#40d1462f"
}
unset multiplot
