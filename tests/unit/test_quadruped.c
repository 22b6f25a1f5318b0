#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/unit/robot.h"

enum { S = 29, A = 8, HORIZON = 500, ARENAS = 5 };

static const char *const arenas[ARENAS] = {
    "quadruped-empty", "quadruped-hall-wide", "quadruped-hall-narrow",
    "quadruped-umaze", "quadruped-maze",
};

/* --- the body --- */

/* 15 coordinates, x and y first, and 14 velocities: a seed starts every arena
 * with the same ones, so that a policy can move house. */
static void all_arenas_share_one_observation(void **unused) {
    (void)unused;
    float first[S], obs[S];
    for (size_t k = 0; k < ARENAS; k++) {
        struct robot f = robot_load(arenas[k]);
        assert_int_equal(f.spec.obs_dim, S);
        assert_int_equal(f.spec.act_dim, A);
        assert_int_equal(f.spec.horizon, HORIZON);
        robot_reset(&f, 1, k == 0 ? first : obs);
        if (k > 0) assert_memory_equal(first, obs, sizeof(obs));
        struct rng rng = robot_stream(2);
        for (int t = 0; t < 10; t++) robot_step_random(&f, &rng, obs);
        for (size_t i = 0; i < 15; i++)
            assert_true(obs[i] == (float)f.d->qpos[i]);
        for (size_t i = 0; i < 14; i++)
            assert_true(obs[15 + i] == (float)f.d->qvel[i]);
        robot_unload(&f);
    }
}

/* Without control it stands, upright and off the ground, where it was put. */
static void it_stands_without_control(void **unused) {
    (void)unused;
    static const double none[A];
    struct robot f = robot_load("quadruped-empty");
    float obs[S];
    double moved = (double)NAN;
    robot_reset(&f, 3, obs);
    for (int t = 0; t < HORIZON; t++) robot_step(&f, none, obs);
    f.class->statistics(f.state, &moved);
    assert_true(moved < 0.2);
    assert_true(f.d->xmat[9 + 8] > 0.98);
    assert_true(f.d->qpos[2] > 0.2);
    robot_unload(&f);
}

/* A seed repeats an episode to the bit. */
static void a_seed_repeats_an_episode(void **unused) {
    (void)unused;
    for (size_t k = 0; k < ARENAS; k++) robot_repeats(arenas[k]);
}

/* 10,000 random steps an arena: finite and stable, and an episode ends at 500
 * or on its back. */
static void random_actions_never_crash(void **unused) {
    (void)unused;
    for (size_t k = 0; k < ARENAS; k++) {
        struct robot f = robot_load(arenas[k]);
        struct rng rng = robot_stream(6);
        float obs[S];
        int length = 0;
        f.class->reset(f.state, &rng, obs);
        for (int t = 0; t < 10000; t++) {
            const struct env_result result = robot_step_random(&f, &rng, obs);
            length++;
            assert_false(result.unstable);
            assert_int_equal(result.truncated,
                             length == HORIZON && !result.terminal);
            for (size_t i = 0; i < S; i++) assert_true(isfinite(obs[i]));
            if (!result.terminal && !result.truncated) continue;
            f.class->reset(f.state, &rng, obs);
            length = 0;
        }
        robot_unload(&f);
    }
}

