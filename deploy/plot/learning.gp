# Mean return by environment steps, of evaluations with one standard deviation.
# Set before: style, data, table (evaluations.csv or progress.csv, what data is),
# what, out, task, random ("" or the random policy's mean return).
load style
eval canvas(1200, 720)
set title sprintf("%s: %s", task, what)
set xlabel "environment steps"
stats data using "steps" nooutput
set format x steps_format(STATS_max)
set yrange [*:*]
set offsets 0, 0, graph 0.06, graph 0.04
set style fill transparent solid 0.18 noborder
spread = table eq "evaluations.csv"
if (random ne "") {
    set label 1 "random actions" at graph 0.985, first real(random) right \
        offset 0, 0.6 textcolor rgb sample_dot front
}
plot data using "steps":(column("mean_return") - (spread ? column("std_return") : 0)): \
        (column("mean_return") + (spread ? column("std_return") : 0)) \
        with filledcurves linecolor rgb path_line notitle, \
    data using "steps":"mean_return" with lines linewidth 2 \
        linecolor rgb path_line, \
    (random ne "" ? real(random) : NaN) with lines linewidth 1.5 dashtype 2 \
        linecolor rgb sample_dot
