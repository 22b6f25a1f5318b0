# Mean return by environment steps with one standard deviation over the runs of
# a setting. Set before: style, out, task, what, data (of curves.awk).
load style
eval canvas(1200, 720)
set title task.": ".what
set xlabel "environment steps"
set key bottom right
set style fill transparent solid 0.18 noborder
# colours that are told apart by everyone (Okabe, Ito)
set linetype 1 linecolor rgb "#0072b2"
set linetype 2 linecolor rgb "#d55e00"
set linetype 3 linecolor rgb "#009e73"
set linetype 4 linecolor rgb "#cc79a7"
set linetype 5 linecolor rgb "#56b4e9"
set linetype 6 linecolor rgb "#e69f00"
set linetype 7 linecolor rgb "#3c4043"
set linetype cycle 7
stats data using 1 nooutput
set format x steps_format(STATS_max)
set yrange [*:*]
set offsets 0, 0, graph 0.06, graph 0.04
last = STATS_blocks - 1
plot for [i = 0:last] data index i using 1:3:4 with filledcurves \
        linetype i + 1 notitle, \
    for [i = 0:last] data index i using 1:2 with lines linewidth 2 \
        linetype i + 1 title columnheader(1)
