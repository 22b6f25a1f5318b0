/* What playing reads of a checkpoint, and what it refuses. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "actor/evaluate.h"
#include "actor/q_figure.h"
#include "actor/snapshot.h"
#include "common/exit_status.h"
#include "common/rundir.h"
#include "common/tensors.h"
#include "tests/unit/test.h"

enum { S = 2, A = 2, MOST = 64, MOST_FLOATS = 4096, ROWS = 3 };
static const char *const newest = "0000000001-000000000010.safetensors";

/* A run with one checkpoint that is put together tensor by tensor. */
struct run {
    char path[64], file[160], why[512];
    struct tensors_entry entries[MOST];
    struct tensors_note notes[2];
    size_t n, n_notes, n_floats;
    float floats[MOST_FLOATS]; /* the networks' */
    float noise[ROWS * A];
    double count, mean[S], m2[S], temperature;
    uint64_t size;
};

static void add(struct run *run, const char *name, enum tensors_type type,
                size_t rows, size_t cols, void *data) {
    struct tensors_entry *entry = &run->entries[run->n++];
    assert_true(run->n <= MOST);
    *entry = (struct tensors_entry){.type = type,
                                    .rank = rows == 0   ? 0
                                            : cols == 0 ? 1
                                                        : 2,
                                    .shape = {rows, cols},
                                    .data = data};
    snprintf(entry->name, sizeof(entry->name), "%s", name);
}

/* A network of random weights, which are returned. */
static float *add_network(struct run *run, const char *prefix, size_t H,
                          size_t Y) {
    const struct mlp_shape shape = {S, A, H, Y};
    struct mlp_slice slices[MLP_TENSORS];
    char name[64];
    const size_t P = mlp_parameters(&shape);
    float *p = run->floats + run->n_floats;
    run->n_floats += P;
    assert_true(run->n_floats <= MOST_FLOATS);
    test_fill_normal(p, P, run->n_floats);
    mlp_slices(&shape, slices);
    for (size_t i = 0; i < MLP_TENSORS; i++) {
        snprintf(name, sizeof(name), "%s.%s", prefix, slices[i].name);
        add(run, name, TENSORS_F32, slices[i].rows, slices[i].cols,
            p + slices[i].offset);
    }
    return p;
}

static void add_normal(struct run *run, const char *prefix) {
    char name[64];
    snprintf(name, sizeof(name), "%snormal.count", prefix);
    add(run, name, TENSORS_F64, 0, 0, &run->count);
    snprintf(name, sizeof(name), "%snormal.mean", prefix);
    add(run, name, TENSORS_F64, S, 0, run->mean);
    snprintf(name, sizeof(name), "%snormal.m2", prefix);
    add(run, name, TENSORS_F64, S, 0, run->m2);
}

static void add_noise(struct run *run) {
    add(run, "noise.set", TENSORS_F32, ROWS, A, run->noise);
    add(run, "noise.size", TENSORS_U64, 0, 0, &run->size);
}

static int set_up(void **state) {
    struct run *run = calloc(1, sizeof(*run));
    assert_non_null(run);
    strcpy(run->path, "/tmp/softq-snapshot-XXXXXX");
    assert_non_null(mkdtemp(run->path));
    assert_int_equal(rundir_create(run->path), 0);
    snprintf(run->file, sizeof(run->file), "%s/checkpoints/%s", run->path,
             newest);
    run->notes[0] = (struct tensors_note){"task", (char *)"multigoal"};
    run->notes[1] = (struct tensors_note){"algorithm", (char *)"sql"};
    run->n_notes = 2;
    test_fill_normal(run->noise, (size_t)ROWS * A, 77);
    run->size = 2;
    run->count = 4.0;
    run->mean[0] = 1.0, run->mean[1] = -0.5;
    run->m2[0] = 16.0, run->m2[1] = 1.0; // deviations 2 and 0.5
    run->temperature = 0.25;
    *state = run;
    return 0;
}

static int tear_down(void **state) {
    struct run *run = *state;
    char command[128];
    snprintf(command, sizeof(command), "rm -rf '%s'", run->path);
    assert_int_equal(system(command), 0);
    free(run);
    return 0;
}

