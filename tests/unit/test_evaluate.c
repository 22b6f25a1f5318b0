#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "actor/evaluate.h"
#include "actor/q_figure.h"
#include "actor/snapshot.h"
#include "actor/summary.h"
#include "common/exit_status.h"
#include "common/policy.h"
#include "common/rundir.h"
#include "common/tensors.h"
#include "tests/unit/test.h"

enum { UNITS = 6 };
static const struct mlp_shape sampler = {2, 2, UNITS, 2};
static const struct mlp_shape value = {2, 2, UNITS, 1};

struct run {
    char path[64];
    struct config config;
    float *phi, *theta;
};

/* Both networks as a checkpoint of the run, as the learner names them. */
static void save(const struct run *run, const char *task, const char *name) {
    struct tensors_entry entries[2 * MLP_TENSORS];
    struct tensors_note note = {.key = "task", .value = (char *)task};
    memset(entries, 0, sizeof(entries));
    for (int net = 0; net < 2; net++) {
        struct mlp_slice slices[MLP_TENSORS];
        mlp_slices(net ? &value : &sampler, slices);
        for (size_t i = 0; i < MLP_TENSORS; i++) {
            struct tensors_entry *entry = &entries[i + (net ? MLP_TENSORS : 0)];
            snprintf(entry->name, sizeof(entry->name), "%s.%s", net ? "q" : "f",
                     slices[i].name);
            entry->type = TENSORS_F32;
            entry->rank = slices[i].cols > 0 ? 2 : 1;
            entry->shape[0] = slices[i].rows;
            entry->shape[1] = slices[i].cols;
            entry->data = (net ? run->theta : run->phi) + slices[i].offset;
        }
    }
    const struct tensors tensors = {.n = (size_t)2 * MLP_TENSORS,
                                    .n_notes = 1,
                                    .entries = entries,
                                    .notes = &note};
    char path[256];
    snprintf(path, sizeof(path), "%s/checkpoints/%s", run->path, name);
    assert_int_equal(tensors_write(path, &tensors), 0);
}

static int set_up(void **state) {
    struct run *run = calloc(1, sizeof(*run));
    assert_non_null(run);
    strcpy(run->path, "/tmp/softq-evaluate-XXXXXX");
    assert_non_null(mkdtemp(run->path));
    assert_int_equal(rundir_create(run->path), 0);
    config_defaults(&run->config);
    strcpy(run->config.task, "multigoal");
    strcpy(run->config.evaluate, run->path);
    run->config.episodes = 150;
    const size_t P = mlp_parameters(&sampler), Q = mlp_parameters(&value);
    run->phi = calloc(P, sizeof(float));
    run->theta = calloc(Q, sizeof(float));
    assert_non_null(run->phi);
    assert_non_null(run->theta);
    test_fill_normal(run->phi, P, 1);
    test_fill_normal(run->theta, Q, 2);
    *state = run;
    return 0;
}

static int tear_down(void **state) {
    struct run *run = *state;
    char command[128];
    snprintf(command, sizeof(command), "rm -rf '%s'", run->path);
    assert_int_equal(system(command), 0);
    free(run->phi);
    free(run->theta);
    free(run);
    return 0;
}

static char *slurp(const struct run *run, const char *name) {
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", run->path, name);
    FILE *file = fopen(path, "r");
    if (!file) return NULL;
    char *text = calloc(1, 1 << 20);
    assert_non_null(text);
    (void)!fread(text, 1, (1 << 20) - 1, file);
    fclose(file);
    return text;
}

static double number(const cJSON *json, const char *name) {
    const cJSON *item = cJSON_GetObjectItem(json, name);
    assert_true(cJSON_IsNumber(item));
    return item->valuedouble;
}

/* Evaluate with stdout put away; its exit status. */
static int quietly(const struct config *config) {
    fflush(stdout);
    const int kept = dup(STDOUT_FILENO);
    assert_non_null(freopen("/dev/null", "w", stdout));
    const int status = evaluate_run(config);
    fflush(stdout);
    dup2(kept, STDOUT_FILENO);
    close(kept);
    return status;
}

