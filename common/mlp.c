#include "common/mlp.h"

#include <assert.h>
#include <cblas.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
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
    const size_t L = vector_padded(shape->H), layer = rows * L;
    const size_t total =
        4 * layer + (2 * states + 2 * shape->X + 2 * shape->Y + 1) * L;
    *work = (struct mlp_work){.rows = rows, .states = states};
    float *next = aligned_alloc(64, total * sizeof(float));
    if (!next) return -ENOMEM;
    work->block = next;
    work->h1 = next, next += layer;
    work->h2 = next, next += layer;
    work->d1 = next, next += layer;
    work->d2 = next, next += layer;
    work->h0 = next, next += states * L;
    work->d0 = next, next += states * L;
    work->wx = next, next += shape->X * L;
    work->dwx = next, next += shape->X * L;
    work->w3t = next, next += shape->Y * L;
    work->dw3t = next, next += shape->Y * L;
    work->b2 = next;
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

/* Rows with zeros behind them. to out (n, L), from (n, H) */
static void pad(float *to, const float *from, size_t n, size_t H, size_t L) {
    for (size_t i = 0; i < n; i++) {
        memcpy(to + i * L, from + i * H, sizeof(*to) * H);
        memset(to + i * L + H, 0, sizeof(*to) * (L - H));
    }
}

/* y_k = x . w_k, four k a pass over x. y out (n), x (L), w (n, L) */
VECTOR_INLINE void dots(float *y, const float *x, const float *w, size_t n,
                        size_t L) {
    size_t k = 0;
    for (; k + 4 <= n; k += 4, w += 4 * L) {
        float sum0 = 0.0f, sum1 = 0.0f, sum2 = 0.0f, sum3 = 0.0f;
        for (size_t h = 0; h < VECTOR_WHOLE(L); h++) {
            sum0 += x[h] * w[h];
            sum1 += x[h] * w[L + h];
            sum2 += x[h] * w[2 * L + h];
            sum3 += x[h] * w[3 * L + h];
        }
        y[k] = sum0, y[k + 1] = sum1, y[k + 2] = sum2, y[k + 3] = sum3;
    }
    for (; k < n; k++, w += L) {
        float sum = 0.0f;
        for (size_t h = 0; h < VECTOR_WHOLE(L); h++) sum += x[h] * w[h];
        y[k] = sum;
    }
}

/* y += sum of c_i w_i, four i a pass over y. y in/out (L), c (n) so many
 * floats apart, w (n, L) */
VECTOR_INLINE void add_product(float *restrict y, const float *c, size_t apart,
                               const float *restrict w, size_t n, size_t L) {
    size_t i = 0;
    for (; i + 4 <= n; i += 4, c += 4 * apart, w += 4 * L) {
        const float c0 = c[0], c1 = c[apart];
        const float c2 = c[2 * apart], c3 = c[3 * apart];
        for (size_t h = 0; h < VECTOR_WHOLE(L); h++)
            y[h] += (c0 * w[h] + c1 * w[L + h]) +
                    (c2 * w[2 * L + h] + c3 * w[3 * L + h]);
    }
    for (; i < n; i++, c += apart, w += L) {
        const float c0 = c[0];
        for (size_t h = 0; h < VECTOR_WHOLE(L); h++) y[h] += c0 * w[h];
    }
}

/* h = relu(h). h (L) */
VECTOR_INLINE void relu(float *h, size_t L) {
    for (size_t i = 0; i < L; i++) h[i] = h[i] > 0.0f ? h[i] : 0.0f;
}

/* d = d where the unit was on, else 0. d in/out (L), h (L) after ReLU */
VECTOR_INLINE void mask(float *restrict d, const float *restrict h, size_t L) {
    for (size_t i = 0; i < L; i++) d[i] = h[i] > 0.0f ? d[i] : 0.0f;
}

/* ---- forward: rows [from, to), whose h1 and h2 begin at from ---- */

/* h1 = relu(h0 + x Wx). h0 (B, L), x (B, N, X), wx (X, L) */
VECTOR_CLONES static void first_layer(float *h1, const float *h0,
                                      const float *x, const float *wx,
                                      size_t from, size_t to, size_t N,
                                      size_t X, size_t L) {
    for (size_t r = from; r < to; r++, h1 += L) {
        const float *of_s = h0 + r / N * L;
        memcpy(h1, of_s, sizeof(*h1) * L);
        add_product(h1, x + r * X, 1, wx, X, L);
        relu(h1, L);
    }
}

