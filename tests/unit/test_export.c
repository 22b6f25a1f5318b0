/* Networks for other programs give what ours give. */

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "actor/c_header.h"
#include "actor/export.h"
#include "actor/onnx.h"
#include "actor/onnx.pb-c.h"
#include "common/rng.h"
#include "tests/unit/robot.h"
#include "tests/unit/test.h"

enum { N = 1000, MOST_VALUES = 512 };

/* Networks of random weights, as a checkpoint would give them. */
struct world {
    struct snapshot snapshot;
    struct export export;
    double range[2 * 8];
    size_t S, A;
    float *s, *xi; /* (N, S) (N, A) */
};

static float *fill(size_t n, uint64_t seed, float deviation) {
    float *x = malloc(sizeof(*x) * n);
    assert_non_null(x);
    test_fill_normal(x, n, seed);
    for (size_t i = 0; i < n; i++) x[i] *= deviation;
    return x;
}

static void see_by_moments(struct moments *moments, size_t S) {
    assert_int_equal(moments_init(moments, S), 0);
    moments->count = 4.0;
    for (size_t i = 0; i < S; i++) {
        moments->mean[i] = 0.5 * (double)i - 1.0;
        moments->m2[i] = i == 0 ? 0.0001 : 1.0 + (double)i; // one is clipped
    }
    moments_refresh(moments);
}

static void add_source(struct snapshot *snapshot, size_t S, size_t A, size_t H,
                       size_t twins, bool moments) {
    struct stored_q *q = &snapshot->sources[snapshot->n_sources++];
    q->shape = (struct mlp_shape){S, A, H, 1};
    q->n = twins;
    for (size_t i = 0; i < twins; i++)
        q->theta[i] =
            fill(mlp_parameters(&q->shape), 10 * snapshot->n_sources + i, 0.3f);
    if (moments) see_by_moments(&q->moments, S);
}

static void set_up(struct world *w, size_t S, size_t A, size_t H, bool moments,
                   size_t noise, const char *run) {
    *w = (struct world){.S = S, .A = A};
    struct snapshot *snapshot = &w->snapshot;
    struct policy *policy = &snapshot->policy;
    policy->shape = (struct mlp_shape){S, A, H, A};
    policy->phi = snapshot->phi = fill(mlp_parameters(&policy->shape), 1, 0.3f);
    policy->n_noise = noise;
    if (noise > 0) policy->noise = snapshot->noise = fill(noise * A, 2, 1.0f);
    if (moments) see_by_moments(&snapshot->moments, S);
    policy->mean = snapshot->moments.shift;
    policy->scale = snapshot->moments.scale;
    snapshot->updates = 12345;
    strcpy(snapshot->file, "0000000001-000000012345.safetensors");
    for (size_t i = 0; i < A; i++) {
        w->range[2 * i] = -0.4 * (double)i - 0.1;
        w->range[2 * i + 1] = 3.0;
    }
    const struct env_spec spec = {
        .obs_dim = S, .act_dim = A, .action_range = w->range};
    assert_int_equal(export_init(&w->export, snapshot, run, "task", &spec), 0);
    w->s = fill(N * S, 3, 2.0f);
    w->xi = fill(N * A, 4, 1.0f);
}

static void tear_down(struct world *w) {
    export_finish(&w->export);
    snapshot_finish(&w->snapshot);
    free(w->s), free(w->xi);
}

/* What our own rollout would hand to the motors. (N, A), malloc'ed. */
static float *act(const struct world *w) {
    const struct policy *policy = &w->snapshot.policy;
    struct mlp_work work;
    float *x = fill(N * w->S, 0, 0.0f), *a = fill(N * w->A, 0, 0.0f);
    assert_int_equal(mlp_work_init(&work, &policy->shape, N, N), 0);
    policy_observe(policy, x, w->s, N);
    policy_act(&policy->shape, a, NULL, policy->phi, x, w->xi, N, 1, &work);
    for (size_t i = 0; i < N * w->A; i++)
        a[i] = (float)env_scale(w->range + 2 * (i % w->A), (double)a[i]);
    mlp_work_finish(&work);
    free(x);
    return a;
}

/* ---- the C header ---- */

static const char wrapper[] =
    "#include \"sampler.h\"\n"
    "void act(const float *s, const float *xi, float *a);\n"
    "void act(const float *s, const float *xi, float *a) {\n"
    "    sampler_act(s, xi, a);\n"
    "}\n"
    "int sizes(void);\n"
    "int sizes(void) {\n"
    "    return SAMPLER_S * 10000 + SAMPLER_A * 100 + SAMPLER_NOISE;\n"
    "}\n";

static void *symbol(void *library, const char *name, void *function) {
    void *found = dlsym(library, name);
    assert_non_null(found);
    memcpy(function, &found, sizeof(found)); // C knows no cast to code
    return found;
}

/* Compiled alone, strictly, as c99 and as whatever a robot's firmware may be.
 */
