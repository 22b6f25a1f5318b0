#include "common/mlp.h"

#include <assert.h>
#include <cblas.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/rng.h"
#include "common/vector.h"

/* Where each block of the flat vector starts. */
struct offsets {
    size_t ws, wx, b1, w2, b2, w3, b3, end;
};

static struct offsets offsets_of(const struct mlp_shape *n) {
    struct offsets o = {0};
    o.wx = o.ws + n->S * n->H;
    o.b1 = o.wx + n->X * n->H;
    o.w2 = o.b1 + n->H;
    o.b2 = o.w2 + n->H * n->H;
    o.w3 = o.b2 + n->H;
    o.b3 = o.w3 + n->H * n->Y;
    o.end = o.b3 + n->Y;
    return o;
}

size_t mlp_parameters(const struct mlp_shape *shape) {
    return offsets_of(shape).end;
}

void mlp_slices(const struct mlp_shape *shape,
                struct mlp_slice slices[MLP_TENSORS]) {
    const size_t S = shape->S, X = shape->X, H = shape->H, Y = shape->Y;
    const struct offsets o = offsets_of(shape);
    const struct mlp_slice all[MLP_TENSORS] = {
        {"ws", o.ws, S, H}, {"wx", o.wx, X, H}, {"b1", o.b1, H, 0},
        {"w2", o.w2, H, H}, {"b2", o.b2, H, 0}, {"w3", o.w3, H, Y},
        {"b3", o.b3, Y, 0},
    };
    memcpy(slices, all, sizeof(all));
}

void mlp_init(const struct mlp_shape *shape, float *p, struct rng *rng) {
    struct mlp_slice slices[MLP_TENSORS];
    mlp_slices(shape, slices);
    for (size_t t = 0; t < MLP_TENSORS; t++) {
        const struct mlp_slice *w = &slices[t];
        if (w->cols == 0) {
            memset(p + w->offset, 0, sizeof(*p) * w->rows);
        } else {
            const float limit = sqrtf(6.0f / (float)(w->rows + w->cols));
            rng_fill_uniform(rng, p + w->offset, w->rows * w->cols, -limit,
                             limit);
        }
    }
}

int mlp_work_init(struct mlp_work *work, const struct mlp_shape *shape,
                  size_t rows, size_t states) {
    const size_t H = shape->H, layer = rows * H;
    const size_t total = 4 * layer + 2 * states * H + 2 * shape->Y * H;
    *work = (struct mlp_work){.rows = rows, .states = states};
    float *next = aligned_alloc(64, (total * sizeof(float) + 63) / 64 * 64);
    if (!next) return -ENOMEM;
    work->block = next;
    work->h1 = next, next += layer;
    work->h2 = next, next += layer;
    work->d1 = next, next += layer;
    work->d2 = next, next += layer;
    work->h0 = next, next += states * H;
    work->d0 = next, next += states * H;
    work->w3t = next, next += shape->Y * H;
    work->dw3t = next;
    return 0;
}

void mlp_work_finish(struct mlp_work *work) {
    free(work->block);
    *work = (struct mlp_work){0};
}

/* Rows of one sgemm. */
static size_t chunk_of(const struct mlp_work *work) {
    return work->rows < MLP_CHUNK ? work->rows : MLP_CHUNK;
}

/* y_k = x . w_k, four k a pass over x. y out (n), x (H), w (n, H) */
VECTOR_INLINE void dots(float *y, const float *x, const float *w, size_t n,
                        size_t H) {
    size_t k = 0;
    for (; k + 4 <= n; k += 4, w += 4 * H) {
        float sum0 = 0.0f, sum1 = 0.0f, sum2 = 0.0f, sum3 = 0.0f;
#pragma omp simd reduction(+ : sum0, sum1, sum2, sum3)
        for (size_t h = 0; h < H; h++) {
            sum0 += x[h] * w[h];
            sum1 += x[h] * w[H + h];
            sum2 += x[h] * w[2 * H + h];
            sum3 += x[h] * w[3 * H + h];
        }
        y[k] = sum0, y[k + 1] = sum1, y[k + 2] = sum2, y[k + 3] = sum3;
    }
    for (; k < n; k++, w += H) {
        float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
        for (size_t h = 0; h < H; h++) sum += x[h] * w[h];
        y[k] = sum;
    }
}

/* Lanes of sum + c w. c (n), w (n, H) from the lanes' first column on */
VECTOR_INLINE vector_floats add_product(vector_floats sum, const float *c,
                                        const float *w, size_t n, size_t H,
                                        size_t lanes) {
    for (size_t i = 0; i < n; i++) sum += c[i] * vector_load(w + i * H, lanes);
    return sum;
}

/* ---- forward: rows [from, to), whose h1 and h2 begin at from ---- */

