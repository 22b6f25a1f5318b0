/*
 * What holds for every MuJoCo task alike, on our own models. That each number
 * is Gymnasium's is tests/parity.sh's business; a few of its numbers stand
 * here.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actor/rollout.h"
#include "actor/tasks/robot.h"
#include "tests/unit/test.h"

enum { MOST_S = 400, MOST_A = 20 };

/*
 * Dimensions, and what Gymnasium 1.4.0 on MuJoCo 3.17.0 said of three steps
 * from qpos0_i + 0.02 cos(i + 1), qvel_i = 0.05 sin(i + 1) under controls 0.8
 * sin(1.3 t + i) of their range: reward and sum of obs_k cos k, at the first
 * step and at the third. (Where bodies touch MuJoCo's versions differ, so the
 * ant and the humanoid still fall.) The planar pusher has no counterpart there.
 */
struct golden {
    double first[2], third[2];
};
static const struct expected {
    const char *name;
    size_t S, A;
    uint64_t horizon;
    int bodies;
    double dt, mass; /* s a step; kg */
    struct golden golden;
} all[] = {
    {"swimmer",
     8,
     2,
     1000,
     4,
     0.04,
     106.81415022205297,
     {{0.0350002233, 0.399637258}, {0.0496001032, 0.19197433}}},
    {"hopper",
     11,
     3,
     1000,
     5,
     0.008,
     15.820013405927003,
     {{1.0508622, 0.401773399}, {1.09940314, 2.30320817}}},
    {"half-cheetah",
     17,
     6,
     1000,
     8,
     0.05,
     14.0,
     {{-0.111371069, 19.1980202}, {-0.291636571, -26.0190044}}},
    {"walker2d",
     17,
     6,
     1000,
     8,
     0.008,
     23.67713663255508,
     {{0.981873676, 18.9881808}, {0.773850044, -0.806434753}}},
    {"ant",
     105,
     8,
     1000,
     14,
     0.05,
     0.9108800827073915,
     {{-0.0213941549, 33.0001493}, {-0.375527625, -0.845889966}}},
    {"humanoid",
     348,
     17,
     1000,
     14,
     0.015,
     42.11603049212989,
     {{4.98236182, -266.577645}, {4.98097066, 201.768095}}},
    {"reacher",
     10,
     2,
     50,
     5,
     0.02,
     0.07845185174544432,
     {{-0.628704457, 3.38632747}, {-0.497723345, 8.16917872}}},
    {"pusher",
     23,
     7,
     100,
     13,
     0.05,
     13.67300448096994,
     {{-1.21399572, -2.72120715}, {-1.28853783, 5.62610662}}},
    {"pusher-planar", 10, 3, 300, 6, 0.05, 6.220353454107792, {{0}, {0}}},
    {"pusher-planar-x", 10, 3, 300, 6, 0.05, 6.220353454107792, {{0}, {0}}},
    {"pusher-planar-y", 10, 3, 300, 6, 0.05, 6.220353454107792, {{0}, {0}}},
    {"inverted-pendulum",
     4,
     1,
     1000,
     3,
     0.04,
     15.490567153329286,
     {{1, -0.0442074127}, {1, 2.07657749}}},
    {"inverted-double-pendulum",
     9,
     1,
     1000,
     4,
     0.05,
     18.869452675011495,
     {{9.35962916, -1.59662045}, {9.11027209, -1.28019377}}},
};
enum { TASKS = sizeof(all) / sizeof(*all) };

struct fixture {
    const struct env_class *class;
    struct env_spec spec;
    void *model;
    struct mujoco_state *state;
};

static struct fixture load(const char *name, const char *file,
                           uint64_t horizon) {
    struct fixture f = {.class = env_find(name)};
    const struct env_options options = {.horizon = horizon, .model = file};
    char why[512] = "";
    assert_non_null(f.class);
    int err =
        f.class->load(f.class, &f.model, &f.spec, &options, why, sizeof(why));
    if (err) fail_msg("%s: %s", name, why);
    f.state = f.class->create(f.model);
    assert_non_null(f.state);
    assert_true(f.spec.obs_dim <= MOST_S && f.spec.act_dim <= MOST_A);
    return f;
}

