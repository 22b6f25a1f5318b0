#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actor/tasks/mujoco.h"
#include "tests/unit/test.h"

enum { S = 9, A = 2, HORIZON = 500 };

struct fixture {
    const struct env_class *class;
    struct env_spec spec;
    void *model;
    void *state; // begins with a struct mujoco_state
};

static struct fixture load(void) {
    struct fixture f = {.class = env_find("swimmer-finish")};
    char why[512] = "";
    assert_non_null(f.class);
    const struct env_options options = {0};
    assert_int_equal(
        f.class->load(&f.model, &f.spec, &options, why, sizeof(why)), 0);
    f.state = f.class->create(f.model);
    assert_non_null(f.state);
    return f;
}

static void unload(struct fixture *f) {
    f->class->destroy(f->state);
    f->class->unload(f->model);
}

static const struct mujoco_state *robot(const struct fixture *f) {
    return f->state;
}

static struct rng stream(uint64_t seed) {
    struct rng rng;
    rng_init(&rng, seed, RNG_TEST, 0, 0, 0);
    return rng;
}

static struct env_result step(struct fixture *f, double front, double rear,
                              float obs[S]) {
    struct env_result result = {.reward = (double)NAN};
    test_fill_nan(obs, S);
    f->class->step(f->state, (double[]){front, rear}, obs, &result);
    return result;
}

static double x_of(const struct fixture *f) {
    double xy[2];
    f->class->position(f->state, xy);
    return xy[0];
}

/* From MuJoCo's mass of each link and where it stands. */
static double mean_x(const struct fixture *f) {
    const mjModel *m = robot(f)->model->m;
    const mjData *d = robot(f)->d;
    double sum = 0.0, mass = 0.0;
    for (int b = 1; b < (int)m->nbody; b++) {
        sum += m->body_mass[b] * d->xipos[3 * b];
        mass += m->body_mass[b];
    }
    return sum / mass;
}

/* A wave of 22 steps that runs along the body and drives it towards way * x. */
static struct env_result step_wave(struct fixture *f, int t, int way,
                                   float obs[S]) {
    const double phase = 2.0 * M_PI * t / 22.0, lead = way * 0.4 * M_PI;
    return step(f, sin(phase - lead), sin(phase + lead), obs);
}

/* A travelling wave, open loop, crosses 2 m within 300 steps either way. */
static void a_wave_crosses_either_way(void **unused) {
    (void)unused;
    struct fixture f = load();
    for (uint64_t seed = 1; seed <= 20; seed++) {
        for (int way = -1; way <= 1; way += 2) {
            struct rng rng = stream(seed);
            float obs[S];
            int t = 0;
            f.class->reset(f.state, &rng, obs);
            while (way * x_of(&f) <= 2.0 && t < HORIZON)
                step_wave(&f, t++, way, obs);
            assert_true(t <= 300);
        }
    }
    unload(&f);
}

/* Of 1,000 random episodes under 1 % do. */
static void random_actions_do_not_cross(void **unused) {
    (void)unused;
    struct fixture f = load();
    struct rng rng = stream(2);
    float obs[S];
    double crossed = 0.0;
    for (int episode = 0; episode < 1000; episode++) {
        double stats[2] = {(double)NAN, (double)NAN};
        f.class->reset(f.state, &rng, obs);
        for (int t = 0; t < HORIZON; t++) {
            const double front = 2.0 * rng_uniform(&rng) - 1.0;
            step(&f, front, 2.0 * rng_uniform(&rng) - 1.0, obs);
        }
        f.class->statistics(f.state, stats);
        crossed += stats[1];
    }
    assert_true(crossed < 10.0);
    unload(&f);
}

/* Seen in a mirror across the y axis, front and rear change places and turn the
 * other way round: the same motion, step by step, for the same pay. */
static void front_and_rear_are_alike(void **unused) {
    (void)unused;
    struct fixture f = load();
    struct mujoco_state *mirror = f.class->create(f.model);
    struct rng rng = stream(3);
    float obs[S], seen[S];
    f.class->reset(f.state, &rng, obs);
    f.class->reset(mirror, &rng, seen);
    const double *qpos = robot(&f)->d->qpos;
    memcpy(mirror->d->qpos,
           (double[]){-qpos[0], qpos[1], -qpos[2], -qpos[4], -qpos[3]},
           5 * sizeof(double));
    mju_zero(robot(&f)->d->qvel, 5);
    mju_zero(mirror->d->qvel, 5);

    // the first step's pay is off: the mirror's centre was set behind its back
    for (int t = 0; t < 100; t++) {
        const double front = sin(0.2 * t), rear = cos(0.17 * t);
        struct env_result result;
        const struct env_result ours = step(&f, front, rear, obs);
        f.class->step(mirror, (double[]){-rear, -front}, seen, &result);
        double xy[2];
        f.class->position(mirror, xy);
        assert_true(fabs(xy[0] + x_of(&f)) < 1e-9);
        assert_true(t == 0 || fabs(result.reward - ours.reward) < 1e-6);
    }
    f.class->destroy(mirror);
    unload(&f);
}