/* A sampler that always goes right reaches +x in every episode, at once. */
static void a_known_policy_gets_known_numbers(void **state) {
    struct run *run = *state;
    struct mlp_slice slices[MLP_TENSORS];
    memset(run->phi, 0, sizeof(float) * mlp_parameters(&sampler));
    mlp_slices(&sampler, slices);
    run->phi[slices[MLP_TENSORS - 1].offset] = 20.0f; // b3: u = (20, 0)
    save(run, "multigoal", "0000000001-000000000010.safetensors");
    assert_int_equal(quietly(&run->config), EXIT_FINISHED);

    char *text = slurp(run, "evaluation.json");
    cJSON *json = cJSON_Parse(text);
    assert_true(number(json, "episodes") == 150.0);
    assert_true(number(json, "success_rate") == 1.0);
    assert_true(number(json, "terminal_share") == 1.0);
    const cJSON *counts = cJSON_GetObjectItem(json, "goal_counts");
    assert_int_equal(cJSON_GetArraySize(counts), 4);
    assert_true(cJSON_GetArrayItem(counts, 0)->valuedouble == 150.0);
    // 4 or 5 steps of cost 30 each, distances 16 + 9 + 4 + 1 (+ 0), 10 back
    assert_in_range((int)(10 * number(json, "mean_length")), 40, 50);
    assert_close((float)number(json, "mean_return"), -155.0f, 20.0f);
    assert_true(number(json, "min_return") <= number(json, "mean_return"));
    assert_true(number(json, "std_return") >= 0.0);
    // every step costs: gamma is 0.99, over 5 steps at most
    const double discounted = number(json, "mean_discounted_return");
    assert_true(discounted > number(json, "mean_return"));
    assert_true(discounted < pow(0.99, 4.0) * number(json, "mean_return"));
    assert_true(number(json, "std_discounted_return") > 0.0);
    cJSON_Delete(json);
    free(text);
}

/* The same seed and checkpoint give the same file, another seed does not. */
static void a_seed_repeats_an_evaluation(void **state) {
    struct run *run = *state;
    save(run, "multigoal", "0000000001-000000000010.safetensors");
    char *text[3];
    for (int i = 0; i < 3; i++) {
        run->config.seed = i < 2 ? 3 : 4;
        assert_int_equal(quietly(&run->config), EXIT_FINISHED);
        text[i] = slurp(run, "evaluation.json");
        assert_non_null(text[i]);
    }
    assert_string_equal(text[0], text[1]);
    assert_string_not_equal(text[0], text[2]);
    for (int i = 0; i < 3; i++) free(text[i]);
}

/* The newest checkpoint plays, and without any the random policy still does,
 * into a file of its own. */
static void the_random_policy_needs_no_checkpoint(void **state) {
    struct run *run = *state;
    assert_int_equal(quietly(&run->config), EXIT_REFUSED);
    run->config.random_policy = true;
    assert_int_equal(quietly(&run->config), EXIT_FINISHED);
    char *text = slurp(run, "evaluation-random.json");
    cJSON *json = cJSON_Parse(text);
    assert_true(number(json, "episodes") == 150.0);
    assert_string_equal(cJSON_GetObjectItem(json, "policy")->valuestring,
                        "random");
    cJSON_Delete(json);
    free(text);
    assert_null(slurp(run, "evaluation.json"));
}

/* A run that is not there, another task's checkpoint and a shape that does not
 * fit are refused. */