static void compare_header(struct world *w) {
    char folder[] = "/tmp/softq-export-XXXXXX", path[64], command[300];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/sampler.h", folder);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    c_header_write(&w->export, file);
    assert_int_equal(fclose(file), 0);
    snprintf(path, sizeof(path), "%s/act.c", folder);
    file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(wrapper, file) >= 0);
    assert_int_equal(fclose(file), 0);
    snprintf(command, sizeof(command),
             "cc -std=c99 -Wall -Wextra -Wpedantic -Werror -O1 -fPIC -shared "
             "-o %s/act.so %s/act.c -lm",
             folder, folder);
    assert_int_equal(system(command), 0);

    snprintf(path, sizeof(path), "%s/act.so", folder);
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    assert_non_null(library);
    void (*theirs)(const float *, const float *, float *) = NULL;
    int (*sizes)(void) = NULL;
    symbol(library, "act", &theirs);
    symbol(library, "sizes", &sizes);
    assert_int_equal(sizes(),
                     w->S * 10000 + w->A * 100 + w->snapshot.policy.n_noise);
    float *ours = act(w), a[8];
    for (size_t i = 0; i < N; i++) {
        test_fill_nan(a, w->A);
        theirs(w->s + i * w->S, w->xi + i * w->A, a);
        for (size_t k = 0; k < w->A; k++)
            assert_close(a[k], ours[i * w->A + k], 1e-5f);
    }
    dlclose(library);
    free(ours);
    snprintf(command, sizeof(command), "rm -r %s", folder);
    assert_int_equal(system(command), 0);
}

/* 1000 actions within 1e-5, with normalisation, ranges and a noise set. */
static void the_header_acts_as_the_policy(void **unused) {
    (void)unused;
    struct world w;
    set_up(&w, 5, 3, 32, true, 4, "/somewhere/run-1/");
    assert_string_equal(w.export.run, "run-1");
    compare_header(&w);
    tear_down(&w);
}

/* The least: one number each, nothing normalised, fresh noise. And a run whose
 * name would end a comment. */
static void the_smallest_header_compiles(void **unused) {
    (void)unused;
    struct world w;
    set_up(&w, 1, 1, 1, false, 0, "a/b */ #error \\?\?/");
    compare_header(&w);
    tear_down(&w);
}

/* ---- ONNX, by the few operations that it is written in ---- */

struct tensor {
    const char *name;
    size_t rows, cols;
    float *x; /* (rows, cols) owned */
};

struct machine {
    size_t n;
    struct tensor tensors[MOST_VALUES];
};

static struct tensor *find(struct machine *m, const char *name) {
    for (size_t i = 0; i < m->n; i++)
        if (strcmp(m->tensors[i].name, name) == 0) return &m->tensors[i];
    fail_msg("no value %s", name);
    return NULL;
}

static struct tensor *add(struct machine *m, const char *name, size_t rows,
                          size_t cols, const float *x) {
    struct tensor *t = &m->tensors[m->n++];
    assert_true(m->n <= MOST_VALUES);
    *t = (struct tensor){name, rows, cols, fill(rows * cols, 0, 0.0f)};
    if (x) memcpy(t->x, x, sizeof(*x) * rows * cols);
    return t;
}

/* An element of what is broadcast to more rows, or more columns. */
static float at(const struct tensor *t, size_t row, size_t col) {
    return t->x[(t->rows > 1 ? row : 0) * t->cols + (t->cols > 1 ? col : 0)];
}

static float element(const char *op, float a, float b) {
    if (strcmp(op, "Add") == 0) return a + b;
    if (strcmp(op, "Sub") == 0) return a - b;
    if (strcmp(op, "Mul") == 0) return a * b;
    if (strcmp(op, "Min") == 0) return fminf(a, b);
    if (strcmp(op, "Relu") == 0) return fmaxf(a, 0.0f);
    if (strcmp(op, "Tanh") == 0) return tanhf(a);
    fail_msg("an operation %s", op);
    return NAN;
}

static void run_node(struct machine *m, const Onnx__NodeProto *node) {
    assert_int_equal(node->n_output, 1);
    const struct tensor a = *find(m, node->input[0]);
    const struct tensor b = *find(m, node->input[node->n_input > 1 ? 1 : 0]);
    const bool product = strcmp(node->op_type, "MatMul") == 0;
    const bool clip = strcmp(node->op_type, "Clip") == 0;
    const struct tensor c = clip ? *find(m, node->input[2]) : a;
    const size_t cols = product || b.cols > a.cols ? b.cols : a.cols;
    if (product) assert_int_equal(a.cols, b.rows);
    struct tensor *out = add(m, node->output[0], a.rows, cols, NULL);
    for (size_t i = 0; i < a.rows; i++) {
        for (size_t j = 0; j < cols; j++) {
            float *y = &out->x[i * cols + j];
            for (size_t k = 0; product && k < a.cols; k++)
                *y += at(&a, i, k) * b.x[k * b.cols + j];
            if (product) continue;
            *y = clip ? fminf(fmaxf(at(&a, i, j), b.x[0]), c.x[0])
                      : element(node->op_type, at(&a, i, j), at(&b, i, j));
        }
    }
}