VECTOR_INLINE void first_rows(float *h1, const float *h0, const float *x,
                              const float *wx, size_t from, size_t to, size_t N,
                              size_t X, size_t H, size_t lanes) {
    for (size_t r = from; r < to; r++, h1 += H) {
        const float *of_s = h0 + r / N * H;
        for (size_t h = 0; h < H; h = vector_next(h, H, lanes)) {
            const vector_floats sum = add_product(
                vector_load(of_s + h, lanes), x + r * X, wx + h, X, H, lanes);
            vector_store(h1 + h, vector_where(sum, sum), lanes);
        }
    }
}

/* h1 = relu(h0 + x Wx). h0 (B, H), x (B, N, X), wx (X, H) */
VECTOR_CLONES static void first_layer(float *h1, const float *h0,
                                      const float *x, const float *wx,
                                      size_t from, size_t to, size_t N,
                                      size_t X, size_t H) {
    if (H < VECTOR_LANES)
        first_rows(h1, h0, x, wx, from, to, N, X, H, H);
    else
        first_rows(h1, h0, x, wx, from, to, N, X, H, VECTOR_LANES);
}

/* The same with x shared by every state, hx = x Wx. hx (N, H) */
VECTOR_CLONES static void shared_first_layer(float *restrict h1,
                                             const float *h0, const float *hx,
                                             size_t from, size_t to, size_t N,
                                             size_t H) {
    for (size_t r = from; r < to; r++, h1 += H) {
        const float *of_s = h0 + r / N * H, *of_x = hx + r % N * H;
        for (size_t h = 0; h < H; h++) {
            const float sum = of_s[h] + of_x[h];
            h1[h] = sum > 0.0f ? sum : 0.0f;
        }
    }
}

/* h2 = relu(h2 + b2) and y = h2 W3 + b3. h2 in/out (n, H), y out (n, Y) */
VECTOR_CLONES static void output_layer(float *y, float *h2, const float *b2,
                                       const float *w3t, const float *b3,
                                       size_t n, size_t H, size_t Y) {
    for (size_t r = 0; r < n; r++) {
        float *restrict h2_r = h2 + r * H;
        for (size_t h = 0; h < H; h++) {
            const float sum = h2_r[h] + b2[h];
            h2_r[h] = sum > 0.0f ? sum : 0.0f;
        }
        dots(y + r * Y, h2_r, w3t, Y, H);
        for (size_t k = 0; k < Y; k++) y[r * Y + k] += b3[k];
    }
}

/* The state half of the first layer: h0 = s Ws + b1. h0 out (B, H) */
static void state_layer(float *h0, const float *s, const float *ws,
                        const float *b1, size_t B, size_t S, size_t H) {
    for (size_t b = 0; b < B; b++) memcpy(h0 + b * H, b1, sizeof(*h0) * H);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)B, (int)H,
                (int)S, 1.0f, s, (int)S, ws, (int)H, 1.0f, h0, (int)H);
}

void mlp_forward(const struct mlp_shape *shape, float *y, const float *p,
                 const float *s, const float *x, size_t B, size_t N,
                 int shared_x, struct mlp_work *work) {
    const size_t S = shape->S, X = shape->X, H = shape->H, Y = shape->Y;
    const struct offsets o = offsets_of(shape);
    const size_t rows = B * N;
    const bool kept = rows <= work->rows;
    const size_t chunk = chunk_of(work);
    assert(N <= work->rows && B <= work->states);

    state_layer(work->h0, s, p + o.ws, p + o.b1, B, S, H);
    for (size_t k = 0; k < Y; k++) { // W3 transposed: an output is a dot
        for (size_t h = 0; h < H; h++) {
            work->w3t[k * H + h] = p[o.w3 + h * Y + k];
        }
    }
    float *hx = work->d1;
    if (shared_x) {
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)N, (int)H,
                    (int)X, 1.0f, x, (int)X, p + o.wx, (int)H, 0.0f, hx,
                    (int)H);
    }
    for (size_t from = 0; from < rows; from += chunk) {
        const size_t to = from + chunk < rows ? from + chunk : rows;
        const size_t n = to - from;
        float *h1 = work->h1 + (kept ? from * H : 0);
        float *h2 = work->h2 + (kept ? from * H : 0);
        if (shared_x) {
            shared_first_layer(h1, work->h0, hx, from, to, N, H);
        } else {
            first_layer(h1, work->h0, x, p + o.wx, from, to, N, X, H);
        }
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)n, (int)H,
                    (int)H, 1.0f, h1, (int)H, p + o.w2, (int)H, 0.0f, h2,
                    (int)H);
        output_layer(y + from * Y, h2, p + o.b2, work->w3t, p + o.b3, n, H, Y);
    }
}