static void what_does_not_fit_is_refused(void **state) {
    struct run *run = *state;
    struct snapshot snapshot;
    char why[256] = "";
    save(run, "multigoal", "0000000001-000000000010.safetensors");
    assert_int_equal(
        snapshot_read(&snapshot, run->path, NULL, why, sizeof(why)), 0);
    assert_memory_equal(snapshot.phi, run->phi,
                        sizeof(float) * mlp_parameters(&sampler));
    assert_memory_equal(snapshot.sources[0].theta[0], run->theta,
                        sizeof(float) * mlp_parameters(&value));
    const struct env_spec spec = {.obs_dim = 8, .act_dim = 2};
    assert_int_equal(
        snapshot_check(&snapshot, "swimmer", &spec, why, sizeof(why)), -EINVAL);
    assert_non_null(strstr(why, "trained on the task multigoal"));
    assert_int_equal(
        snapshot_check(&snapshot, "multigoal", &spec, why, sizeof(why)),
        -EINVAL);
    assert_non_null(strstr(why, "2 observations"));
    snapshot_finish(&snapshot);

    strcpy(run->config.task, "swimmer");
    assert_int_equal(quietly(&run->config), EXIT_REFUSED);
    strcpy(run->config.evaluate, "/proc/nowhere");
    assert_int_equal(quietly(&run->config), EXIT_REFUSED);
}

/* A named checkpoint plays instead of the newest, by its name in the run or by
 * any path; one that is not there is named. */
static void a_named_checkpoint_plays(void **state) {
    struct run *run = *state;
    static const char *const old = "0000000001-000000000010.safetensors";
    struct snapshot snapshot;
    char why[256] = "";
    const float newest = run->phi[0];
    run->phi[0] = 0.25f;
    save(run, "multigoal", old);
    run->phi[0] = newest;
    save(run, "multigoal", "0000000001-000000000020.safetensors");
    strcpy(run->config.checkpoint, old);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(snapshot_read(&snapshot, run->path,
                                       run->config.checkpoint, why,
                                       sizeof(why)),
                         0);
        assert_close(snapshot.phi[0], 0.25f, 0.0f);
        assert_string_equal(snapshot.file, old);
        snapshot_finish(&snapshot);
        assert_int_equal(quietly(&run->config), EXIT_FINISHED);
        char *text = slurp(run, "evaluation.json");
        assert_non_null(strstr(text, old));
        free(text);
        snprintf(run->config.checkpoint, sizeof(run->config.checkpoint),
                 "%s/checkpoints/%s", run->path, old);
    }
    assert_int_equal(
        snapshot_read(&snapshot, run->path, "none", why, sizeof(why)), -ENOENT);
    assert_non_null(strstr(why, "checkpoint none"));
}

/* Traces hold every counted episode once, step by step from its start, and
 * their rewards sum to the returns. */
static void traces_hold_every_episode_once(void **state) {
    struct run *run = *state;
    save(run, "multigoal", "0000000001-000000000010.safetensors");
    snprintf(run->config.traces, sizeof(run->config.traces), "%s/traces.csv",
             run->path);
    assert_int_equal(quietly(&run->config), EXIT_FINISHED);
    char *json_text = slurp(run, "evaluation.json");
    cJSON *json = cJSON_Parse(json_text);
    char *text = slurp(run, "traces.csv");
    assert_non_null(text);
    assert_memory_equal(text, "episode,step,x,y,reward\n", 24);

    bool seen[150] = {false};
    double sum = 0.0;
    long last = -1, steps = 0;
    for (char *line = text + 24; *line; line = strchr(line, '\n') + 1) {
        long episode, step;
        double x, y, reward;
        if (*line == '\n') continue;
        assert_int_equal(sscanf(line, "%ld,%ld,%lf,%lf,%lf", &episode, &step,
                                &x, &y, &reward),
                         5);
        assert_in_range(episode, 0, 149);
        if (step == 0) {
            assert_false(seen[episode]);
            seen[episode] = true;
            assert_true(fabs(x) < 0.7 && fabs(y) < 0.7);
        } else {
            assert_true(step == last + 1);
            steps++;
        }
        last = step;
        sum += reward;
    }
    for (int i = 0; i < 150; i++) assert_true(seen[i]);
    assert_close((float)(sum / 150), (float)number(json, "mean_return"), 0.05f);
    assert_close((float)steps / 150.0f, (float)number(json, "mean_length"),
                 1e-3f);
    free(text);
    free(json_text);
    cJSON_Delete(json);
}

