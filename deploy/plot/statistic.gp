# What the paper judges a task by, by environment steps, one line a run. Set
# before: style, data (statistic.csv: method, steps, value), out, task, statistic
# (its name), line ("" or the value to pass), random ("" or random actions' mean).
load style
eval canvas(1200, 720)
words = statistic eq "max_forward" ? "farthest forward so far (m)" : \
    statistic eq "min_distance" ? "nearest to the target so far (m)" : \
    statistic eq "net_displacement" ? "mean net displacement of an episode (m)" : \
    statistic
set title task.": ".words
set xlabel "environment steps"
stats data using 2 nooutput
set format x steps_format(STATS_max)
set yrange [0:*]
set offsets 0, 0, graph 0.06, graph 0.04
set key top left
stats data using 1 nooutput
ddpg = STATS_max
level(text) = text eq "" ? NaN : real(text)
plot data using ($1 == 0 ? $2 : NaN):3 with linespoints linewidth 1.5 pointtype 7 pointsize 0.3 \
        linecolor rgb path_line title "soft Q-learning", \
    "" using ($1 == 1 ? $2 : NaN):3 with linespoints linewidth 1.5 pointtype 7 pointsize 0.3 \
        linecolor rgb "#e08a1e" title (ddpg > 0 ? "DDPG" : ""), \
    level(line) with lines linewidth 1.5 dashtype 2 linecolor rgb "#3c4043" \
        title (line eq "" ? "" : "to pass"), \
    level(random) with lines linewidth 1.5 dashtype 2 \
        linecolor rgb sample_dot title (random eq "" ? "" : "random actions")
