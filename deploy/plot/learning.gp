# Mean return by environment steps. Set before: style, data (progress.csv),
# out, task, random ("" or the random policy's mean return).
load style
eval canvas(1200, 720)
set title sprintf("%s: mean return of the last 100 training episodes", task)
set xlabel "environment steps"
stats data using "steps" nooutput
set format x steps_format(STATS_max)
set yrange [*:*]
set offsets 0, 0, graph 0.06, graph 0.04
if (random ne "") {
    set label 1 "random actions" at graph 0.985, first real(random) right \
        offset 0, 0.6 textcolor rgb sample_dot front
    plot data using "steps":"mean_return" with lines linewidth 2 \
            linecolor rgb path_line, \
        real(random) with lines linewidth 1.5 dashtype 2 \
            linecolor rgb sample_dot
} else {
    plot data using "steps":"mean_return" with lines linewidth 2 \
            linecolor rgb path_line
}