static void compare_with_plain_steps(int integrator) {
    struct robot f = robot_load("quadruped-maze");
    struct rng rng = robot_stream(7);
    float obs[S];
    f.m->opt.integrator = integrator;
    robot_reset(&f, 7, obs);
    mjData *plain = mj_copyData(NULL, f.m, f.d);
    mjData *now = mj_makeData(f.m);
    assert_true(plain && now);
    for (int t = 0; t < 200; t++) {
        assert_false(robot_step_random(&f, &rng, obs).unstable);
        mju_copy(plain->ctrl, f.d->ctrl, A);
        for (int i = 0; i < 5; i++) mj_step(f.m, plain);
        mj_copyData(now, f.m, plain);
        mj_kinematics(f.m, now);
        mj_comPos(f.m, now);
        // else the coordinates' quaternion is rounded once more often
        if (integrator != mjINT_EULER) mju_copy(plain->qpos, now->qpos, 15);
        assert_memory_equal(plain->qvel, f.d->qvel, 14 * sizeof(mjtNum));
        assert_memory_equal(now->subtree_com, f.d->subtree_com,
                            (size_t)f.m->nbody * 3 * sizeof(mjtNum));
        assert_memory_equal(now->xmat, f.d->xmat,
                            (size_t)f.m->nbody * 9 * sizeof(mjtNum));
    }
    mj_deleteData(now);
    mj_deleteData(plain);
    robot_unload(&f);
}

/* MuJoCo's own steps, by Euler to the bit, but what follows from the
 * coordinates is of now; also by an integrator that cannot be halved. */
static void positions_do_not_lag(void **unused) {
    (void)unused;
    compare_with_plain_steps(mjINT_EULER);
    compare_with_plain_steps(mjINT_RK4);
}

/* A folder whose models have another body, or lack the body's file, is refused
 * in words. */
static void another_body_is_refused(void **unused) {
    (void)unused;
    const struct env_class *class = env_find("quadruped-empty");
    char why[512] = "", folder[] = "/tmp/softq-model-XXXXXX", path[64];
    struct env_spec spec;
    void *model = NULL;
    assert_non_null(mkdtemp(folder));
    const struct env_options options = {.data_dir = folder};
    static const struct {
        const char *text, *said;
    } models[] = {
        {"<mujoco><include file=\"quadruped.xml\"/></mujoco>", "quadruped.xml"},
        {"<mujoco><worldbody/></mujoco>", "not the quadruped"},
    };
    snprintf(path, sizeof(path), "%s/quadruped-empty.xml", folder);
    for (size_t k = 0; k < 2; k++) {
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        fputs(models[k].text, file);
        fclose(file);
        assert_int_equal(
            class->load(class, &model, &spec, &options, why, sizeof(why)),
            -EBADMSG);
        assert_non_null(strstr(why, models[k].said));
    }
    unlink(path);
    rmdir(folder);
}

/* --- what ends an episode --- */

static struct env_result step_tilted(struct robot *f, double degrees) {
    static const double none[A];
    const double half = 0.5 * degrees * M_PI / 180.0;
    float obs[S];
    robot_reset(f, 7, obs);
    mjData *d = f->d;
    mju_zero(d->qvel, 14);
    d->qpos[2] = 3.0; // in the air: it keeps the tilt for a step
    memcpy(d->qpos + 3, (double[]){cos(half), sin(half), 0, 0},
           4 * sizeof(double));
    return robot_step(f, none, obs);
}

/* On its side it may still get up; past that it is over, and not by time. */
static void only_a_fall_on_the_back_ends(void **unused) {
    (void)unused;
    for (size_t k = 0; k < ARENAS; k++) {
        struct robot f = robot_load(arenas[k]);
        assert_false(step_tilted(&f, 80.0).terminal);
        assert_true(step_tilted(&f, 100.0).terminal);
        assert_false(step_tilted(&f, 180.0).truncated);
        robot_unload(&f);
    }
}

/* A simulation that blows up is unstable, not a fall: nobody learns from it.
 * The next episode is sound. */
static void a_blown_up_simulation_is_unstable(void **unused) {
    (void)unused;
    static const double none[A];
    struct robot f = robot_load("quadruped-umaze");
    float obs[S];
    robot_reset(&f, 8, obs);
    f.d->qvel[8] = 1e12;
    const struct env_result result = robot_step(&f, none, obs);
    assert_true(result.unstable && result.truncated && !result.terminal);
    robot_reset(&f, 8, obs);
    assert_false(robot_step(&f, none, obs).unstable);
    for (size_t i = 0; i < S; i++) assert_true(isfinite(obs[i]));
    robot_unload(&f);
}

