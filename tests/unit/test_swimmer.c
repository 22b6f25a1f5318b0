#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "actor/tasks/mujoco.h"
#include "tests/unit/test.h"

enum { S = 8, A = 2 };

struct fixture {
    const struct env_class *class;
    struct env_spec spec;
    void *model;
    struct mujoco_state *state;
};

static struct fixture load(uint64_t horizon) {
    struct fixture f = {.class = env_find("swimmer")};
    char why[512] = "";
    assert_non_null(f.class);
    const struct env_options options = {.horizon = horizon};
    assert_int_equal(
        f.class->load(f.class, &f.model, &f.spec, &options, why, sizeof(why)),
        0);
    f.state = f.class->create(f.model);
    assert_non_null(f.state);
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

static struct env_result step(struct fixture *f, double front, double rear,
                              float obs[S]) {
    struct env_result result = {.reward = (double)NAN};
    test_fill_nan(obs, S);
    f->class->step(f->state, (double[]){front, rear}, obs, &result);
    return result;
}

/* Our own MJCF compiles to the numbers of Gymnasium's swimmer.xml. */
static void the_compiled_model_agrees_with_gymnasium(void **unused) {
    (void)unused;
    struct fixture f = load(0);
    const mjModel *m = f.state->model->m;
    assert_int_equal(m->nq, 5);
    assert_int_equal(m->nv, 5);
    assert_int_equal(m->nu, 2);
    assert_int_equal(m->nbody, 4);
    static const double com[4] = {0, 1.0, -0.5, -0.5};
    static const double at[4] = {0, 0, 0.5, -1.0};
    for (int b = 1; b < 4; b++) {
        assert_true(fabs(m->body_mass[b] - 35.604716740684324) < 1e-9);
        assert_true(fabs(m->body_inertia[3 * b] - 3.9175660390264717) < 1e-9);
        assert_true(fabs(m->body_inertia[3 * b + 1] - 3.9175660390264717) <
                    1e-9);
        assert_true(fabs(m->body_inertia[3 * b + 2] - 0.17383479349863523) <
                    1e-9);
        assert_true(fabs(m->body_ipos[3 * b] - com[b]) < 1e-12);
        assert_true(fabs(m->body_pos[3 * b] - at[b]) < 1e-12);
    }
    for (int i = 0; i < 5; i++) {
        assert_true(fabs(m->dof_armature[i] - 0.1) < 1e-12);
        assert_true(fabs(m->dof_damping[i]) < 1e-12);
        assert_int_equal(m->jnt_limited[i], i >= 3);
    }
    for (int i = 6; i < 10; i += 2)
        assert_true(fabs(m->jnt_range[i] + 1.7453292519943295) < 1e-12);
    for (int i = 0; i < 2; i++) {
        assert_true(fabs(m->actuator_gear[(ptrdiff_t)6 * i] - 150) < 1e-12);
        assert_true(fabs(m->actuator_ctrlrange[2 * i] + 1) < 1e-12);
        assert_true(fabs(m->actuator_ctrlrange[2 * i + 1] - 1) < 1e-12);
    }
    assert_true(fabs(m->opt.timestep - 0.01) < 1e-12);
    assert_true(fabs(m->opt.density - 4000) < 1e-12);
    assert_true(fabs(m->opt.viscosity - 0.1) < 1e-12);
    assert_int_equal(m->opt.integrator, mjINT_RK4);
    unload(&f);
}

/* From a given state, 100 steps of two square waves: Swimmer-v5 of Gymnasium
 * 1.4.0 on MuJoCo 3.17.0 gave these observations and rewards. */
static void an_episode_agrees_with_gymnasium(void **unused) {
    (void)unused;
    static const struct {
        int step;
        float reward, sum, obs[S];
    } golden[] = {
        {0,
         0.12538163f,
         0.12538163f,
         {0.24164592f, -0.47301506f, 0.72614875f, 0.14842575f, 0.84900678f,
          -0.71227956f, 1.73881761f, -1.68444938f}},
        {1,
         0.16419486f,
         0.28957649f,
         {0.19410331f, -0.36280944f, 0.61646789f, 0.17543505f, 1.83346604f,
          -1.64044163f, 3.72806847f, -3.76844438f}},
        {9,
         0.25885562f,
         1.02632685f,
         {-0.52491024f, 1.15484218f, -0.73840876f, 0.31341374f, 1.86687759f,
          -2.12711846f, 3.72490825f, -1.74987128f}},
        {99,
         0.21065564f,
         -10.42509556f,
         {0.15383035f, 1.17900740f, -1.55916124f, 0.24420442f, -1.72432462f,
          1.96897878f, -2.29748077f, -1.75830103f}},
    };
    static const double qpos[5] = {0.05, -0.03, 0.25, -0.5, 0.75};
    static const double qvel[5] = {0.1, -0.2, 0.3, -0.4, 0.5};
    struct fixture f = load(0);
    struct rng rng = stream(1);
    float obs[S];
    f.class->reset(f.state, &rng, obs);
    memcpy(f.state->d->qpos, qpos, sizeof(qpos));
    memcpy(f.state->d->qvel, qvel, sizeof(qvel));

    double sum = 0.0;
    size_t next = 0;
    for (int t = 0; t < 100; t++) {
        const double front = t / 10 % 2 == 0 ? 0.75 : -0.5;
        const double rear = (t + 5) / 10 % 2 == 0 ? -1.0 : 0.25;
        const struct env_result result = step(&f, front, rear, obs);
        sum += result.reward;
        if (t != golden[next].step) continue;
        assert_close((float)result.reward, golden[next].reward, 1e-5f);
        assert_close((float)sum, golden[next].sum, 1e-4f);
        for (size_t i = 0; i < S; i++)
            assert_close(obs[i], golden[next].obs[i], 1e-5f);
        next++;
    }
    assert_int_equal(next, 4);
    unload(&f);
}

/* The reward is the displacement over 0.04 s less 1e-4 |a|^2, with the
 * action clipped to the motors' range. */
static void reward_is_speed_less_control(void **unused) {
    (void)unused;
    struct fixture f = load(0);
    struct rng rng = stream(2);
    float obs[S];
    double before[2], after[2], x = 0.0;
    f.class->reset(f.state, &rng, obs);
    for (int t = 0; t < 200; t++) {
        const double front = 2 * rng_uniform(&rng) - 1, rear = 3.0;
        f.class->position(f.state, before);
        const struct env_result result = step(&f, front, rear, obs);
        f.class->position(f.state, after);
        const double speed = (after[0] - before[0]) / 0.04;
        assert_true(fabs(result.reward - speed + 1e-4 * (front * front + 1.0)) <
                    1e-9);
        assert_false(result.terminal || result.unstable);
    }
    f.class->statistics(f.state, &x);
    assert_true(fabs(x - after[0]) < 1e-12);
    unload(&f);
}

/* The observation is heading and joints, then all five velocities. */
static void the_plane_is_not_observed(void **unused) {
    (void)unused;
    struct fixture f = load(0);
    assert_int_equal(f.spec.obs_dim, S);
    assert_int_equal(f.spec.act_dim, A);
    struct rng rng = stream(3);
    float obs[S];
    f.class->reset(f.state, &rng, obs);
    step(&f, 0.5, -0.5, obs);
    for (size_t i = 0; i < 3; i++)
        assert_true(obs[i] == (float)f.state->d->qpos[2 + i]);
    for (size_t i = 0; i < 5; i++)
        assert_true(obs[3 + i] == (float)f.state->d->qvel[i]);
    unload(&f);
}

/* The time limit truncates at 1000 steps, or where told, and never ends. */
static void the_horizon_truncates(void **unused) {
    (void)unused;
    struct fixture f = load(0);
    assert_int_equal(f.spec.horizon, 1000);
    unload(&f);
    f = load(25);
    struct rng rng = stream(4);
    float obs[S];
    for (int episode = 0; episode < 2; episode++) {
        f.class->reset(f.state, &rng, obs);
        for (int t = 1; t <= 25; t++) {
            const struct env_result result = step(&f, 1, -1, obs);
            assert_false(result.terminal);
            assert_int_equal(result.truncated, t == 25);
        }
    }
    unload(&f);
}

/* A seed repeats an episode to the bit, another environment between or not;
 * starts are within +-0.1 of rest. */
static void a_seed_repeats_an_episode(void **unused) {
    (void)unused;
    struct fixture f = load(0);
    struct mujoco_state *other = f.class->create(f.model);
    float first[S], again[S];
    for (int pass = 0; pass < 2; pass++) {
        float *obs = pass == 0 ? first : again;
        struct rng rng = stream(5), noise = stream(6);
        f.class->reset(f.state, &rng, obs);
        for (size_t i = 0; i < S; i++) assert_true(fabsf(obs[i]) <= 0.1f);
        if (pass == 1) f.class->reset(other, &noise, again);
        for (int t = 0; t < 50; t++) {
            struct env_result result;
            if (pass == 1)
                f.class->step(other, (double[]){1, 1}, again, &result);
            step(&f, sin(0.3 * t), cos(0.3 * t), obs);
        }
    }
    assert_memory_equal(first, again, sizeof(first));
    f.class->destroy(other);
    unload(&f);
}

/* Without control the fluid takes energy at every step, and it ends at rest. */
static void a_passive_swimmer_loses_energy(void **unused) {
    (void)unused;
    struct fixture f = load(0);
    f.state->model->m->opt.enableflags |= mjENBL_ENERGY;
    struct rng rng = stream(7);
    float obs[S];
    f.class->reset(f.state, &rng, obs);
    for (int i = 0; i < 5; i++) f.state->d->qvel[i] = 1.0;
    mj_forward(f.state->model->m, f.state->d);
    const double start = f.state->d->energy[1];
    double energy = start;
    for (int t = 0; t < 500; t++) {
        step(&f, 0, 0, obs);
        mj_forward(f.state->model->m, f.state->d);
        assert_true(f.state->d->energy[1] <= energy + 1e-9);
        energy = f.state->d->energy[1];
    }
    assert_true(energy < 0.05 * start);
    unload(&f);
}

/* A simulation that blows up is reported as unstable, does not write
 * MUJOCO_LOG.TXT, and the next episode is sound. */
static void a_blown_up_simulation_is_unstable(void **unused) {
    (void)unused;
    struct fixture f = load(0);
    struct rng rng = stream(8);
    float obs[S];
    f.class->reset(f.state, &rng, obs);
    f.state->d->qvel[2] = 1e12;
    const struct env_result result = step(&f, 0, 0, obs);
    assert_true(result.unstable && result.truncated && !result.terminal);
    f.class->reset(f.state, &rng, obs);
    assert_false(step(&f, 0, 0, obs).unstable);
    for (size_t i = 0; i < S; i++) assert_true(isfinite(obs[i]));
    assert_int_not_equal(access("MUJOCO_LOG.TXT", F_OK), 0);
    unload(&f);
}

/* A folder without the model, and a file that is none, are refused in words. */
static void a_missing_or_broken_model_is_refused(void **unused) {
    (void)unused;
    const struct env_class *class = env_find("swimmer");
    struct env_spec spec;
    void *model = NULL;
    char why[512] = "", folder[] = "/tmp/softq-model-XXXXXX", path[64];
    assert_non_null(mkdtemp(folder));
    const struct env_options options = {.data_dir = folder};
    assert_int_equal(
        class->load(class, &model, &spec, &options, why, sizeof(why)), -ENOENT);
    assert_non_null(strstr(why, folder));

    snprintf(path, sizeof(path), "%s/swimmer.xml", folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs("<mujoco><worldbody><fish/></worldbody></mujoco>", file);
    fclose(file);
    assert_int_equal(
        class->load(class, &model, &spec, &options, why, sizeof(why)),
        -EBADMSG);
    assert_non_null(strstr(why, "fish"));
    assert_null(strchr(why, '\n'));
    unlink(path);
    rmdir(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_compiled_model_agrees_with_gymnasium),
        cmocka_unit_test(an_episode_agrees_with_gymnasium),
        cmocka_unit_test(reward_is_speed_less_control),
        cmocka_unit_test(the_plane_is_not_observed),
        cmocka_unit_test(the_horizon_truncates),
        cmocka_unit_test(a_seed_repeats_an_episode),
        cmocka_unit_test(a_passive_swimmer_loses_energy),
        cmocka_unit_test(a_blown_up_simulation_is_unstable),
        cmocka_unit_test(a_missing_or_broken_model_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