static void unload(struct fixture *f) {
    f->class->destroy(f->state);
    f->class->unload(f->model);
}

static struct rng stream(uint64_t seed) {
    struct rng rng;
    rng_init(&rng, seed, RNG_TEST, 0, 0, 0);
    return rng;
}

static struct env_result step(struct fixture *f, const double *action,
                              float *obs) {
    struct env_result result = {.reward = (double)NAN};
    test_fill_nan(obs, f->spec.obs_dim);
    f->class->step(f->state, action, obs, &result);
    return result;
}

static struct env_result random_step(struct fixture *f, struct rng *rng,
                                     float *obs) {
    double action[MOST_A];
    for (size_t i = 0; i < f->spec.act_dim; i++)
        action[i] = 2.0 * rng_uniform(rng) - 1.0;
    return step(f, action, obs);
}

/* Dimensions, horizon, time step and mass are those of Gymnasium's tasks. */
static void every_task_has_its_dimensions(void **unused) {
    (void)unused;
    for (size_t i = 0; i < TASKS; i++) {
        const struct expected *e = &all[i];
        struct fixture f = load(e->name, NULL, 0);
        const mjModel *m = f.state->model->m;
        assert_int_equal(f.spec.obs_dim, e->S);
        assert_int_equal(f.spec.act_dim, e->A);
        assert_int_equal(f.spec.horizon, e->horizon);
        assert_int_equal(m->nbody, e->bodies);
        assert_true(fabs(f.state->model->dt - e->dt) < 1e-12);
        double mass = 0.0;
        for (int b = 0; b < e->bodies; b++) mass += m->body_mass[b];
        assert_true(fabs(mass - e->mass) < 1e-9);
        unload(&f);
    }
}

static double checksum(const float *obs, size_t n) {
    double sum = 0.0;
    for (size_t k = 0; k < n; k++) sum += (double)obs[k] * cos((double)k);
    return sum;
}

static void assert_near(double actual, double expected, const char *task) {
    if (!(fabs(actual - expected) <= 2e-6 * (1 + fabs(expected))))
        fail_msg("%s: %.9g instead of %.9g", task, actual, expected);
}

/* Three steps from a given state, as Gymnasium has them. */
static void three_steps_agree_with_gymnasium(void **unused) {
    (void)unused;
    for (size_t i = 0; i < TASKS; i++) {
        if (strncmp(all[i].name, "pusher-planar", 13) == 0) continue;
        struct fixture f = load(all[i].name, NULL, 0);
        const mjModel *m = f.state->model->m;
        mjData *d = f.state->d;
        float obs[MOST_S];
        mj_resetData(m, d);
        for (int k = 0; k < (int)m->nq; k++) d->qpos[k] += 0.02 * cos(k + 1);
        for (int k = 0; k < (int)m->nv; k++) d->qvel[k] = 0.05 * sin(k + 1);
        mj_forward(m, d);
        for (int t = 0; t < 3; t++) {
            double action[MOST_A];
            for (int k = 0; k < (int)m->nu; k++)
                action[k] = 0.8 * sin(1.3 * t + k);
            const struct env_result result = step(&f, action, obs);
            const double *expected = t == 0   ? all[i].golden.first
                                     : t == 2 ? all[i].golden.third
                                              : NULL;
            if (!expected) continue;
            assert_near(result.reward, expected[0], all[i].name);
            assert_near(checksum(obs, f.spec.obs_dim), expected[1],
                        all[i].name);
        }
        unload(&f);
    }
}

/* 10,000 random steps of each task are finite and sound, within the room that
 * the model has for contacts, episodes end by the horizon, and an end is
 * terminal or truncated but not both. */