static int read_back(struct run *run, struct snapshot *snapshot) {
    memset(run->why, 0, sizeof(run->why));
    return snapshot_read(snapshot, run->path, NULL, run->why, sizeof(run->why));
}

/* Write the file as it stands and read it. */
static int save(struct run *run, struct snapshot *snapshot) {
    const struct tensors tensors = {.n = run->n,
                                    .n_notes = run->n_notes,
                                    .entries = run->entries,
                                    .notes = run->notes};
    assert_int_equal(tensors_write(run->file, &tensors), 0);
    return read_back(run, snapshot);
}

/* Two sources of different sizes, the first with twins and normalised. */
static void compose(struct run *run) {
    add_network(run, "f", 6, A);
    add_noise(run);
    add_normal(run, "");
    add(run, "temperature", TENSORS_F64, 0, 0, &run->temperature);
    add_network(run, "source0.q", 5, 1);
    add_network(run, "source0.q2", 5, 1);
    add_normal(run, "source0.");
    add_network(run, "source1.q", 9, 1);
}

static float value_of(const float *theta, size_t H, const float *s,
                      const float *a) {
    const struct mlp_shape shape = {S, A, H, 1};
    struct mlp_work work;
    float q = NAN;
    assert_int_equal(mlp_work_init(&work, &shape, 1, 1), 0);
    mlp_forward(&shape, &q, theta, s, a, 1, 1, 0, &work);
    mlp_work_finish(&work);
    return q;
}

/* Noise set, normalisation, temperature and algorithm are the file's; noise is
 * drawn from the first rows only. */
static void the_whole_policy_is_read(void **state) {
    struct run *run = *state;
    struct snapshot snapshot;
    const float *phi = add_network(run, "f", 6, A);
    add_network(run, "q", 6, 1);
    add_noise(run);
    add_normal(run, "");
    add(run, "temperature", TENSORS_F64, 0, 0, &run->temperature);
    assert_int_equal(save(run, &snapshot), 0);

    const struct policy *policy = &snapshot.policy;
    assert_memory_equal(policy->phi, phi,
                        sizeof(float) * mlp_parameters(&policy->shape));
    assert_string_equal(snapshot.algorithm, "sql");
    assert_true(snapshot.temperature == 0.25 && policy->alpha == 0.25f);
    assert_int_equal(policy->n_noise, 2);
    assert_close(policy->mean[0], 1.0f, 0.0f);
    assert_close(policy->mean[1], -0.5f, 0.0f);
    assert_close(policy->scale[0], 0.5f, 1e-6f);
    assert_close(policy->scale[1], 2.0f, 1e-6f);
    struct rng rng;
    float xi[100 * A];
    size_t drawn[2] = {0};
    rng_init(&rng, 1, RNG_TEST, 0, 0, 0);
    policy_draw_noise(policy, xi, 100, &rng);
    for (size_t i = 0; i < 100; i++) {
        const size_t row = xi[i * A] == run->noise[0] ? 0 : 1;
        drawn[row]++;
        assert_memory_equal(xi + i * A, run->noise + row * A,
                            sizeof(float) * A);
    }
    assert_true(drawn[0] > 20 && drawn[1] > 20);
    snapshot_finish(&snapshot);
}

/* A file of the first version has fresh noise, observations as they are, and no
 * temperature; before anything was counted nothing is scaled. */
static void what_is_absent_is_plain(void **state) {
    struct run *run = *state;
    struct snapshot snapshot;
    add_network(run, "f", 6, A);
    add_network(run, "q", 6, 1);
    run->n_notes = 1;
    assert_int_equal(save(run, &snapshot), 0);
    assert_int_equal(snapshot.policy.n_noise, 0);
    assert_null(snapshot.policy.mean);
    assert_null(snapshot.policy.scale);
    assert_true(isnan(snapshot.temperature));
    assert_string_equal(snapshot.algorithm, "");
    snapshot_finish(&snapshot);

    run->count = 0.0;
    add_normal(run, "");
    assert_int_equal(save(run, &snapshot), 0);
    assert_close(snapshot.policy.scale[0], 1.0f, 0.0f);
    assert_close(snapshot.policy.mean[1], -0.5f, 0.0f);
    snapshot_finish(&snapshot);
}

