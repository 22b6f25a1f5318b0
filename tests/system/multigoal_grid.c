#include "tests/system/multigoal_grid.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE = MULTIGOAL_SIDE, HALF = SIDE / 2 };
static const double limit = 7.0, spacing = 0.25;
static const double alpha = 10.0, gamma_ = 0.99;

const double multigoal_states[MULTIGOAL_STATES][2] = {
    {-2.5, 0.0}, {0.0, 0.0}, {2.5, 2.5}};

double multigoal_grid_v(const struct multigoal_grid *grid, const double x[2]) {
    size_t cell[2];
    double part[2];
    for (int i = 0; i < 2; i++) {
        const double at = (x[i] + limit) / spacing;
        const double low = fmin(fmax(floor(at), 0.0), SIDE - 2.0);
        cell[i] = (size_t)low;
        part[i] = at - low;
    }
    const double *row = grid->v[cell[0]] + cell[1];
    const double *next = grid->v[cell[0] + 1] + cell[1];
    const double here = row[0] + part[1] * (row[1] - row[0]);
    const double there = next[0] + part[1] * (next[1] - next[0]);
    return here + part[0] * (there - here);
}

double multigoal_grid_q(const struct multigoal_grid *grid, const double x[2],
                        const double a[2]) {
    const double to[2] = {fmin(fmax(x[0] + a[0], -limit), limit),
                          fmin(fmax(x[1] + a[1], -limit), limit)};
    // the nearest of (+-5, 0), (0, +-5) lies along the longer coordinate
    const double far = fmax(fabs(to[0]), fabs(to[1])) - 5.0;
    const double near = fmin(fabs(to[0]), fabs(to[1]));
    const double d2 = far * far + near * near;
    const double r = -30.0 * (a[0] * a[0] + a[1] * a[1]) - d2;
    return d2 <= 1.0 ? r + 10.0 : r + gamma_ * multigoal_grid_v(grid, to);
}

/* As multigoal_quadrature(), with side^2 midpoints. */
static double integrate(multigoal_q *q, void *user, size_t side) {
    // one pass: the sum is rescaled whenever a larger exponent turns up
    double largest = -HUGE_VAL, sum = 0.0;
    const double width = 2.0 / (double)side;
    for (size_t i = 0; i < side * side; i++) {
        const size_t row = i / side, column = i % side;
        const double a[2] = {((double)row + 0.5) * width - 1.0,
                             ((double)column + 0.5) * width - 1.0};
        const double e = q(user, a) / alpha;
        if (e > largest) {
            sum *= exp(largest - e);
            largest = e;
        }
        sum += exp(e - largest);
    }
    return alpha * (largest + log(sum * width * width));
}

double multigoal_quadrature(multigoal_q *q, void *user) {
    return integrate(q, user, 80);
}

struct at {
    const struct multigoal_grid *grid;
    double x[2];
};

static double grid_q_at(void *user, const double a[2]) {
    const struct at *at = user;
    return multigoal_grid_q(at->grid, at->x, a);
}

/*
 * One sweep over the octant 0 <= y <= x, mirrored to the other seven; values
 * are used as soon as they are new. Returns the largest change.
 */
static double sweep(struct multigoal_grid *grid, size_t side) {
    double change = 0.0;
    for (int i = HALF; i >= 0; i--) {
        for (int j = 0; j <= i; j++) {
            struct at at = {grid, {i * spacing, j * spacing}};
            const double v = integrate(grid_q_at, &at, side);
            const double old = grid->v[HALF + i][HALF + j];
            change = fmax(change, fabs(v - old));
            for (int mirror = 0; mirror < 8; mirror++) {
                const int x = mirror & 1 ? -i : i, y = mirror & 2 ? -j : j;
                if (mirror & 4) {
                    grid->v[HALF + y][HALF + x] = v;
                } else {
                    grid->v[HALF + x][HALF + y] = v;
                }
            }
        }
    }
    return change;
}

void multigoal_grid_solve(struct multigoal_grid *grid, double tolerance) {
    memset(grid, 0, sizeof(*grid));
    // coarse integrals find most of the way, fine ones the rest
    for (size_t side = 8; side <= 32; side *= 2) {
        double change = HUGE_VAL;
        while (change > tolerance) {
            change = sweep(grid, side);
            grid->sweeps++;
        }
    }
}

size_t multigoal_maxima(double (*maxima)[2], size_t most, multigoal_q *q,
                        void *user) {
    enum { POINTS = 101, REACH = 15 };
    static double value[POINTS][POINTS];
    const double step = 2.0 / (POINTS - 1);
    size_t n = 0;
    for (int i = 0; i < POINTS * POINTS; i++) {
        const int x = i / POINTS, y = i % POINTS;
        const double a[2] = {x * step - 1.0, y * step - 1.0};
        value[x][y] = q(user, a);
    }
    for (int i = 0; i < POINTS * POINTS; i++) {
        const int x = i / POINTS, y = i % POINTS;
        int highest = 1;
        for (int p = x - REACH; highest && p <= x + REACH; p++) {
            for (int r = y - REACH; highest && r <= y + REACH; r++) {
                const int dx = p - x, dy = r - y;
                if (p < 0 || r < 0 || p >= POINTS || r >= POINTS) continue;
                if (dx * dx + dy * dy > REACH * REACH) continue;
                // of equal points the first in order counts
                const int before = p < x || (p == x && r < y);
                highest = before ? value[p][r] < value[x][y]
                                 : value[p][r] <= value[x][y];
            }
        }
        if (!highest) continue;
        if (n < most) {
            maxima[n][0] = x * step - 1.0;
            maxima[n][1] = y * step - 1.0;
        }
        n++;
    }
    return n;
}

