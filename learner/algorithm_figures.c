#include <math.h>
#include <string.h>

#include "learner/algorithm_state.h"

void algorithm_figures_begin(struct algorithm *alg) {
    const size_t q_units = alg->sources[0].q.shape.H, f_units = alg->f.shape.H;
    for (size_t t = 0; t < alg->n_slices; t++) {
        struct algorithm_slice *at = &alg->slices[t];
        at->sum = (struct algorithm_sums){0};
        if (!alg->looking) continue;
        memset(at->q_peak, 0, sizeof(*at->q_peak) * 2 * q_units);
        memset(at->f_peak, 0, sizeof(*at->f_peak) * 2 * f_units);
    }
}

/* Of all slices; counts and squares too. */
static struct algorithm_sums add_slices(const struct algorithm *alg) {
    struct algorithm_sums all = {0};
    for (size_t t = 0; t < alg->n_slices; t++) {
        const struct algorithm_sums *sum = &alg->slices[t].sum;
        all.loss += sum->loss;
        all.q += sum->q;
        all.q_squares += sum->q_squares;
        all.target += sum->target;
        all.g_squares += sum->g_squares;
        all.D_squares += sum->D_squares;
        all.repulsion_squares += sum->repulsion_squares;
        all.h += sum->h;
        all.v_uniform += sum->v_uniform;
        all.v_sampler += sum->v_sampler;
        all.n_v_uniform += sum->n_v_uniform;
        all.n_v_sampler += sum->n_v_sampler;
        all.seen.negative += sum->seen.negative;
        all.seen.degenerate += sum->seen.degenerate;
    }
    return all;
}

/* NAN where nothing was counted. */
static double mean_of(double sum, size_t n) {
    return n > 0 ? sum / (double)n : (double)NAN;
}

static double deviation(double mean_square, double mean) {
    return sqrt(fmax(mean_square - mean * mean, 0.0));
}

/* Share of H units a layer that were on in no slice. */
static double dead(const struct algorithm *alg, bool of_f, size_t H) {
    size_t n = 0;
    for (size_t unit = 0; unit < 2 * H; unit++) {
        float peak = 0.0f;
        for (size_t t = 0; t < alg->n_slices; t++) {
            const struct algorithm_slice *at = &alg->slices[t];
            peak = fmaxf(peak, of_f ? at->f_peak[unit] : at->q_peak[unit]);
        }
        n += peak == 0.0f;
    }
    return (double)n / (2.0 * (double)H);
}

static void collect_particles(const struct algorithm *alg,
                              const struct algorithm_sums *sum,
                              struct algorithm_figures *figures) {
    const double rows = (double)alg->rows, A = (double)alg->A;
    const bool ddpg = alg->config.algorithm == ALGORITHM_DDPG;
    const double moved = ddpg ? 1.0 : (double)alg->M, none = (double)NAN;
    figures->stein_norm = sqrt(sum->D_squares / (rows * moved * A));
    figures->score_norm =
        ddpg ? none : sqrt(sum->g_squares / (rows * (double)alg->K * A));
    figures->bandwidth = ddpg ? none : sum->h / rows;
    figures->repulsion_norm =
        ddpg || !alg->looking
            ? none
            : sqrt(sum->repulsion_squares / (rows * moved * A));
    figures->f_dead = alg->looking ? dead(alg, true, alg->f.shape.H) : none;
}

void algorithm_figures_collect(const struct algorithm *alg, bool proposed,
                               struct algorithm_figures *figures) {
    const struct algorithm_sums sum = add_slices(alg);
    const double rows = (double)alg->rows;
    const double n_q = alg->n_q > 0 ? (double)alg->n_q : 1.0;
    const bool entropy = alg->config.temperature == TEMPERATURE_AUTO;
    const double determinants =
        rows * (double)((proposed ? alg->W : 0) + (entropy ? alg->K : 0));
    figures->q_loss = sum.loss / (rows * n_q);
    figures->q_mean = sum.q / (rows * n_q);
    figures->target_mean = sum.target / rows;
    figures->q_deviation =
        deviation(sum.q_squares / (rows * n_q), figures->q_mean);
    figures->td_deviation = deviation(2.0 * figures->q_loss,
                                      figures->q_mean - figures->target_mean);
    figures->value_uniform = mean_of(sum.v_uniform, sum.n_v_uniform);
    figures->value_sampler = mean_of(sum.v_sampler, sum.n_v_sampler);
    figures->negative = (double)sum.seen.negative / fmax(determinants, 1.0);
    figures->degenerate = (double)sum.seen.degenerate / fmax(determinants, 1.0);
    figures->q_dead = alg->looking && alg->n_q > 0
                          ? dead(alg, false, alg->q[0].shape.H)
                          : (double)NAN;
    collect_particles(alg, &sum, figures);
}