/* Of twins the smaller is shown, by the normalised observation. */
static void of_twins_the_smaller_is_shown(void **state) {
    struct run *run = *state;
    struct snapshot snapshot;
    add_network(run, "f", 6, A);
    const float *one = add_network(run, "q", 6, 1);
    const float *two = add_network(run, "q2", 6, 1);
    add_normal(run, "");
    assert_int_equal(save(run, &snapshot), 0);
    const float s[S] = {2.0f, -1.0f}, x[S] = {0.5f, -1.0f};
    float a[20 * A], q[20];
    size_t first = 0;
    test_fill_normal(a, (size_t)20 * A, 3);
    test_fill_nan(q, 20);
    assert_int_equal(snapshot_value(&snapshot, q, s, a, 20), 0);
    for (size_t i = 0; i < 20; i++) {
        const float q1 = value_of(one, 6, x, a + i * A);
        const float q2 = value_of(two, 6, x, a + i * A);
        assert_close(q[i], fminf(q1, q2), 1e-4f);
        first += q1 < q2;
    }
    assert_true(first > 0 && first < 20);
    snapshot_finish(&snapshot);
}

/* A composed run's Q is the mean over its sources, each with its own units,
 * twins and view of the observation. */
static void a_composed_q_is_the_mean_of_its_sources(void **state) {
    struct run *run = *state;
    struct snapshot snapshot;
    compose(run);
    assert_int_equal(save(run, &snapshot), 0);
    assert_int_equal(snapshot.n_sources, 2);
    const float *theta[3]; // ws is the first slice of each
    size_t n = 0;
    for (size_t i = 0; i < run->n; i++)
        if (strstr(run->entries[i].name, ".ws") && i >= MLP_TENSORS)
            theta[n++] = run->entries[i].data;
    assert_int_equal(n, 3);
    const float s[S] = {2.0f, -1.0f}, x[S] = {0.5f, -1.0f};
    float a[20 * A], q[20];
    test_fill_normal(a, (size_t)20 * A, 3);
    test_fill_nan(q, 20);
    assert_int_equal(snapshot_value(&snapshot, q, s, a, 20), 0);
    for (size_t i = 0; i < 20; i++) {
        const float *ai = a + i * A;
        const float q0 =
            fminf(value_of(theta[0], 5, x, ai), value_of(theta[1], 5, x, ai));
        assert_close(q[i], 0.5f * (q0 + value_of(theta[2], 9, s, ai)), 1e-4f);
    }
    snapshot_finish(&snapshot);
}

static void refused(struct run *run, const char *word) {
    struct snapshot snapshot;
    assert_int_equal(save(run, &snapshot), -EBADMSG);
    if (!strstr(run->why, word) || !strstr(run->why, newest))
        fail_msg("\"%s\" does not say \"%s\"", run->why, word);
}

/* Numbers that cannot be are refused, with the number. */
static void impossible_numbers_are_refused(void **state) {
    struct run *run = *state;
    struct snapshot snapshot;
    compose(run);
    run->size = ROWS + 1;
    refused(run, "noise.size is 4, not 1 to 3");
    run->size = 0;
    refused(run, "noise.size is 0");
    run->size = ROWS;
    run->m2[1] = -1e-9;
    refused(run, "normal is wrong at 1: mean -0.5, and m2 -1e-09");
    run->m2[1] = (double)NAN;
    refused(run, "normal");
    run->m2[1] = 1.0;
    run->mean[0] = 1e300; // no float
    refused(run, "normal is wrong at 0");
    run->mean[0] = 0.0;
    run->count = -1.0;
    refused(run, "normal.count is -1");
    run->count = 2.0;
    run->temperature = (double)INFINITY;
    refused(run, "temperature is inf");
    run->temperature = 1.0;
    run->noise[1] = NAN;
    refused(run, "noise.set is not finite");
    run->noise[1] = 0.0f;
    run->floats[run->n_floats - 1] = INFINITY;
    refused(run, "source1.q.b3 is not finite");
    run->floats[run->n_floats - 1] = 0.0f;
    assert_int_equal(save(run, &snapshot), 0);
    snapshot_finish(&snapshot);
}