static void ten_thousand_random_steps_are_finite(void **unused) {
    (void)unused;
    for (size_t i = 0; i < TASKS; i++) {
        struct fixture f = load(all[i].name, NULL, 0);
        struct rng rng = stream(10 + i);
        float obs[MOST_S];
        uint64_t length = 0;
        f.class->reset(f.state, &rng, obs);
        for (int t = 0; t < 10000; t++) {
            const struct env_result result = random_step(&f, &rng, obs);
            assert_true(isfinite(result.reward));
            assert_false(result.unstable);
            assert_int_equal(f.state->d->warning[mjWARN_CONTACTFULL].number, 0);
            assert_int_equal(f.state->d->warning[mjWARN_CNSTRFULL].number, 0);
            assert_false(result.terminal && result.truncated);
            for (size_t k = 0; k < f.spec.obs_dim; k++)
                assert_true(isfinite(obs[k]));
            assert_true(++length <= all[i].horizon);
            if (!result.terminal && !result.truncated) continue;
            double stats = (double)NAN, xy[2] = {(double)NAN, (double)NAN};
            f.class->statistics(f.state, &stats);
            f.class->position(f.state, xy);
            assert_true(isfinite(stats) && isfinite(xy[0]) && isfinite(xy[1]));
            f.class->reset(f.state, &rng, obs);
            length = 0;
        }
        unload(&f);
    }
}

/* A seed repeats an episode to the bit, whatever another environment of the
 * same shared model does between, and after a whole reload. */
static void a_seed_repeats_an_episode(void **unused) {
    (void)unused;
    for (size_t i = 0; i < TASKS; i++) {
        float first[MOST_S] = {0}, again[MOST_S] = {0}, noise[MOST_S];
        double returns[2] = {0};
        for (int pass = 0; pass < 2; pass++) {
            struct fixture f = load(all[i].name, NULL, 0);
            struct fixture other = f;
            other.state = f.class->create(f.model);
            assert_ptr_equal(other.state->model->m, f.state->model->m);
            struct rng rng = stream(5), others = stream(6 + (uint64_t)pass);
            f.class->reset(f.state, &rng, pass == 0 ? first : again);
            f.class->reset(other.state, &others, noise);
            for (int t = 0; t < 40; t++) {
                if (pass == 1) random_step(&other, &others, noise);
                const struct env_result result =
                    random_step(&f, &rng, pass == 0 ? first : again);
                returns[pass] += result.reward;
            }
            f.class->destroy(other.state);
            unload(&f);
        }
        assert_memory_equal(first, again, sizeof(first));
        assert_true(returns[0] == returns[1]);
    }
}

/* A coordinate (or velocity) that is set by hand before a step, and whether
 * that step is the end. */