/* y = the larger of y and x. y, x (n) */
VECTOR_CLONES static void raise(float *restrict y, const float *restrict x,
                                size_t n) {
    for (size_t i = 0; i < n; i++) y[i] = x[i] > y[i] ? x[i] : y[i];
}

void mlp_peaks(const struct mlp_shape *shape, float *peak, size_t rows,
               const struct mlp_work *work) {
    const size_t H = shape->H;
    for (size_t r = 0; r < rows; r++) {
        raise(peak, work->h1 + r * H, H);
        raise(peak + H, work->h2 + r * H, H);
    }
}

/* ---- backward: n rows of a chunk ---- */

/* d = d where the unit was on, else 0. d in/out (n), h (n) after ReLU */
VECTOR_INLINE void mask(float *restrict d, const float *restrict h, size_t n) {
    for (size_t i = 0; i < n; i++) d[i] = h[i] > 0.0f ? d[i] : 0.0f;
}

VECTOR_INLINE void output_rows(float *d2, const float *dy, const float *h2,
                               const float *w3t, size_t n, size_t H, size_t Y,
                               size_t lanes) {
    const vector_floats zero = {0};
    for (size_t r = 0; r < n; r++) {
        for (size_t h = 0; h < H; h = vector_next(h, H, lanes)) {
            const vector_floats sum =
                add_product(zero, dy + r * Y, w3t + h, Y, H, lanes);
            const vector_floats on = vector_load(h2 + r * H + h, lanes);
            vector_store(d2 + r * H + h, vector_where(on, sum), lanes);
        }
    }
}

/* d2 = dy W3^T where h2 is on. d2 out (n, H), dy (n, Y), h2 (n, H) */
VECTOR_CLONES static void backward_output(float *d2, const float *dy,
                                          const float *h2, const float *w3t,
                                          size_t n, size_t H, size_t Y) {
    if (H < VECTOR_LANES)
        output_rows(d2, dy, h2, w3t, n, H, Y, H);
    else
        output_rows(d2, dy, h2, w3t, n, H, Y, VECTOR_LANES);
}

/* d1 = d1 where h1 is on, dx = d1 Wx^T. d1 in/out (n, H), dx out (n, X), or
 * NULL, h1 (n, H) */
VECTOR_CLONES static void backward_input(float *d1, float *dx, const float *h1,
                                         const float *wx, size_t n, size_t H,
                                         size_t X) {
    for (size_t r = 0; r < n; r++) {
        mask(d1 + r * H, h1 + r * H, H);
        if (dx) dots(dx + r * X, d1 + r * H, wx, X, H);
    }
}

/* c += a^T b, four rows a pass over c. c in/out (m, H), a (n, m), b (n, H) */
VECTOR_CLONES static void add_outer(float *c, const float *a, const float *b,
                                    size_t n, size_t m, size_t H) {
    size_t r = 0;
    for (; r + 4 <= n; r += 4) {
        const float *b0 = b + r * H, *b1 = b0 + H, *b2 = b1 + H, *b3 = b2 + H;
        for (size_t k = 0; k < m; k++) {
            const float *a_k = a + r * m + k;
            const float a0 = a_k[0], a1 = a_k[m], a2 = a_k[2 * m],
                        a3 = a_k[3 * m];
            float *restrict c_k = c + k * H;
            for (size_t h = 0; h < H; h++)
                c_k[h] += (a0 * b0[h] + a1 * b1[h]) + (a2 * b2[h] + a3 * b3[h]);
        }
    }
    for (; r < n; r++) {
        for (size_t k = 0; k < m; k++) {
            float *restrict c_k = c + k * H;
            for (size_t h = 0; h < H; h++)
                c_k[h] += a[r * m + k] * b[r * H + h];
        }
    }
}

/* c += the sum of b's rows. c in/out (H), b (n, H) */
VECTOR_CLONES static void add_rows(float *restrict c, const float *restrict b,
                                   size_t n, size_t H) {
    size_t r = 0;
    for (; r + 4 <= n; r += 4) {
        const float *b0 = b + r * H, *b1 = b0 + H, *b2 = b1 + H, *b3 = b2 + H;
        for (size_t h = 0; h < H; h++)
            c[h] += (b0[h] + b1[h]) + (b2[h] + b3[h]);
    }
    for (; r < n; r++) {
        for (size_t h = 0; h < H; h++) c[h] += b[r * H + h];
    }
}

/* d0 += d1, each row to its state's. d0 in/out (B, H), d1 of rows [from, to) */
static void add_states(float *d0, const float *d1, size_t from, size_t to,
                       size_t N, size_t H) {
    while (from < to) {
        const size_t b = from / N, end = (b + 1) * N < to ? (b + 1) * N : to;
        add_rows(d0 + b * H, d1, end - from, H);
        d1 += (end - from) * H;
        from = end;
    }
}