/* Any tensor but the temperature is missed, and none may be of another type or
 * shape. */
static void no_half_is_enough(void **state) {
    struct run *run = *state;
    struct snapshot snapshot;
    compose(run);
    assert_int_equal(save(run, &snapshot), 0);
    snapshot_finish(&snapshot);
    for (size_t i = 0; i < run->n; i++) {
        struct tensors_entry kept = run->entries[i], *entry = &run->entries[i];
        *entry = run->entries[--run->n]; // the order means nothing
        if (strcmp(kept.name, "temperature") != 0)
            refused(run, "");
        else
            assert_int_equal(save(run, &snapshot), 0);
        snapshot_finish(&snapshot);
        run->entries[run->n++] = *entry;
        *entry = kept;
        // as many bytes or fewer, so that the data is there
        entry->type = kept.type == TENSORS_F32 ? TENSORS_U64 : TENSORS_F32;
        entry->rank = 1;
        entry->shape[0] = 1;
        refused(run, "");
        *entry = kept;
        entry->shape[entry->rank++] = 1;
        refused(run, "");
        *entry = kept;
    }
}

/* Sources are numbered without a gap, eight at most, and stand alone. */
static void sources_are_numbered(void **state) {
    struct run *run = *state;
    struct snapshot snapshot;
    char name[16];
    add_network(run, "f", 2, A);
    refused(run, "q.ws is missing");
    add_network(run, "source1.q", 2, 1);
    refused(run, "source1.q.ws: sources go from source0 to source7");
    add_network(run, "source0.q", 2, 1);
    assert_int_equal(save(run, &snapshot), 0);
    assert_int_equal(snapshot.n_sources, 2);
    snapshot_finish(&snapshot);
    for (int i = 2; i < SNAPSHOT_SOURCES; i++) {
        snprintf(name, sizeof(name), "source%d.q", i);
        add_network(run, name, 2, 1);
    }
    assert_int_equal(save(run, &snapshot), 0);
    assert_int_equal(snapshot.n_sources, SNAPSHOT_SOURCES);
    snapshot_finish(&snapshot);
    add(run, "source8.q.b3", TENSORS_F32, 1, 0, run->floats);
    refused(run, "source8.q.b3");
    run->n -= 1 + 2 * MLP_TENSORS; // the seventh is the gap
    add_network(run, "source7.q", 2, 1);
    refused(run, "source7.q.ws");
    run->n -= MLP_TENSORS;
    add_network(run, "q", 2, 1);
    refused(run, "both");
}

static size_t slurp(const char *path, char *text, size_t room) {
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    const size_t n = fread(text, 1, room - 1, file);
    text[n] = '\0';
    fclose(file);
    return n;
}

/* Whatever bytes are changed or cut off, the file is read or refused in words,
 * and what is read can be played with. */
static void any_bytes_are_read_or_refused(void **state) {
    struct run *run = *state;
    struct snapshot snapshot;
    struct rng rng;
    static char bytes[1 << 16], changed[1 << 16];
    compose(run);
    assert_int_equal(save(run, &snapshot), 0);
    snapshot_finish(&snapshot);
    const size_t n = slurp(run->file, bytes, sizeof(bytes));
    assert_true(n < sizeof(bytes) - 1);
    // else the checksum alone would judge
    *(char *)memmem(bytes, n, "checksum", 8) = 'C';
    rng_init(&rng, 5, RNG_TEST, 0, 0, 0);
    size_t read = 0, not_read = 0;
    for (int i = 0; i < 3000; i++) {
        memcpy(changed, bytes, n);
        // where the header is every byte matters more
        const uint64_t within = i % 3 == 0 ? n : 4096;
        for (int k = 0; k <= i % 4; k++)
            changed[rng_below(&rng, within)] = (char)rng_u64(&rng);
        const size_t len = i % 10 == 9 ? (size_t)rng_below(&rng, n) : n;
        FILE *file = fopen(run->file, "wb");
        assert_non_null(file);
        assert_int_equal(fwrite(changed, 1, len, file), len);
        fclose(file);
        const int err = read_back(run, &snapshot);
        if (err) {
            not_read++;
            assert_true(err == -EBADMSG && run->why[0] != '\0');
        } else {
            const float s[S] = {0}, a[A] = {0};
            float q;
            read++;
            if (snapshot.policy.shape.S == S && snapshot.policy.shape.X == A)
                assert_int_equal(snapshot_value(&snapshot, &q, s, a, 1), 0);
            snapshot_finish(&snapshot);
        }
    }
    assert_true(read > 100 && not_read > 1000);
}