/* The same with x shared by every state, hx = x Wx. hx (N, L) */
VECTOR_CLONES static void shared_first_layer(float *restrict h1,
                                             const float *h0, const float *hx,
                                             size_t from, size_t to, size_t N,
                                             size_t L) {
    for (size_t r = from; r < to; r++, h1 += L) {
        const float *of_s = h0 + r / N * L, *of_x = hx + r % N * L;
        for (size_t h = 0; h < L; h++) {
            const float sum = of_s[h] + of_x[h];
            h1[h] = sum > 0.0f ? sum : 0.0f;
        }
    }
}

/* h2 = the bias, for sgemm to add to. h2 out (n, L), b2 (L) */
static void begin_second(float *h2, const float *b2, size_t n, size_t L) {
    for (size_t r = 0; r < n; r++) memcpy(h2 + r * L, b2, sizeof(*h2) * L);
}

/* h2 = relu(h2) and y = h2 W3 + b3. h2 in/out (n, L), y out (n, Y) */
VECTOR_CLONES static void output_layer(float *y, float *h2, const float *w3t,
                                       const float *b3, size_t n, size_t L,
                                       size_t Y) {
    for (size_t r = 0; r < n; r++, h2 += L, y += Y) {
        relu(h2, L);
        dots(y, h2, w3t, Y, L);
        for (size_t k = 0; k < Y; k++) y[k] += b3[k];
    }
}

/* The state half of the first layer: h0 = s Ws + b1. h0 out (B, L) */
static void state_layer(float *h0, const float *s, const float *ws,
                        const float *b1, size_t B, size_t S, size_t H,
                        size_t L) {
    for (size_t b = 0; b < B; b++) pad(h0 + b * L, b1, 1, H, L);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)B, (int)H,
                (int)S, 1.0f, s, (int)S, ws, (int)H, 1.0f, h0, (int)L);
}

void mlp_forward(const struct mlp_shape *shape, float *y, const float *p,
                 const float *s, const float *x, size_t B, size_t N,
                 int shared_x, struct mlp_work *work) {
    const size_t S = shape->S, X = shape->X, H = shape->H, Y = shape->Y;
    const struct offsets o = offsets_of(shape);
    const size_t rows = B * N, L = vector_padded(H), chunk = chunk_of(work);
    const bool kept = rows <= work->rows;
    assert(N <= work->rows && B <= work->states);

    state_layer(work->h0, s, p + o.ws, p + o.b1, B, S, H, L);
    pad(work->wx, p + o.wx, X, H, L);
    pad(work->b2, p + o.b2, 1, H, L);
    memset(work->w3t, 0, sizeof(float) * Y * L);
    for (size_t k = 0; k < Y; k++) { // W3 transposed: an output is a dot
        for (size_t h = 0; h < H; h++)
            work->w3t[k * L + h] = p[o.w3 + h * Y + k];
    }
    float *hx = work->d1;
    if (shared_x) {
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)N, (int)L,
                    (int)X, 1.0f, x, (int)X, work->wx, (int)L, 0.0f, hx,
                    (int)L);
    }
    for (size_t from = 0; from < rows; from += chunk) {
        const size_t to = from + chunk < rows ? from + chunk : rows;
        const size_t n = to - from;
        float *h1 = work->h1 + (kept ? from * L : 0);
        float *h2 = work->h2 + (kept ? from * L : 0);
        if (shared_x) {
            shared_first_layer(h1, work->h0, hx, from, to, N, L);
        } else {
            first_layer(h1, work->h0, x, work->wx, from, to, N, X, L);
        }
        begin_second(h2, work->b2, n, L);
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)n, (int)H,
                    (int)H, 1.0f, h1, (int)L, p + o.w2, (int)H, 1.0f, h2,
                    (int)L);
        output_layer(y + from * Y, h2, work->w3t, p + o.b3, n, L, Y);
    }
}

/* y = the larger of y and x. y, x (n) */
VECTOR_CLONES static void raise(float *restrict y, const float *restrict x,
                                size_t n) {
    for (size_t i = 0; i < n; i++) y[i] = x[i] > y[i] ? x[i] : y[i];
}