static void falling_is_the_end(void **unused) {
    (void)unused;
    static const struct {
        const char *task;
        int coordinate, velocity; /* -1: none */
        double value;
        bool terminal;
    } cases[] = {
        {"hopper", -1, -1, 0, false},
        {"hopper", 1, -1, 0.5, true},  // too low
        {"hopper", 1, -1, 9.0, false}, // there is no too high
        {"hopper", 2, -1, 0.4, true},  // tilted
        {"hopper", 2, -1, -0.4, true},
        {"hopper", -1, 3, 200, true}, // out of all bounds
        {"walker2d", -1, -1, 0, false},
        {"walker2d", 1, -1, 3.0, true},
        {"walker2d", 2, -1, 0.5, false},
        {"walker2d", 2, -1, -1.5, true},
        {"half-cheetah", 2, -1, 3.0, false},
        {"ant", -1, -1, 0, false},
        {"ant", 2, -1, 2.0, true},
        {"humanoid", -1, -1, 0, false},
        {"humanoid", 2, -1, 2.5, true},
        {"inverted-pendulum", -1, -1, 0, false},
        {"inverted-pendulum", 1, -1, -0.3, true},
        {"inverted-double-pendulum", -1, -1, 0, false},
        {"inverted-double-pendulum", 1, -1, 1.5, true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct fixture f = load(cases[i].task, NULL, 0);
        struct rng rng = stream(3);
        float obs[MOST_S];
        const double still[MOST_A] = {0};
        f.class->reset(f.state, &rng, obs);
        mjData *d = f.state->d;
        if (cases[i].coordinate >= 0)
            d->qpos[cases[i].coordinate] = cases[i].value;
        if (cases[i].velocity >= 0) d->qvel[cases[i].velocity] = cases[i].value;
        mj_forward(f.state->model->m, d);
        const struct env_result result = step(&f, still, obs);
        if (result.terminal != cases[i].terminal || result.unstable)
            fail_msg("%s, case %zu", cases[i].task, i);
        unload(&f);
    }
}

/* The disc starts where the arm can get behind it; reward and statistic are
 * its distance from the line, or from the crossing, of each of the family. */
static void the_planar_pusher_masks_its_goal(void **unused) {
    (void)unused;
    static const char *const names[] = {"pusher-planar-x", "pusher-planar-y",
                                        "pusher-planar"};
    static const double actions[MOST_A] = {0.5, -1.0, 0.25};
    for (size_t i = 0; i < 3; i++) {
        struct fixture f = load(names[i], NULL, 0);
        struct rng rng = stream(4);
        for (int episode = 0; episode < 200; episode++) {
            float obs[MOST_S];
            double distance = (double)NAN;
            f.class->reset(f.state, &rng, obs);
            const float x = obs[8], y = obs[9];
            assert_true(x >= 0.3f && x <= 1.0f && y >= -1.0f && y <= -0.4f);
            assert_true(hypotf(x - 1.0f, y + 1.0f) > 0.449f);
            const struct env_result result = step(&f, actions, obs);
            const double dx = i == 1 ? 0.0 : (double)obs[8] + 1.0;
            const double dy = i == 0 ? 0.0 : (double)obs[9] + 1.0;
            const double cost = 0.1 * (0.25 + 1.0 + 0.0625);
            assert_true(fabs(result.reward + hypot(dx, dy) + cost) < 1e-6);
            f.class->statistics(f.state, &distance);
            assert_true(fabs(distance - hypot(dx, dy)) < 1e-6);
        }
        unload(&f);
    }
}

/* An arm that turns clockwise shoves the disc towards the goal. */
static void the_planar_pusher_can_push(void **unused) {
    (void)unused;
    struct fixture f = load("pusher-planar", NULL, 0);
    struct rng rng = stream(5);
    float obs[MOST_S];
    double distance = (double)NAN, nearest = (double)INFINITY;
    f.class->reset(f.state, &rng, obs);
    f.state->d->qpos[3] = 0.4;
    f.state->d->qpos[4] = -0.9;
    mj_forward(f.state->model->m, f.state->d);
    f.class->statistics(f.state, &distance);
    assert_true(fabs(distance - hypot(1.4, 0.1)) < 1e-12);
    for (int t = 0; t < 100; t++) {
        step(&f, (const double[]){-0.5, 0, 0}, obs);
        f.class->statistics(f.state, &distance);
        nearest = fmin(nearest, distance);
    }
    assert_true(nearest < 1.1);
    unload(&f);
}

/* A simulation that blows up leaves no row and no end; the episode begins
 * again and is counted, and nobody else notices. */
static void a_blown_up_simulation_is_discarded(void **unused) {
    (void)unused;
    enum { E = 3 };
    for (size_t i = 0; i < TASKS; i++) {
        struct config config = {.seed = 4, .units = 8, .environments = E};
        struct rollout r;
        struct batch batch;
        char why[256] = "";
        snprintf(config.task, sizeof(config.task), "%s", all[i].name);
        assert_int_equal(
            rollout_init(&r, &config, RNG_TEST, 0, 0, why, sizeof(why)), 0);
        assert_int_equal(batch_init(&batch, (size_t)2 * E, all[i].S, all[i].A),
                         0);
        struct mujoco_state *broken = r.states[1];
        broken->d->qvel[0] = 1e12;
        assert_int_equal(rollout_step(&r, &batch, why, sizeof(why)), 0);
        assert_int_equal(r.discarded, 1);
        assert_int_equal(batch.n, E - 1);
        assert_int_equal(rollout_step(&r, &batch, why, sizeof(why)), 0);
        assert_int_equal(r.discarded, 1);
        assert_int_equal(batch.n, 2 * E - 1);
        assert_int_equal(batch_first_non_finite(&batch), batch.n);
        batch_finish(&batch);
        rollout_finish(&r);
    }
}

/* A bad number that only the last simulator step brought is noticed too. */
static void a_bad_end_of_a_step_is_unstable(void **unused) {
    (void)unused;
    struct fixture f = load("half-cheetah", NULL, 0);
    struct rng rng = stream(6);
    float obs[MOST_S];
    struct env_result result;
    const double still[MOST_A] = {0};
    f.class->reset(f.state, &rng, obs);
    // no simulator step at all: what is in the state stays
    struct mujoco_model *shared = f.model;
    shared->frame_skip = 0;
    f.class->step(f.state, still, obs, &result);
    assert_false(result.unstable);
    f.state->d->qpos[3] = (double)NAN;
    f.class->step(f.state, still, obs, &result);
    assert_true(result.unstable && result.truncated && !result.terminal);
    unload(&f);
}

static int refusal(const char *task, const char *file, char why[512]) {
    const struct env_class *class = env_find(task);
    const struct env_options options = {.model = file};
    struct env_spec spec;
    void *model = NULL;
    return class->load(class, &model, &spec, &options, why, 512);
}

/* Another MJCF plays the task if it has what the task reads; if not, one line
 * says what is missing. */
static void another_model_can_be_named(void **unused) {
    (void)unused;
    char folder[] = "/tmp/softq-model-XXXXXX", file[64], why[512] = "";
    assert_non_null(mkdtemp(folder));
    snprintf(file, sizeof(file), "%s/ball.xml", folder);
    FILE *out = fopen(file, "w");
    assert_non_null(out);
    fputs("<mujoco><worldbody><body><geom size='1'/>"
          "<joint name='x' type='slide' axis='1 0 0'/>"
          "<joint name='y' type='slide' axis='0 1 0'/>"
          "<joint name='z' axis='0 0 1'/></body></worldbody><actuator>"
          "<motor joint='x' ctrllimited='true' ctrlrange='-2 4'/>"
          "</actuator></mujoco>",
          out);
    fclose(out);

    struct fixture f = load("half-cheetah", file, 0);
    struct rng rng = stream(8);
    float obs[MOST_S];
    assert_int_equal(f.spec.obs_dim, 5);
    assert_int_equal(f.spec.act_dim, 1);
    f.class->reset(f.state, &rng, obs);
    step(&f, (const double[]){0.5}, obs);
    assert_true(fabs(f.state->d->ctrl[0] - 2.5) < 1e-12);
    unload(&f);

    assert_int_equal(refusal("reacher", file, why), -EBADMSG);
    assert_non_null(strstr(why, "3 coordinates"));
    assert_int_equal(refusal("inverted-double-pendulum", file, why), -EBADMSG);
    assert_non_null(strstr(why, "0 sites"));
    assert_int_equal(refusal("hopper", "/nowhere.xml", why), -ENOENT);
    assert_non_null(strstr(why, "/nowhere.xml"));
    remove(file);
    remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_task_has_its_dimensions),
        cmocka_unit_test(three_steps_agree_with_gymnasium),
        cmocka_unit_test(ten_thousand_random_steps_are_finite),
        cmocka_unit_test(a_seed_repeats_an_episode),
        cmocka_unit_test(falling_is_the_end),
        cmocka_unit_test(the_planar_pusher_masks_its_goal),
        cmocka_unit_test(the_planar_pusher_can_push),
        cmocka_unit_test(a_blown_up_simulation_is_discarded),
        cmocka_unit_test(a_bad_end_of_a_step_is_unstable),
        cmocka_unit_test(another_model_can_be_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