/* The evaluation plays with the noise set and shows it with algorithm and
 * temperature; it never explores. */
static void an_evaluation_shows_what_played(void **state) {
    struct run *run = *state;
    struct snapshot snapshot;
    struct config config;
    static char text[3][1 << 14];
    char path[128];
    run->size = 1; // every action is f(s, the first row)
    compose(run);
    assert_int_equal(save(run, &snapshot), 0);
    config_defaults(&config);
    strcpy(config.task, "multigoal");
    strcpy(config.evaluate, run->path);
    strcpy(config.q_states, "0,0");
    snprintf(config.q_figure, sizeof(config.q_figure), "%s/figures", run->path);
    config.episodes = 20;
    for (int i = 0; i < 2; i++) {
        config.exploration = i > 0 ? EXPLORATION_OU : EXPLORATION_NONE;
        fflush(stdout);
        const int kept = dup(STDOUT_FILENO);
        snprintf(path, sizeof(path), "%s/table", run->path);
        assert_non_null(freopen(path, "w", stdout));
        const int status = evaluate_run(&config);
        fflush(stdout);
        dup2(kept, STDOUT_FILENO);
        close(kept);
        assert_int_equal(status, EXIT_FINISHED);
        snprintf(path, sizeof(path), "%s/evaluation.json", run->path);
        slurp(path, text[i], sizeof(text[i]));
    }
    assert_string_equal(text[0], text[1]);
    cJSON *json = cJSON_Parse(text[0]);
    const cJSON *algorithm = cJSON_GetObjectItem(json, "algorithm");
    assert_string_equal(cJSON_GetStringValue(algorithm), "sql");
    assert_true(cJSON_GetObjectItem(json, "temperature")->valuedouble == 0.25);
    assert_true(cJSON_GetObjectItem(json, "noise_set")->valuedouble == 1.0);
    cJSON_Delete(json);
    snprintf(path, sizeof(path), "%s/table", run->path);
    slurp(path, text[2], sizeof(text[2]));
    assert_non_null(strstr(text[2], "algorithm  sql\n"));
    assert_non_null(strstr(text[2], "alpha      0.25\n"));
    assert_non_null(strstr(text[2], "noise      1 fixed\n"));

    // in the figure one action a hundred times, of the normalised state
    struct mlp_work work;
    const struct mlp_shape *shape = &snapshot.policy.shape;
    const float x[S] = {-0.5f, 1.0f};
    float a[A], drawn[A];
    assert_int_equal(mlp_work_init(&work, shape, 1, 1), 0);
    policy_act(shape, a, NULL, snapshot.phi, x, run->noise, 1, 1, &work);
    mlp_work_finish(&work);
    snprintf(path, sizeof(path), "%s/figures/actions-0.csv", run->path);
    slurp(path, text[2], sizeof(text[2]));
    const char *line = text[2];
    for (int i = 0; i < Q_FIGURE_ACTIONS; i++) {
        line = strchr(line, '\n') + 1;
        assert_int_equal(sscanf(line, "%f,%f", &drawn[0], &drawn[1]), 2);
        assert_close(drawn[0], a[0], 1e-5f);
        assert_close(drawn[1], a[1], 1e-5f);
    }
    snapshot_finish(&snapshot);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(the_whole_policy_is_read),
        CASE(what_is_absent_is_plain),
        CASE(of_twins_the_smaller_is_shown),
        CASE(a_composed_q_is_the_mean_of_its_sources),
        CASE(impossible_numbers_are_refused),
        CASE(no_half_is_enough),
        CASE(sources_are_numbered),
        CASE(any_bytes_are_read_or_refused),
        CASE(an_evaluation_shows_what_played),
    };
#undef CASE
    return cmocka_run_group_tests_name("snapshot", tests, NULL, NULL);
}
