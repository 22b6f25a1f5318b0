# From lines of setting, run, steps and return to a block a setting for curves.gp: its
# name, then steps,mean,low,high on 200 points from its first run's first return
# to its shortest run's end, low and high one standard deviation off; of one run,
# its own line.
!($1 in number) { number[$1] = ++settings; name[settings] = $1 }
!($2 in of) {
    of[$2] = number[$1]
    run[number[$1], ++runs[number[$1]]] = $2
}
{
    i = ++points[$2]
    x[$2, i] = $3
    y[$2, i] = $4
}

# The run's return after so many steps, between its two nearest rows.
function value(r, steps,    i) {
    i = cursor[r] > 0 ? cursor[r] : 1
    while (i + 1 < points[r] && x[r, i + 1] < steps) i++
    cursor[r] = i
    if (points[r] == 1 || x[r, i + 1] <= x[r, i]) return y[r, i]
    return y[r, i] + (y[r, i + 1] - y[r, i]) * (steps - x[r, i]) / \
        (x[r, i + 1] - x[r, i])
}

END {
    for (s = 1; s <= settings; s++) {
        n = runs[s]
        begin = end = -1
        for (j = 1; j <= n; j++) {
            r = run[s, j]
            if (begin < 0 || x[r, 1] < begin) begin = x[r, 1]
            if (end < 0 || x[r, points[r]] < end) end = x[r, points[r]]
        }
        printf "\"%s (%d run%s)\"\n", name[s], n, n == 1 ? "" : "s"
        for (k = 0; k <= 200 && begin <= end; k++) {
            at = begin + (end - begin) * k / 200
            sum = squares = m = 0
            for (j = 1; j <= n; j++) {
                if (x[run[s, j], 1] > at) continue
                v = value(run[s, j], at)
                sum += v
                squares += v * v
                m++
            }
            mean = sum / m
            sd = m > 1 ? (squares - m * mean * mean) / (m - 1) : 0
            sd = sd > 0 ? sqrt(sd) : 0
            printf "%.0f,%.6g,%.6g,%.6g\n", at, mean, mean - sd, mean + sd
        }
        printf "\n\n"
    }
}
