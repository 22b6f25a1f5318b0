# Three methods on the multigoal task: paths from the origin over the reward's
# level curves, and Q at the origin with sampled actions. Set before: style,
# folder (of sql, action and ddpg, runs that were evaluated), out.
load style
eval canvas(1800, 1260)
run(i) = folder."/".word("sql action ddpg", i)."/figures/data"
name(i) = i == 1 ? "soft Q-learning" : \
    i == 2 ? "soft Q-learning, particles in action space" : "DDPG"

set isosamples 201, 201
set contour base
unset surface
set xrange [-7:7]
set yrange [-7:7]
set cntrparam levels incremental -58, 4, 10
set table $reward
splot -nearest(x, y)
unset table
set autoscale
do for [i = 1:3] {
    stats run(i)."/q-1.csv" using 3 nooutput
    top = STATS_max
    span = STATS_max - STATS_min
    eval q_levels(top, span)
    set table sprintf("%s/levels-1.txt", run(i))
    splot run(i)."/q-1.csv" using 1:2:3
    unset table
}
unset contour
set surface

set palette defined (0 "#f7f9fb", 0.6 "#dbe9f6", 0.85 "#a9cfe8", 1 "#4f97c9")
unset colorbox
set multiplot layout 2, 3 margins 0.065, 0.985, 0.065, 0.95 spacing 0.05, 0.09
set size ratio -1
set xrange [-7:7]
set yrange [-7:7]
set xtics 2
set ytics 2
set for [k = 0:3] object k + 1 circle \
    center 5 * cos(k * pi / 2), 5 * sin(k * pi / 2) size 1 \
    fillcolor rgb "#f6c344" fillstyle solid 0.75 border linecolor rgb "#a87900" \
    back
set datafile separator whitespace
do for [i = 1:3] {
    set title name(i)
    if (i == 1) { set ylabel "100 paths" offset 1,0 } else { unset ylabel }
    plot $reward using 1:2 with lines linewidth 0.8 linecolor rgb level_line, \
        sprintf("< sed 's/,/ /g' '%s/traces.csv'", run(i)) \
            using ($1 < 100 ? $3 : NaN):4 with lines linewidth 1 \
            linecolor rgb "#a01f6fb4"
}
set datafile separator ","
unset for [k = 1:4] object k
set xrange [-1:1]
set yrange [-1:1]
set xtics 0.5
set ytics 0.5
unset title
do for [i = 1:3] {
    if (i == 1) { set ylabel "Q at the origin, 100 actions" offset 1,0 } \
    else { unset ylabel }
    levels = sprintf("< sed 's/  */,/g; s/^,//' '%s/levels-1.txt'", run(i))
    plot run(i)."/q-1.csv" using 1:2:3 with image, \
        levels using 1:2 with lines linewidth 0.8 linecolor rgb "#5d7a94", \
        run(i)."/actions-1.csv" using 1:2 with points pointtype 7 \
            pointsize 0.7 linecolor rgb "#40d1462f"
}
unset multiplot