void mlp_backward(const struct mlp_shape *shape, float *dp, float *dx,
                  const float *dy, const float *p, const float *s,
                  const float *x, size_t B, size_t N, struct mlp_work *work) {
    const size_t S = shape->S, X = shape->X, H = shape->H, Y = shape->Y;
    const struct offsets o = offsets_of(shape);
    const size_t rows = B * N, chunk = chunk_of(work);
    float *d0 = work->d0, *d1 = work->d1, *d2 = work->d2, *dw3t = work->dw3t;
    assert(rows <= work->rows && B <= work->states);

    if (dp) memset(d0, 0, sizeof(*d0) * B * H);
    if (dp) memset(dw3t, 0, sizeof(*dw3t) * Y * H);
    for (size_t from = 0; from < rows; from += chunk) {
        const size_t n = rows - from < chunk ? rows - from : chunk;
        const float *h1 = work->h1 + from * H, *h2 = work->h2 + from * H;
        const float *dy_n = dy + from * Y, *x_n = x + from * X;
        backward_output(d2, dy_n, h2, work->w3t, n, H, Y);
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)n, (int)H,
                    (int)H, 1.0f, d2, (int)H, p + o.w2, (int)H, 0.0f, d1,
                    (int)H);
        backward_input(d1, dx ? dx + from * X : NULL, h1, p + o.wx, n, H, X);
        if (!dp) continue;
        cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)H, (int)H,
                    (int)n, 1.0f, h1, (int)H, d2, (int)H, 1.0f, dp + o.w2,
                    (int)H);
        add_outer(dw3t, dy_n, h2, n, Y, H);
        add_rows(dp + o.b3, dy_n, n, Y);
        add_rows(dp + o.b2, d2, n, H);
        add_outer(dp + o.wx, x_n, d1, n, X, H);
        add_states(d0, d1, from, from + n, N, H);
    }
    if (!dp) return;
    for (size_t h = 0; h < H; h++) {
        for (size_t k = 0; k < Y; k++) dp[o.w3 + h * Y + k] += dw3t[k * H + h];
    }
    add_rows(dp + o.b1, d0, B, H);
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)S, (int)H, (int)B,
                1.0f, s, (int)S, d0, (int)H, 1.0f, dp + o.ws, (int)H);
}

/* ---- the Jacobian: X tangents a particle ---- */

/* The tangents of n particles behind the first layer: Wx where h1 is on.
 * t1 out (n, X, H), h1 (n, H) */
VECTOR_CLONES static void first_tangents(float *t1, const float *h1,
                                         const float *wx, size_t n, size_t X,
                                         size_t H) {
    for (size_t t = 0; t < n * X; t++) {
        memcpy(t1 + t * H, wx + t % X * H, sizeof(float) * H);
        mask(t1 + t * H, h1 + t / X * H, H);
    }
}

/* And of the outputs: t2 W3 where h2 is on. jacobian out (n, Y, X), t2 in/out
 * (n, X, H), y scratch (Y), h2 (n, H) */
VECTOR_CLONES static void output_tangents(float *jacobian, float *t2, float *y,
                                          const float *h2, const float *w3t,
                                          size_t n, size_t X, size_t H,
                                          size_t Y) {
    for (size_t t = 0; t < n * X; t++) {
        const size_t r = t / X, i = t % X;
        mask(t2 + t * H, h2 + r * H, H);
        dots(y, t2 + t * H, w3t, Y, H);
        for (size_t k = 0; k < Y; k++) jacobian[(r * Y + k) * X + i] = y[k];
    }
}

void mlp_jacobian(const struct mlp_shape *shape, float *jacobian,
                  const float *p, size_t B, size_t N, struct mlp_work *work) {
    const size_t X = shape->X, H = shape->H, Y = shape->Y, rows = B * N;
    const struct offsets o = offsets_of(shape);
    const size_t step = chunk_of(work) / X; // particles at a time
    assert(rows <= work->rows && step > 0);

    for (size_t from = 0; from < rows; from += step) {
        const size_t n = rows - from < step ? rows - from : step;
        // forward mode: a tangent (H) of each input through each layer
        first_tangents(work->d1, work->h1 + from * H, p + o.wx, n, X, H);
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)(n * X),
                    (int)H, (int)H, 1.0f, work->d1, (int)H, p + o.w2, (int)H,
                    0.0f, work->d2, (int)H);
        output_tangents(jacobian + from * Y * X, work->d2, work->d1,
                        work->h2 + from * H, work->w3t, n, X, H, Y);
    }
}

int mlp_blas_setup(void) {
    openblas_set_num_threads(1);
    return openblas_get_parallel() == 0 ? -ENOTSUP : 0;
}