/* --- what is paid --- */

/* In the plane and in the hallways: displacement of the centre of mass in x and
 * y / 0.05 s; an episode ends with how far it came in all. */
static void speed_any_way_is_paid(void **unused) {
    (void)unused;
    for (size_t k = 0; k < 3; k++) {
        struct robot f = robot_load(arenas[k]);
        struct rng rng = robot_stream(9);
        float obs[S];
        double start[2], before[2], after[2], net = (double)NAN;
        robot_reset(&f, 9, obs);
        robot_centre(&f, start);
        memcpy(before, start, sizeof(before));
        for (int t = 0; t < 100; t++) {
            const struct env_result result = robot_step_random(&f, &rng, obs);
            robot_centre(&f, after);
            const double way =
                hypot(after[0] - before[0], after[1] - before[1]);
            assert_true(fabs(result.reward - way / 0.05) < 1e-9);
            memcpy(before, after, sizeof(before));
        }
        assert_string_equal(f.spec.stat_names[0], "net_displacement");
        f.class->statistics(f.state, &net);
        const double way = hypot(after[0] - start[0], after[1] - start[1]);
        assert_true(fabs(net - way) < 1e-9);
        robot_unload(&f);
    }
}

static const struct {
    const char *arena;
    double target[2], s;
} bumps[] = {
    {"quadruped-umaze", {0, 5}, 2.5},
    {"quadruped-maze", {7, 0}, 3.5},
};

/* In the mazes: exp(-d^2 / (2 s^2)), 1 at the target, exp(-2) at the start; an
 * episode ends with the least distance so far, which a new one forgets. */
static void closeness_to_the_target_is_paid(void **unused) {
    (void)unused;
    static const double none[A];
    for (size_t k = 0; k < 2; k++) {
        struct robot f = robot_load(bumps[k].arena);
        float obs[S];
        double stats[2] = {(double)NAN, (double)NAN}, place[2];
        double nearest = (double)INFINITY;
        robot_reset(&f, 10, obs);
        assert_close((float)robot_step(&f, none, obs).reward, (float)exp(-2.0),
                     0.02f);
        for (int t = 0; t < 4; t++) {
            // there, and away again
            f.d->qpos[0] = bumps[k].target[0] + 0.5 * abs(t - 2);
            f.d->qpos[1] = bumps[k].target[1];
            const struct env_result result = robot_step(&f, none, obs);
            robot_centre(&f, place);
            const double d = hypot(place[0] - bumps[k].target[0],
                                   place[1] - bumps[k].target[1]);
            const double s = bumps[k].s;
            assert_true(fabs(result.reward - exp(-d * d / (2 * s * s))) < 1e-9);
            nearest = fmin(nearest, d);
        }
        assert_string_equal(f.spec.stat_names[0], "min_distance");
        f.class->statistics(f.state, stats);
        assert_true(fabs(stats[0] - nearest) < 1e-9 && nearest < 0.2);
        robot_reset(&f, 10, obs);
        f.class->statistics(f.state, stats);
        assert_true(fabs(stats[0] - 2 * bumps[k].s) < 0.2);
        robot_unload(&f);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_arenas_share_one_observation),
        cmocka_unit_test(it_stands_without_control),
        cmocka_unit_test(a_seed_repeats_an_episode),
        cmocka_unit_test(random_actions_never_crash),
        cmocka_unit_test(positions_do_not_lag),
        cmocka_unit_test(another_body_is_refused),
        cmocka_unit_test(only_a_fall_on_the_back_ends),
        cmocka_unit_test(a_blown_up_simulation_is_unstable),
        cmocka_unit_test(speed_any_way_is_paid),
        cmocka_unit_test(closeness_to_the_target_is_paid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
