# Paths from the origin over the level curves of the multigoal reward. Set
# before: style, data (traces.csv), out, shown (episodes), reward (its name).
load style
eval canvas(1080, 1080)

# the part of the reward that depends on the place (REFERENCE.md, section 5)
bump(x, y) = exp(-0.5 * square(x, y))
height(x, y) = reward eq "gaussian" ? \
    10 * (bump(x - 5, y) + bump(x + 5, y) + bump(x, y - 5) + bump(x, y + 5)) : \
    -nearest(x, y)

set xrange [-7:7]
set yrange [-7:7]
set isosamples 281, 281
set contour base
set cntrparam levels incremental (reward eq "gaussian" ? 1 : -58), (reward eq "gaussian" ? 1 : 4), 10
unset surface
set table $levels
splot height(x, y)
unset table
unset contour

set title sprintf("multigoal: %d episodes of the trained policy", shown)
set size ratio -1
set xlabel "x" offset 0,0.5
set ylabel "y" offset 1,0
set xtics 2
set ytics 2
set for [i = 0:3] object i + 1 circle \
    center 5 * cos(i * pi / 2), 5 * sin(i * pi / 2) size 1 \
    fillcolor rgb "#f6c344" fillstyle solid 0.75 border linecolor rgb "#a87900" \
    back
set datafile separator whitespace
plot $levels using 1:2 with lines linewidth 0.8 linecolor rgb level_line, \
    sprintf("< sed 's/,/ /g' '%s'", data) \
        using ($1 < shown ? $3 : NaN):4 with lines linewidth 1 \
        linecolor rgb "#a01f6fb4", \
    "" using ($1 < shown && $2 == 0 ? $3 : NaN):4 with points pointtype 7 \
        pointsize 0.6 linecolor rgb "black"