/* The pay is |displacement of the centre of mass| / 0.05 s, and beyond 2 m one
 * more; on the other side there is no line. */
static void reward_is_speed_and_a_line(void **unused) {
    (void)unused;
    struct fixture f = load();
    for (int way = -1; way <= 1; way += 2) {
        struct rng rng = stream(4);
        float obs[S];
        int beyond = 0;
        f.class->reset(f.state, &rng, obs);
        double before = mean_x(&f);
        for (int t = 0; t < HORIZON; t++) {
            const struct env_result result = step_wave(&f, t, way, obs);
            const double x = mean_x(&f);
            const double speed = fabs(x - before) / 0.05;
            assert_true(fabs(result.reward - speed - (x > 2.0)) < 1e-9);
            beyond += x > 2.0;
            before = x;
        }
        assert_int_equal(beyond > 0, way > 0);
    }
    unload(&f);
}

/* The centre's x, heading and joints, then all five velocities. */
static void the_way_to_the_line_is_observed(void **unused) {
    (void)unused;
    struct fixture f = load();
    assert_int_equal(f.spec.obs_dim, S);
    assert_int_equal(f.spec.act_dim, A);
    struct rng rng = stream(5);
    float obs[S];
    f.class->reset(f.state, &rng, obs);
    assert_true(obs[0] == (float)x_of(&f));
    for (int t = 0; t < 20; t++) step(&f, 0.5, -0.5, obs);
    assert_close(obs[0], (float)mean_x(&f), 1e-6f);
    for (size_t i = 0; i < 3; i++)
        assert_true(obs[1 + i] == (float)robot(&f)->d->qpos[2 + i]);
    for (size_t i = 0; i < 5; i++)
        assert_true(obs[4 + i] == (float)robot(&f)->d->qvel[i]);
    unload(&f);
}

/* An episode's numbers: the largest x of all its steps, not the last, and
 * whether that is beyond the line; a new episode forgets them. */
static void the_farthest_x_is_kept(void **unused) {
    (void)unused;
    struct fixture f = load();
    struct rng rng = stream(6);
    float obs[S];
    double stats[2] = {(double)NAN, (double)NAN};
    assert_int_equal(f.spec.n_stats, 2);
    assert_string_equal(f.spec.stat_names[0], "max_forward");
    f.class->reset(f.state, &rng, obs);
    robot(&f)->d->qpos[0] = 2.5;
    step(&f, 0, 0, obs);
    robot(&f)->d->qpos[0] = -1.0;
    step(&f, 0, 0, obs);
    f.class->statistics(f.state, stats);
    assert_true(fabs(stats[0] - 2.5) < 0.1 && stats[1] == 1.0);
    f.class->reset(f.state, &rng, obs);
    f.class->statistics(f.state, stats);
    assert_true(stats[0] < 0.2 && stats[1] == 0.0);
    unload(&f);
}

/* 10,000 random steps: stable, finite, truncated at 500 and never terminal. */
static void random_actions_never_crash(void **unused) {
    (void)unused;
    struct fixture f = load();
    assert_int_equal(f.spec.horizon, HORIZON);
    struct rng rng = stream(7);
    float obs[S];
    for (int t = 0; t < 10000; t++) {
        if (t % HORIZON == 0) f.class->reset(f.state, &rng, obs);
        const double front = 4.0 * rng_uniform(&rng) - 2.0;
        const struct env_result result =
            step(&f, front, 4.0 * rng_uniform(&rng) - 2.0, obs);
        assert_false(result.terminal || result.unstable);
        assert_int_equal(result.truncated, t % HORIZON == HORIZON - 1);
        for (size_t i = 0; i < S; i++) assert_true(isfinite(obs[i]));
    }
    unload(&f);
}

/* A seed repeats an episode to the bit. */
static void a_seed_repeats_an_episode(void **unused) {
    (void)unused;
    struct fixture f = load();
    float obs[2][S];
    for (int pass = 0; pass < 2; pass++) {
        struct rng rng = stream(8);
        f.class->reset(f.state, &rng, obs[pass]);
        for (int t = 0; t < 100; t++)
            step(&f, sin(0.3 * t), cos(0.3 * t), obs[pass]);
    }
    assert_memory_equal(obs[0], obs[1], sizeof(obs[0]));
    unload(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wave_crosses_either_way),
        cmocka_unit_test(random_actions_do_not_cross),
        cmocka_unit_test(front_and_rear_are_alike),
        cmocka_unit_test(reward_is_speed_and_a_line),
        cmocka_unit_test(the_way_to_the_line_is_observed),
        cmocka_unit_test(the_farthest_x_is_kept),
        cmocka_unit_test(random_actions_never_crash),
        cmocka_unit_test(a_seed_repeats_an_episode),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
