# One look for every figure: 2 px a point, so that they stay crisp when scaled.
set encoding utf8
set datafile separator ","
set datafile missing ""
set border linewidth 1 linecolor rgb "#5f6368"
set tics scale 0.6 textcolor rgb "#3c4043"
set grid linewidth 0.6 linecolor rgb "#e3e5e8"
set title offset 0,-0.4
unset key
font = "DejaVu Sans"
# eval canvas(w, h): `out` is a PNG of w x h px or, where it ends so, an SVG
canvas(w, h) = "set terminal ". \
    (out[strlen(out) - 3:] eq ".svg" ? "svg" : "pngcairo"). \
    sprintf(" size %d,%d font '%s,20' linewidth 2 background 'white'", \
        w, h, font)."; set output out"
level_line = "#9aa5b1"
path_line = "#1f6fb4"
sample_dot = "#d1462f"
# environment steps on an axis that ends there: no two tics with one label
steps_format(most) = most < 2e4 ? "%.0f" : \
    most >= 1e6 && most < 1e7 ? "%.1s%c" : "%.0s%c"

# What the multigoal figures share: the distance to the nearest goal, squared
# (REFERENCE.md, section 5), and Q's level lines, closer near the top, where the
# samples are. eval q_levels(top, span).
square(x, y) = x**2 + y**2
least(a, b) = a < b ? a : b
nearest(x, y) = least(least(square(x - 5, y), square(x + 5, y)), \
                      least(square(x, y - 5), square(x, y + 5)))
q_level(top, span, share) = sprintf("%.9g", top - share * span)
q_levels(top, span) = "set cntrparam levels discrete ". \
    q_level(top, span, 0.01).", ". \
    q_level(top, span, 0.03).", ". \
    q_level(top, span, 0.06).", ". \
    q_level(top, span, 0.10).", ". \
    q_level(top, span, 0.15).", ". \
    q_level(top, span, 0.21).", ". \
    q_level(top, span, 0.28).", ". \
    q_level(top, span, 0.36).", ". \
    q_level(top, span, 0.45).", ". \
    q_level(top, span, 0.55).", ". \
    q_level(top, span, 0.66).", ". \
    q_level(top, span, 0.78).", ". \
    q_level(top, span, 0.91)
