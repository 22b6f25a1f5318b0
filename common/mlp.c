#include "common/mlp.h"

#include <assert.h>
#include <cblas.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/rng.h"

/* Rows of one sgemm: a chunk of both hidden layers stays in the L2 cache. */
enum { CHUNK = 512 };

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

/* y += c x. y, x (n) */
static void axpy(float *restrict y, float c, const float *restrict x,
                 size_t n) {
    for (size_t i = 0; i < n; i++) y[i] += c * x[i];
}

/* Eight partial sums, because the compiler may not reorder one. x, y (n) */
static float dot(const float *x, const float *y, size_t n) {
    float lane[8] = {0}, rest = 0.0f;
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        for (size_t l = 0; l < 8; l++) lane[l] += x[i + l] * y[i + l];
    }
    for (; i < n; i++) rest += x[i] * y[i];
    return ((lane[0] + lane[4]) + (lane[1] + lane[5])) +
           ((lane[2] + lane[6]) + (lane[3] + lane[7])) + rest;
}

/* h = relu(h). h (n) */
static void relu(float *h, size_t n) {
    for (size_t i = 0; i < n; i++) h[i] = h[i] > 0.0f ? h[i] : 0.0f;
}

/*
 * One row of the first layer, h1 = relu(h0 + x Wx): two inputs a pass over the
 * row, because X is small and sgemm is slow at a handful of columns.
 * h1 out (H), h0 (H), x (X), wx (X, H)
 */
static void first_layer(float *restrict h1, const float *restrict h0,
                        const float *x, const float *restrict wx, size_t X,
                        size_t H) {
    size_t i = 0;
    if (X >= 2) {
        for (size_t h = 0; h < H; h++) {
            h1[h] = h0[h] + x[0] * wx[h] + x[1] * wx[H + h];
        }
        i = 2;
    } else {
        memcpy(h1, h0, sizeof(*h1) * H);
    }
    for (; i + 2 <= X; i += 2) {
        const float *w = wx + i * H;
        for (size_t h = 0; h < H; h++) {
            h1[h] += x[i] * w[h] + x[i + 1] * w[H + h];
        }
    }
    if (i < X) axpy(h1, x[i], wx + i * H, H);
    relu(h1, H);
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
    assert(rows <= work->rows && B <= work->states);

    state_layer(work->h0, s, p + o.ws, p + o.b1, B, S, H);
    for (size_t k = 0; k < Y; k++) { // W3 transposed: an output is a dot
        for (size_t h = 0; h < H; h++) {
            work->w3t[k * H + h] = p[o.w3 + h * Y + k];
        }
    }
    for (size_t from = 0; from < rows; from += CHUNK) {
        const size_t n = rows - from < CHUNK ? rows - from : CHUNK;
        for (size_t r = from; r < from + n; r++) {
            const float *x_r = x + (shared_x ? r % N : r) * X;
            first_layer(work->h1 + r * H, work->h0 + r / N * H, x_r, p + o.wx,
                        X, H);
            memcpy(work->h2 + r * H, p + o.b2, sizeof(float) * H);
        }
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)n, (int)H,
                    (int)H, 1.0f, work->h1 + from * H, (int)H, p + o.w2, (int)H,
                    1.0f, work->h2 + from * H, (int)H);
        for (size_t r = from; r < from + n; r++) {
            float *h2 = work->h2 + r * H;
            relu(h2, H);
            for (size_t k = 0; k < Y; k++) {
                y[r * Y + k] = dot(h2, work->w3t + k * H, H) + p[o.b3 + k];
            }
        }
    }
}