/* The figure's numbers are those of the networks, and its grid spans the
 * actions; a bad list of states is refused. */
static void q_figure_holds_the_networks(void **state) {
    struct run *run = *state;
    struct snapshot snapshot;
    char why[256] = "", folder[128];
    save(run, "multigoal", "0000000001-000000000010.safetensors");
    assert_int_equal(
        snapshot_read(&snapshot, run->path, NULL, why, sizeof(why)), 0);
    snprintf(folder, sizeof(folder), "%s/figures", run->path);
    assert_int_equal(
        q_figure_write(&snapshot, "0,0:2.5,-2.5", folder, 1, why, sizeof(why)),
        0);
    char *text = slurp(run, "figures/q-1.csv");
    assert_non_null(text);
    struct mlp_work work;
    assert_int_equal(mlp_work_init(&work, &value, 1, 1), 0);
    size_t rows = 0;
    for (char *line = strchr(text, '\n') + 1; *line;
         line = strchr(line, '\n') + 1) {
        float a[2], q, expected = NAN;
        const float s[2] = {2.5f, -2.5f};
        if (*line == '\n') continue;
        assert_int_equal(sscanf(line, "%f,%f,%f", &a[0], &a[1], &q), 3);
        mlp_forward(&value, &expected, run->theta, s, a, 1, 1, 0, &work);
        assert_close(q, expected, 1e-3f);
        assert_close(a[0], -1.0f + 0.05f * (float)(rows / 41), 1e-4f);
        rows++;
    }
    assert_int_equal(rows, 41 * 41);
    free(text);
    text = slurp(run, "figures/actions-0.csv");
    assert_non_null(text);
    rows = 0;
    for (char *c = text; *c; c++) rows += *c == '\n';
    assert_int_equal(rows, 101);
    free(text);
    static const char *const bad[] = {"", "0", "0,0:", "0,0,0", "0,x", "0;0"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_int_equal(
            q_figure_write(&snapshot, bad[i], folder, 1, why, sizeof(why)),
            -EINVAL);
    mlp_work_finish(&work);
    snapshot_finish(&snapshot);
}

/* Mean, standard deviation and extremes by hand. */
static void a_summary_is_the_textbook(void **state) {
    (void)state;
    struct summary summary;
    const struct env_spec spec = {.n_stats = 1, .stat_names = {"final_x"}};
    summary_init(&summary, &spec);
    static const double returns[4] = {2, 4, 4, 6};
    for (int i = 0; i < 4; i++) {
        const struct rollout_episode episode = {.ret = returns[i],
                                                .discounted = returns[i] / 2.0,
                                                .length = 3,
                                                .stats = {-returns[i]}};
        summary_add(&summary, &episode);
    }
    assert_close((float)summary.ret.mean, 4.0f, 1e-6f);
    assert_close((float)summary_std(&summary.ret), sqrtf(8.0f / 3.0f), 1e-6f);
    assert_true(summary.ret.min == 2.0 && summary.ret.max == 6.0);
    assert_close((float)summary.discounted.mean, 2.0f, 1e-6f);
    assert_close((float)summary_std(&summary.discounted),
                 sqrtf(8.0f / 3.0f) / 2.0f, 1e-6f);
    assert_close((float)summary.stats[0].mean, -4.0f, 1e-6f);
    assert_int_equal(summary.goal_stat, -1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_known_policy_gets_known_numbers,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_seed_repeats_an_evaluation, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_random_policy_needs_no_checkpoint,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_does_not_fit_is_refused, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_named_checkpoint_plays, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(traces_hold_every_episode_once, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(q_figure_holds_the_networks, set_up,
                                        tear_down),
        cmocka_unit_test(a_summary_is_the_textbook),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
