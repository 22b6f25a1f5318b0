#ifndef TESTS_SYSTEM_MULTIGOAL_GRID_H
#define TESTS_SYSTEM_MULTIGOAL_GRID_H

#include <stddef.h>

/*
 * The exact judge of the multigoal task (REFERENCE.md, section 5.1): soft value
 * iteration on a 57 x 57 grid over [-7, 7]^2, bilinear in between, alpha 10,
 * gamma 0.99, Lebesgue measure, no horizon. Written from the task's description
 * alone, sharing no code with the task or the learner.
 */
enum { MULTIGOAL_SIDE = 57 };

struct multigoal_grid {
    double v[MULTIGOAL_SIDE][MULTIGOAL_SIDE]; /* soft value at x, y */
    size_t sweeps;                            /* that it took */
};

/* Sweep until no value changes by more than tolerance. */
void multigoal_grid_solve(struct multigoal_grid *grid, double tolerance);

/* V(x, y) between the points. */
double multigoal_grid_v(const struct multigoal_grid *grid, const double x[2]);
/* Q(x, a) = r + gamma (1 - terminal) V(x + a). */
double multigoal_grid_q(const struct multigoal_grid *grid, const double x[2],
                        const double a[2]);

/* Any Q over the actions of one state. */
typedef double multigoal_q(void *user, const double a[2]);

/* alpha log Integral exp(Q / alpha) da over [-1, 1]^2, midpoint rule. */
double multigoal_quadrature(multigoal_q *q, void *user);

/*
 * The maxima of Q over [-1, 1]^2, borders included: points of a 0.02 grid with
 * nothing higher within 0.3. Returns their number; at most `most` are written.
 */
size_t multigoal_maxima(double (*maxima)[2], size_t most, multigoal_q *q,
                        void *user);

/* The three states of the paper's figure and the maxima that Q has there. */
enum { MULTIGOAL_STATES = 3, MULTIGOAL_MOST_MAXIMA = 32 };
extern const double multigoal_states[MULTIGOAL_STATES][2];

/*
 * Print what a learned Q says next to the grid: maxima at the three states, and
 * V(0,0) by quadrature. q_of: Q(x, a). Returns 0 when every state has as many
 * maxima, each within 0.2 of the grid's, and V(0,0) is within 10 % of it; 1
 * otherwise.
 */
int multigoal_judge(const struct multigoal_grid *grid,
                    double (*q_of)(void *user, const double x[2],
                                   const double a[2]),
                    void *user);

#endif
