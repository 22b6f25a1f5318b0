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
level_line = "#9aa5b1"
path_line = "#1f6fb4"
sample_dot = "#d1462f"
# environment steps on an axis that ends there: no two tics with one label
steps_format(most) = most < 2e4 ? "%.0f" : \
    most >= 1e6 && most < 1e7 ? "%.1s%c" : "%.0s%c"