/* y = the larger of y and x. y, x (n) */
static void raise(float *restrict y, const float *restrict x, size_t n) {
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

/* d = d where the unit was on, else 0. d in/out (n), h (n) after ReLU */
static void mask(float *restrict d, const float *restrict h, size_t n) {
    for (size_t i = 0; i < n; i++) d[i] = h[i] > 0.0f ? d[i] : 0.0f;
}

/* d2 = (dy W3^T) where h2 is on. dy of the chunk's first row. */
static void backward_output(float *d2, const float *dy, const float *h2,
                            const float *w3t, size_t rows, size_t H, size_t Y) {
    for (size_t r = 0; r < rows; r++) {
        float *restrict d = d2 + r * H;
        const float c = dy[r * Y];
        for (size_t h = 0; h < H; h++) d[h] = c * w3t[h];
        for (size_t k = 1; k < Y; k++) axpy(d, dy[r * Y + k], w3t + k * H, H);
        mask(d, h2 + r * H, H);
    }
}

/* The output layer's gradients: dw3t (Y, H) and db3 (Y), both added to. */
static void output_gradient(float *dw3t, float *db3, const float *dy,
                            const float *h2, size_t rows, size_t H, size_t Y) {
    for (size_t r = 0; r < rows; r++) {
        for (size_t k = 0; k < Y; k++) {
            axpy(dw3t + k * H, dy[r * Y + k], h2 + r * H, H);
            db3[k] += dy[r * Y + k];
        }
    }
}

/* The first layer's: dwx (X, H) added to, d0 (B, H) = sum over particles. */
static void input_gradient(float *dwx, float *d0, const float *d1,
                           const float *x, size_t B, size_t N, size_t H,
                           size_t X) {
    memset(d0, 0, sizeof(*d0) * B * H);
    for (size_t r = 0; r < B * N; r++) {
        const float *d = d1 + r * H;
        axpy(d0 + r / N * H, 1.0f, d, H);
        for (size_t i = 0; i < X; i++) axpy(dwx + i * H, x[r * X + i], d, H);
    }
}

/* dp += for all but W2, which sgemm adds chunk by chunk. */
static void add_gradients(const struct mlp_shape *shape, float *dp,
                          const float *dy, const float *s, const float *x,
                          size_t B, size_t N, struct mlp_work *work) {
    const size_t S = shape->S, X = shape->X, H = shape->H, Y = shape->Y;
    const struct offsets o = offsets_of(shape);
    const size_t rows = B * N;

    float *dw3t = work->dw3t;
    memset(dw3t, 0, sizeof(*dw3t) * Y * H);
    output_gradient(dw3t, dp + o.b3, dy, work->h2, rows, H, Y);
    for (size_t h = 0; h < H; h++) {
        for (size_t k = 0; k < Y; k++) dp[o.w3 + h * Y + k] += dw3t[k * H + h];
    }
    for (size_t r = 0; r < rows; r++) {
        axpy(dp + o.b2, 1.0f, work->d2 + r * H, H);
    }
    input_gradient(dp + o.wx, work->d0, work->d1, x, B, N, H, X);
    for (size_t b = 0; b < B; b++) axpy(dp + o.b1, 1.0f, work->d0 + b * H, H);
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)S, (int)H, (int)B,
                1.0f, s, (int)S, work->d0, (int)H, 1.0f, dp + o.ws, (int)H);
}

void mlp_backward(const struct mlp_shape *shape, float *dp, float *dx,
                  const float *dy, const float *p, const float *s,
                  const float *x, size_t B, size_t N, struct mlp_work *work) {
    const size_t X = shape->X, H = shape->H, Y = shape->Y;
    const struct offsets o = offsets_of(shape);
    const size_t rows = B * N;
    assert(rows <= work->rows && B <= work->states);

    for (size_t from = 0; from < rows; from += CHUNK) {
        const size_t n = rows - from < CHUNK ? rows - from : CHUNK;
        const float *h1 = work->h1 + from * H, *h2 = work->h2 + from * H;
        float *d1 = work->d1 + from * H, *d2 = work->d2 + from * H;
        backward_output(d2, dy + from * Y, h2, work->w3t, n, H, Y);
        if (dp) {
            cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)H, (int)H,
                        (int)n, 1.0f, h1, (int)H, d2, (int)H, 1.0f, dp + o.w2,
                        (int)H);
        }
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)n, (int)H,
                    (int)H, 1.0f, d2, (int)H, p + o.w2, (int)H, 0.0f, d1,
                    (int)H);
        for (size_t r = 0; r < n; r++) {
            mask(d1 + r * H, h1 + r * H, H);
            for (size_t i = 0; dx && i < X; i++) {
                dx[(from + r) * X + i] = dot(d1 + r * H, p + o.wx + i * H, H);
            }
        }
    }
    if (dp) add_gradients(shape, dp, dy, s, x, B, N, work);
}

void mlp_jacobian(const struct mlp_shape *shape, float *jacobian,
                  const float *p, size_t B, size_t N, struct mlp_work *work) {
    const size_t X = shape->X, H = shape->H, Y = shape->Y, rows = B * N;
    const struct offsets o = offsets_of(shape);
    const size_t most = CHUNK < work->rows ? CHUNK : work->rows;
    const size_t step = most / X; // particles at a time
    assert(rows <= work->rows && step > 0);

    for (size_t from = 0; from < rows; from += step) {
        const size_t n = rows - from < step ? rows - from : step;
        // forward mode: a tangent (H) of each input through each layer
        for (size_t t = 0; t < n * X; t++) {
            float *tangent = work->d1 + t * H;
            memcpy(tangent, p + o.wx + t % X * H, sizeof(float) * H);
            mask(tangent, work->h1 + (from + t / X) * H, H);
        }
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)(n * X),
                    (int)H, (int)H, 1.0f, work->d1, (int)H, p + o.w2, (int)H,
                    0.0f, work->d2, (int)H);
        for (size_t t = 0; t < n * X; t++) {
            const size_t r = from + t / X, i = t % X;
            mask(work->d2 + t * H, work->h2 + r * H, H);
            for (size_t k = 0; k < Y; k++) {
                jacobian[(r * Y + k) * X + i] =
                    dot(work->d2 + t * H, work->w3t + k * H, H);
            }
        }
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