void mlp_peaks(const struct mlp_shape *shape, float *peak, size_t rows,
               const struct mlp_work *work) {
    const size_t H = shape->H, L = vector_padded(H);
    for (size_t r = 0; r < rows; r++) {
        raise(peak, work->h1 + r * L, H);
        raise(peak + H, work->h2 + r * L, H);
    }
}

/* ---- backward: n rows of a chunk ---- */

/* d2 = dy W3^T where h2 is on. d2 out (n, L), dy (n, Y), h2 (n, L) */
VECTOR_CLONES static void backward_output(float *d2, const float *dy,
                                          const float *h2, const float *w3t,
                                          size_t n, size_t L, size_t Y) {
    for (size_t r = 0; r < n; r++, d2 += L, h2 += L, dy += Y) {
        memset(d2, 0, sizeof(*d2) * L);
        add_product(d2, dy, 1, w3t, Y, L);
        mask(d2, h2, L);
    }
}

/* d1 = d1 where h1 is on, dx = d1 Wx^T. d1 in/out (n, L), dx out (n, X), or
 * NULL, h1 (n, L) */
VECTOR_CLONES static void backward_input(float *d1, float *dx, const float *h1,
                                         const float *wx, size_t n, size_t L,
                                         size_t X) {
    for (size_t r = 0; r < n; r++, d1 += L, h1 += L) {
        mask(d1, h1, L);
        if (dx) dots(dx + r * X, d1, wx, X, L);
    }
}

/* c += a^T b. c in/out (m, L), a (n, m), b (n, L) */
VECTOR_CLONES static void add_outer(float *c, const float *a, const float *b,
                                    size_t n, size_t m, size_t L) {
    for (size_t r = 0; r < n; r += 4) { // rows that stay in the L1 cache
        const size_t rows = n - r < 4 ? n - r : 4;
        for (size_t k = 0; k < m; k++)
            add_product(c + k * L, a + r * m + k, m, b + r * L, rows, L);
    }
}

/* c += the sum of b's rows. c in/out (H), b (n, L) of which H count */
VECTOR_CLONES static void add_rows(float *restrict c, const float *restrict b,
                                   size_t n, size_t H, size_t L) {
    size_t r = 0;
    for (; r + 4 <= n; r += 4) {
        const float *b0 = b + r * L, *b1 = b0 + L, *b2 = b1 + L, *b3 = b2 + L;
        for (size_t h = 0; h < H; h++)
            c[h] += (b0[h] + b1[h]) + (b2[h] + b3[h]);
    }
    for (; r < n; r++) {
        for (size_t h = 0; h < H; h++) c[h] += b[r * L + h];
    }
}

/* d0 += d1, each row to its state's. d0 in/out (B, L), d1 of rows [from, to) */
static void add_states(float *d0, const float *d1, size_t from, size_t to,
                       size_t N, size_t L) {
    while (from < to) {
        const size_t b = from / N, end = (b + 1) * N < to ? (b + 1) * N : to;
        add_rows(d0 + b * L, d1, end - from, L, L);
        d1 += (end - from) * L;
        from = end;
    }
}

