#include "tests/unit/robot.h"

enum { S = 9, A = 2, HORIZON = 500 };

static struct env_result step(struct robot *f, double front, double rear,
                              float obs[S]) {
    return robot_step(f, (double[]){front, rear}, obs);
}

static double x_of(const struct robot *f) {
    double xy[2];
    f->class->position(f->state, xy);
    return xy[0];
}

static double mean_x(const struct robot *f) {
    double xy[2];
    robot_centre(f, xy);
    return xy[0];
}

/* A wave of 22 steps that runs along the body and drives it towards way * x. */
static struct env_result step_wave(struct robot *f, int t, int way,
                                   float obs[S]) {
    const double phase = 2.0 * M_PI * t / 22.0, lead = way * 0.4 * M_PI;
    return step(f, sin(phase - lead), sin(phase + lead), obs);
}

/* A travelling wave, open loop, crosses 2 m within 300 steps either way. */
static void a_wave_crosses_either_way(void **unused) {
    (void)unused;
    struct robot f = robot_load("swimmer-finish");
    for (uint64_t seed = 1; seed <= 20; seed++) {
        for (int way = -1; way <= 1; way += 2) {
            struct rng rng = robot_stream(seed);
            float obs[S];
            int t = 0;
            f.class->reset(f.state, &rng, obs);
            while (way * x_of(&f) <= 2.0 && t < HORIZON)
                step_wave(&f, t++, way, obs);
            assert_true(t <= 300);
        }
    }
    robot_unload(&f);
}

/* Of 1,000 random episodes under 1 % do. */
static void random_actions_do_not_cross(void **unused) {
    (void)unused;
    struct robot f = robot_load("swimmer-finish");
    struct rng rng = robot_stream(2);
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
    robot_unload(&f);
}

/* Seen in a mirror across the y axis, front and rear change places and turn the
 * other way round: the same motion, step by step, for the same pay. */
static void front_and_rear_are_alike(void **unused) {
    (void)unused;
    struct robot f = robot_load("swimmer-finish");
    struct mujoco_state *mirror = f.class->create(f.model);
    struct rng rng = robot_stream(3);
    float obs[S], seen[S];
    f.class->reset(f.state, &rng, obs);
    f.class->reset(mirror, &rng, seen);
    const double *qpos = f.d->qpos;
    memcpy(mirror->d->qpos,
           (double[]){-qpos[0], qpos[1], -qpos[2], -qpos[4], -qpos[3]},
           5 * sizeof(double));
    mju_zero(f.d->qvel, 5);
    mju_zero(mirror->d->qvel, 5);
    mj_forward(f.m, f.d);
    mj_forward(f.m, mirror->d);

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
    robot_unload(&f);
}

/* The pay is |displacement of the centre of mass| / 0.05 s, and beyond 2 m one
 * more; on the other side there is no line. */
static void reward_is_speed_and_a_line(void **unused) {
    (void)unused;
    struct robot f = robot_load("swimmer-finish");
    for (int way = -1; way <= 1; way += 2) {
        struct rng rng = robot_stream(4);
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
    robot_unload(&f);
}

/* The centre's x, heading and joints, then all five velocities. */
static void the_way_to_the_line_is_observed(void **unused) {
    (void)unused;
    struct robot f = robot_load("swimmer-finish");
    assert_int_equal(f.spec.obs_dim, S);
    assert_int_equal(f.spec.act_dim, A);
    struct rng rng = robot_stream(5);
    float obs[S];
    f.class->reset(f.state, &rng, obs);
    assert_true(obs[0] == (float)x_of(&f));
    for (int t = 0; t < 20; t++) step(&f, 0.5, -0.5, obs);
    assert_close(obs[0], (float)mean_x(&f), 1e-6f);
    for (size_t i = 0; i < 3; i++)
        assert_true(obs[1 + i] == (float)f.d->qpos[2 + i]);
    for (size_t i = 0; i < 5; i++)
        assert_true(obs[4 + i] == (float)f.d->qvel[i]);
    robot_unload(&f);
}

/* An episode's numbers: the largest x of all its steps, not the last, and
 * whether that is beyond the line; a new episode forgets them. */
static void the_farthest_x_is_kept(void **unused) {
    (void)unused;
    struct robot f = robot_load("swimmer-finish");
    struct rng rng = robot_stream(6);
    float obs[S];
    double stats[2] = {(double)NAN, (double)NAN};
    assert_int_equal(f.spec.n_stats, 2);
    assert_string_equal(f.spec.stat_names[0], "max_forward");
    f.class->reset(f.state, &rng, obs);
    f.d->qpos[0] = 2.5;
    step(&f, 0, 0, obs);
    f.d->qpos[0] = -1.0;
    step(&f, 0, 0, obs);
    f.class->statistics(f.state, stats);
    assert_true(fabs(stats[0] - 2.5) < 0.1 && stats[1] == 1.0);
    f.class->reset(f.state, &rng, obs);
    f.class->statistics(f.state, stats);
    assert_true(stats[0] < 0.2 && stats[1] == 0.0);
    robot_unload(&f);
}

/* 10,000 random steps: stable, finite, truncated at 500 and never terminal. */
static void random_actions_never_crash(void **unused) {
    (void)unused;
    struct robot f = robot_load("swimmer-finish");
    assert_int_equal(f.spec.horizon, HORIZON);
    struct rng rng = robot_stream(7);
    float obs[S];
    for (int t = 0; t < 10000; t++) {
        if (t % HORIZON == 0) f.class->reset(f.state, &rng, obs);
        const struct env_result result = robot_step_random(&f, &rng, obs);
        assert_false(result.terminal || result.unstable);
        assert_int_equal(result.truncated, t % HORIZON == HORIZON - 1);
        for (size_t i = 0; i < S; i++) assert_true(isfinite(obs[i]));
    }
    robot_unload(&f);
}

/* A seed repeats an episode to the bit. */
static void a_seed_repeats_an_episode(void **unused) {
    (void)unused;
    robot_repeats("swimmer-finish");
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
