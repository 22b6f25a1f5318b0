# Where the body went, for tasks without a picture of their own. Set before:
# style, data (traces.csv), out, shown (episodes), task.
load style
set terminal pngcairo size 1200,720 font font.",20" linewidth 2 background "white"
set output out
set title sprintf("%s: the way of the body in %d episodes", task, shown)
set xlabel "x (m)"
set ylabel "y (m)"
set offsets graph 0.03, graph 0.03, graph 0.05, graph 0.05
plot data using ($1 < shown ? $3 : NaN):4 with lines linewidth 1 \
        linecolor rgb "#701f6fb4", \
    "" using ($1 < shown && $2 == 0 ? $3 : NaN):4 with points pointtype 7 \
        pointsize 0.8 linecolor rgb "black"