struct learned {
    double (*q_of)(void *user, const double x[2], const double a[2]);
    void *user;
    const double *x;
};

static double learned_q_at(void *user, const double a[2]) {
    const struct learned *learned = user;
    return learned->q_of(learned->user, learned->x, a);
}

static double nearest(double (*points)[2], size_t n, const double x[2]) {
    double least = HUGE_VAL;
    for (size_t i = 0; i < n; i++) {
        least = fmin(least, hypot(points[i][0] - x[0], points[i][1] - x[1]));
    }
    return least;
}

static void print_points(const char *who, double (*points)[2], size_t n) {
    printf("  %-8s %zu:", who, n);
    for (size_t i = 0; i < n; i++) {
        printf(" (%.2f, %.2f)", points[i][0], points[i][1]);
    }
    printf("\n");
}

/* Maxima of both at one state; 0 when they agree. */
static int judge_maxima(const struct multigoal_grid *grid,
                        struct learned *learned) {
    enum { MOST = MULTIGOAL_MOST_MAXIMA };
    double exact[MOST][2], found[MOST][2], worst = 0.0;
    const double *x = learned->x;
    struct at at = {grid, {x[0], x[1]}};
    const size_t n = multigoal_maxima(exact, MOST, grid_q_at, &at);
    const size_t m = multigoal_maxima(found, MOST, learned_q_at, learned);
    for (size_t i = 0; i < n && i < MOST; i++) {
        worst = fmax(worst, nearest(found, m < MOST ? m : MOST, exact[i]));
    }
    const int wrong = n != m || worst > 0.2;
    printf("maxima of Q at (%g, %g): farthest %.2f from the grid's: %s\n", x[0],
           x[1], worst, wrong ? "FAIL" : "PASS");
    print_points("grid", exact, n);
    print_points("learned", found, m < MOST ? m : MOST);
    return wrong;
}

/*
 * What share of exp(Q / alpha) lies towards each goal from the origin: the
 * policy that the sampler is to follow.
 */
static void print_shares(struct learned *learned) {
    enum { SIDE_POINTS = 80 };
    const double width = 2.0 / SIDE_POINTS;
    const double v = multigoal_quadrature(learned_q_at, learned);
    double share[4] = {0};
    for (int i = 0; i < SIDE_POINTS * SIDE_POINTS; i++) {
        const int x = i / SIDE_POINTS, y = i % SIDE_POINTS;
        const double a[2] = {(x + 0.5) * width - 1.0, (y + 0.5) * width - 1.0};
        const int upright = fabs(a[1]) > fabs(a[0]);
        const int goal = 2 * upright + (a[upright] < 0.0);
        share[goal] += exp((learned_q_at(learned, a) - v) / alpha);
    }
    printf("policy of Q at the origin, towards +x -x +y -y:");
    for (int g = 0; g < 4; g++) {
        printf(" %.1f %%", 100.0 * share[g] * width * width);
    }
    printf("\n");
}

/* Where V goes wrong: learned less exact, 1, 2 and 3 from the origin towards
 * each goal (it ends at 4). */
static void print_arms(const struct multigoal_grid *grid,
                       struct learned *learned) {
    for (int g = 0; g < 4; g++) {
        printf("V - grid's towards %c%c:", g & 1 ? '-' : '+', "xy"[g / 2]);
        for (int radius = 1; radius < 4; radius++) {
            double x[2] = {0.0, 0.0};
            x[g / 2] = g & 1 ? -radius : radius;
            learned->x = x;
            printf(" %.1f", multigoal_quadrature(learned_q_at, learned) -
                                multigoal_grid_v(grid, x));
        }
        printf("\n");
    }
}

int multigoal_judge(const struct multigoal_grid *grid,
                    double (*q_of)(void *user, const double x[2],
                                   const double a[2]),
                    void *user) {
    struct learned learned = {.q_of = q_of, .user = user};
    const double origin[2] = {0.0, 0.0};
    int failed = 0;
    for (size_t i = 0; i < MULTIGOAL_STATES; i++) {
        learned.x = multigoal_states[i];
        failed |= judge_maxima(grid, &learned);
    }
    learned.x = origin;
    print_shares(&learned);
    print_arms(grid, &learned);
    learned.x = origin;
    const double v = multigoal_quadrature(learned_q_at, &learned);
    const double exact = multigoal_grid_v(grid, origin);
    const double off = fabs(v - exact) / fabs(exact);
    const int wrong = !(off <= 0.1);
    printf("V(0, 0) = %.1f, grid %.1f, off by %.1f %%: %s\n", v, exact,
           100.0 * off, wrong ? "FAIL" : "PASS");
    return failed | wrong;
}