/* The model's output (N, *cols) on s and second, malloc'ed. */
static float *run_model(const uint8_t *data, size_t len, const float *s,
                        const float *second, const char *output, size_t *cols) {
    struct machine *m = calloc(1, sizeof(*m));
    assert_non_null(m);
    Onnx__ModelProto *model = onnx__model_proto__unpack(NULL, len, data);
    assert_non_null(model);
    assert_int_equal(model->ir_version, 7);
    assert_int_equal(model->opset_import[0]->version, 13);
    const Onnx__GraphProto *graph = model->graph;
    const float *given[2] = {s, second};
    for (size_t i = 0; i < 2; i++) {
        Onnx__TensorShapeProto *shape =
            graph->input[i]->type->tensor_type->shape;
        assert_string_equal(shape->dim[0]->dim_param, "N");
        add(m, graph->input[i]->name, N, (size_t)shape->dim[1]->dim_value,
            given[i]);
    }
    for (size_t i = 0; i < graph->n_initializer; i++) {
        const Onnx__TensorProto *t = graph->initializer[i];
        const size_t rows = t->n_dims > 1 ? (size_t)t->dims[0] : 1;
        const size_t width = t->n_dims > 0 ? (size_t)t->dims[t->n_dims - 1] : 1;
        assert_int_equal(t->raw_data.len, rows * width * sizeof(float));
        struct tensor *x = add(m, t->name, rows, width, NULL);
        memcpy(x->x, t->raw_data.data, t->raw_data.len);
    }
    for (size_t i = 0; i < graph->n_node; i++) run_node(m, graph->node[i]);
    assert_string_equal(graph->output[0]->name, output);
    struct tensor *last = find(m, output);
    float *y = fill(N * last->cols, 0, 0.0f);
    memcpy(y, last->x, sizeof(*y) * N * last->cols);
    *cols = last->cols;
    for (size_t i = 0; i < m->n; i++) free(m->tensors[i].x);
    free(m);
    onnx__model_proto__free_unpacked(model, NULL);
    return y;
}

static void compare_onnx(struct world *w) {
    uint8_t *data = NULL;
    size_t len = 0, cols = 0;
    assert_int_equal(onnx_sampler(&w->export, &data, &len), 0);
    float *theirs = run_model(data, len, w->s, w->xi, "action", &cols);
    float *ours = act(w);
    assert_int_equal(cols, w->A);
    for (size_t i = 0; i < N * w->A; i++)
        assert_close(theirs[i], ours[i], 1e-5f);
    free(data), free(theirs), free(ours);

    data = NULL;
    assert_int_equal(onnx_q(&w->export, &data, &len), 0);
    theirs = run_model(data, len, w->s, w->xi, "q", &cols);
    assert_int_equal(cols, 1);
    for (size_t i = 0; i < N; i++) {
        float q = NAN;
        assert_int_equal(snapshot_value(&w->snapshot, &q, w->s + i * w->S,
                                        w->xi + i * w->A, 1),
                         0);
        assert_close(theirs[i], q, 1e-5f * (1.0f + fabsf(q)));
    }
    free(data), free(theirs);
}

/* Sampler and Q of one run, nothing normalised. */
static void onnx_is_the_plain_run(void **unused) {
    (void)unused;
    struct world w;
    set_up(&w, 2, 2, 16, false, 0, "run");
    add_source(&w.snapshot, 2, 2, 8, 1, false);
    compare_onnx(&w);
    tear_down(&w);
}

/* Normalised observations, twins, and the mean of as many sources as may be. */
static void onnx_is_a_composition(void **unused) {
    (void)unused;
    struct world w;
    set_up(&w, 5, 3, 32, true, 4, "run");
    for (size_t i = 0; i < SNAPSHOT_SOURCES; i++)
        add_source(&w.snapshot, 5, 3, 6 + i, 1 + i % 2, i != 1);
    compare_onnx(&w);
    tear_down(&w);
}

/* ---- the ranges ---- */

/* What a task says its actions are scaled to is what its motors get. */
static void every_tasks_range_is_its_motors(void **unused) {
    (void)unused;
    for (const struct env_class *const *task = env_list(); *task; task++) {
        if ((*task)->drawing) continue; // a point: no motors
        struct robot robot = robot_load((*task)->name);
        const size_t A = robot.spec.act_dim;
        float *obs = malloc(sizeof(*obs) * robot.spec.obs_dim), a[32];
        double action[32];
        assert_true(A <= 32 && obs && robot.spec.action_range);
        robot_reset(&robot, 1, obs);
        test_fill_normal(a, A, 5);
        for (size_t i = 0; i < A; i++) action[i] = tanh((double)a[i]);
        robot_step(&robot, action, obs);
        for (size_t i = 0; i < A; i++)
            assert_true(robot.d->ctrl[i] ==
                        env_scale(env_range(&robot.spec, i), action[i]));
        free(obs);
        robot_unload(&robot);
    }
}

int main(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(the_header_acts_as_the_policy),
        cmocka_unit_test(the_smallest_header_compiles),
        cmocka_unit_test(onnx_is_the_plain_run),
        cmocka_unit_test(onnx_is_a_composition),
        cmocka_unit_test(every_tasks_range_is_its_motors),
    };
    return cmocka_run_group_tests(cases, NULL, NULL);
}
