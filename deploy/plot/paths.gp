# Where the body went, for tasks without a picture of their own, from above. Set
# before: style, data (traces.csv), model (its walls, may be empty), out, shown
# (episodes), task, sectors ("" or into how many of 8 they went).
load style
plane = task[1:9] eq "quadruped" || task[1:6] eq "point-" # a metre is a metre
eval canvas(1200, plane ? 1080 : 720)
set title sprintf("%s: the way of the body in %d episodes", task, shown). \
    (sectors eq "" ? "" : sprintf(", %s of 8 sectors", sectors))
set xlabel "x (m)"
set ylabel "y (m)"
set offsets graph 0.03, graph 0.03, graph 0.05, graph 0.05
if (plane) { set size ratio -1 }

# a wall that runs out of sight is cut where nobody went
stats data using ($1 < shown ? $3 : NaN) nooutput
low = STATS_min - 1
high = STATS_max + 1
larger(a, b) = a > b ? a : b
smaller(a, b) = a < b ? a : b
within(x, half, end) = abs(x) + half < 50 ? x + end * half : \
    (end < 0 ? larger(low, x - half) : smaller(high, x + half))
is(kind) = strcol(1) eq kind
model = sprintf("< cat '%s'; echo none,0,0,0,0", model)
plot model using (is("wall") ? $2 : NaN):3:(within($2, $4, -1)): \
        (within($2, $4, 1)):($3 - $5):($3 + $5) with boxxyerror \
        fillcolor rgb "#d3d8de" fillstyle solid border linecolor rgb level_line, \
    data using ($1 < shown ? $3 : NaN):4 with lines linewidth 1 \
        linecolor rgb "#701f6fb4", \
    "" using ($1 < shown && $2 == 0 ? $3 : NaN):4 with points pointtype 7 \
        pointsize 0.8 linecolor rgb "black", \
    model using (is("target") ? $2 : NaN):3 with points pointtype 7 \
        pointsize 2 linecolor rgb "#f6c344"