void mlp_backward(const struct mlp_shape *shape, float *dp, float *dx,
                  const float *dy, const float *p, const float *s,
                  const float *x, size_t B, size_t N, struct mlp_work *work) {
    const size_t S = shape->S, X = shape->X, H = shape->H, Y = shape->Y;
    const struct offsets o = offsets_of(shape);
    const size_t rows = B * N, L = vector_padded(H), chunk = chunk_of(work);
    float *d0 = work->d0, *d1 = work->d1, *d2 = work->d2;
    float *dwx = work->dwx, *dw3t = work->dw3t;
    assert(rows <= work->rows && B <= work->states);

    if (dp) memset(d0, 0, sizeof(*d0) * B * L);
    if (dp) memset(dwx, 0, sizeof(*dwx) * X * L);
    if (dp) memset(dw3t, 0, sizeof(*dw3t) * Y * L);
    for (size_t from = 0; from < rows; from += chunk) {
        const size_t n = rows - from < chunk ? rows - from : chunk;
        const float *h1 = work->h1 + from * L, *h2 = work->h2 + from * L;
        const float *dy_n = dy + from * Y;
        backward_output(d2, dy_n, h2, work->w3t, n, L, Y);
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)n, (int)H,
                    (int)H, 1.0f, d2, (int)L, p + o.w2, (int)H, 0.0f, d1,
                    (int)L);
        backward_input(d1, dx ? dx + from * X : NULL, h1, work->wx, n, L, X);
        if (!dp) continue;
        cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)H, (int)H,
                    (int)n, 1.0f, h1, (int)L, d2, (int)L, 1.0f, dp + o.w2,
                    (int)H);
        add_outer(dw3t, dy_n, h2, n, Y, L);
        add_rows(dp + o.b3, dy_n, n, Y, Y);
        add_rows(dp + o.b2, d2, n, H, L);
        add_outer(dwx, x + from * X, d1, n, X, L);
        add_states(d0, d1, from, from + n, N, L);
    }
    if (!dp) return;
    for (size_t h = 0; h < H; h++) {
        for (size_t k = 0; k < Y; k++) dp[o.w3 + h * Y + k] += dw3t[k * L + h];
    }
    for (size_t i = 0; i < X; i++)
        add_rows(dp + o.wx + i * H, dwx + i * L, 1, H, L);
    add_rows(dp + o.b1, d0, B, H, L);
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)S, (int)H, (int)B,
                1.0f, s, (int)S, d0, (int)L, 1.0f, dp + o.ws, (int)H);
}

/* ---- the Jacobian: X tangents a particle ---- */

/* The tangents of n particles behind the first layer: Wx where h1 is on.
 * t1 out (n, X, L), h1 (n, L) */
VECTOR_CLONES static void first_tangents(float *t1, const float *h1,
                                         const float *wx, size_t n, size_t X,
                                         size_t L) {
    for (size_t t = 0; t < n * X; t++) {
        memcpy(t1 + t * L, wx + t % X * L, sizeof(float) * L);
        mask(t1 + t * L, h1 + t / X * L, L);
    }
}

/* And of the outputs: t2 W3 where h2 is on. jacobian out (n, Y, X), t2 in/out
 * (n, X, L), y scratch (Y), h2 (n, L) */
VECTOR_CLONES static void output_tangents(float *jacobian, float *t2, float *y,
                                          const float *h2, const float *w3t,
                                          size_t n, size_t X, size_t L,
                                          size_t Y) {
    for (size_t t = 0; t < n * X; t++) {
        const size_t r = t / X, i = t % X;
        mask(t2 + t * L, h2 + r * L, L);
        dots(y, t2 + t * L, w3t, Y, L);
        for (size_t k = 0; k < Y; k++) jacobian[(r * Y + k) * X + i] = y[k];
    }
}

void mlp_jacobian(const struct mlp_shape *shape, float *jacobian,
                  const float *p, size_t B, size_t N, struct mlp_work *work) {
    const size_t X = shape->X, H = shape->H, Y = shape->Y, rows = B * N;
    const struct offsets o = offsets_of(shape);
    const size_t L = vector_padded(H);
    const size_t step = chunk_of(work) / X; // particles at a time
    assert(rows <= work->rows && step > 0);

    for (size_t from = 0; from < rows; from += step) {
        const size_t n = rows - from < step ? rows - from : step;
        // forward mode: a tangent (L) of each input through each layer
        first_tangents(work->d1, work->h1 + from * L, work->wx, n, X, L);
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)(n * X),
                    (int)H, (int)H, 1.0f, work->d1, (int)L, p + o.w2, (int)H,
                    0.0f, work->d2, (int)L);
        output_tangents(jacobian + from * Y * X, work->d2, work->d1,
                        work->h2 + from * L, work->w3t, n, X, L, Y);
    }
}

int mlp_blas_setup(void) {
    openblas_set_num_threads(1);
    return openblas_get_parallel() == 0 ? -ENOTSUP : 0;
}

void mlp_blas_version(char *text, size_t n) {
    static const char own[] = "OpenBLAS ";
    const char *config = openblas_get_config();
    if (strncmp(config, own, strlen(own)) == 0) config += strlen(own);
    const size_t number = strcspn(config, " ");
    const char *rest = config + number;
    snprintf(text, n, "%.*s, kernel %s,%s", (int)number, config,
             openblas_get_corename(), rest);
}
