#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "actor/tasks/tasks.h"
#include "tests/unit/test.h"

/*
 * A cart on a rail with a pole, and a ball in the air: one joint of each kind
 * but a ball joint, a keyframe, and a motor from -2 to 4.
 */
static const char model_text[] =
    "<mujoco><option timestep='0.01'/><worldbody>"
    "<site name='goal' pos='1 0 0.5'/>"
    "<body name='cart'><joint name='rail' type='slide' axis='1 0 0'/>"
    "<geom type='box' size='.1 .1 .1' mass='1'/>"
    "<body name='pole'><joint name='hip' type='hinge' axis='0 1 0'/>"
    "<geom type='capsule' fromto='0 0 0 0 0 .5' size='.02' mass='.1'/>"
    "<site name='tip' pos='0 0 0.5'/></body></body>"
    "<body name='ball' pos='0 3 3'><freejoint name='root'/>"
    "<geom type='sphere' size='.1' mass='1'/></body>"
    "</worldbody><actuator><motor name='push' joint='rail' ctrllimited='true' "
    "ctrlrange='-2 4'/></actuator><sensor>"
    "<jointpos name='place' joint='rail'/>"
    "<framepos name='where' objtype='site' objname='tip'/></sensor>"
    "<keyframe><key name='left' qpos='-2 0.5  0 3 3 1 0 0 0'/></keyframe>"
    "</mujoco>";

static char folder[64], ini[128], xml[128], why[1024];

static void write_file(const char *path, const char *text) {
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static int set_up(void **unused) {
    (void)unused;
    strcpy(folder, "/tmp/softq-custom-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    snprintf(ini, sizeof(ini), "%s/my.ini", folder);
    snprintf(xml, sizeof(xml), "%s/my.xml", folder);
    write_file(xml, model_text);
    return 0;
}

static int tear_down(void **unused) {
    (void)unused;
    unlink(ini), unlink(xml);
    return rmdir(folder);
}

struct fixture {
    const struct env_class *class;
    struct env_spec spec;
    void *model, *state;
    struct rng rng;
};

static int try(struct fixture *f, const char *lines, uint64_t horizon) {
    char text[2048];
    snprintf(text, sizeof(text), "[robot]\nmodel = my.xml\n%s", lines);
    write_file(ini, text);
    *f = (struct fixture){.class = &tasks_custom};
    const struct env_options options = {.horizon = horizon, .file = ini};
    why[0] = '\0';
    return f->class->load(f->class, &f->model, &f->spec, &options, why,
                          sizeof(why));
}

static struct fixture load(const char *lines, uint64_t horizon) {
    struct fixture f;
    if (try(&f, lines, horizon) != 0) fail_msg("%s", why);
    f.state = f.class->create(f.model);
    assert_non_null(f.state);
    rng_init(&f.rng, 1, RNG_TEST, 0, 0, 0);
    return f;
}

static void unload(struct fixture *f) {
    f->class->destroy(f->state);
    f->class->unload(f->model);
}

static struct env_result step(struct fixture *f, double action, float *obs) {
    struct env_result result = {.reward = (double)NAN};
    test_fill_nan(obs, f->spec.obs_dim);
    f->class->step(f->state, &action, obs, &result);
    return result;
}

/* Sensors and bodies are those of the state that is observed, not of a
 * substep before; each word is what robot.h says. */
static void quantities_are_of_the_state_observed(void **unused) {
    (void)unused;
    struct fixture f =
        load("frame_skip = 3\nreset_noise = 0.2\n"
             "observe = qpos(rail) qpos(hip) sensor(place) sensor(where)\n"
             "observe = position(cart,x) velocity(cart,x) sin(hip) cos(hip)\n"
             "observe = up(pole) distance(tip,goal) control alive qpos(hip)^2\n"
             "reward = 1 alive\n",
             0);
    enum {
        RAIL,
        HIP,
        PLACE,
        X,
        Y,
        Z,
        CART,
        SPEED,
        SIN,
        COS,
        UP,
        FAR,
        COST,
        ALIVE,
        SQUARE,
        S
    };
    float obs[S], old[S];
    assert_int_equal(f.spec.obs_dim, S);
    f.class->reset(f.state, &f.rng, old);
    assert_close(old[SPEED], 0.0f, 0.0f);
    for (int t = 0; t < 20; t++) {
        step(&f, t % 2 ? 0.5 : -1.0, obs);
        assert_close(obs[PLACE], obs[RAIL], 0.0f);
        assert_close(obs[CART], obs[RAIL], 1e-6f);
        assert_close(obs[SPEED], (obs[RAIL] - old[RAIL]) / 0.03f, 1e-4f);
        assert_close(obs[SIN], sinf(obs[HIP]), 1e-6f);
        assert_close(obs[COS], cosf(obs[HIP]), 1e-6f);
        assert_close(obs[UP], cosf(obs[HIP]), 1e-6f);
        assert_close(obs[X], obs[RAIL] + 0.5f * sinf(obs[HIP]), 1e-6f);
        assert_close(obs[Y], 0.0f, 1e-6f);
        assert_close(obs[Z], 0.5f * cosf(obs[HIP]), 1e-6f);
        assert_close(obs[FAR], hypotf(obs[X] - 1.0f, obs[Z] - 0.5f), 1e-6f);
        // 0.5 is 2.5 of [-2, 4], and -1 is -2
        assert_close(obs[COST], t % 2 ? 6.25f : 4.0f, 1e-6f);
        assert_close(obs[ALIVE], 1.0f, 0.0f);
        assert_close(obs[SQUARE], obs[HIP] * obs[HIP], 1e-6f);
        memcpy(old, obs, sizeof(obs));
    }
    unload(&f);
}

/* The reward is the weighted sum; the statistics say what each term earned. */
static void the_reward_is_a_weighted_sum(void **unused) {
    (void)unused;
    struct fixture f = load("observe = velocity(cart,x) distance(tip,goal)\n"
                            "reward = 2 velocity(cart,x)\n"
                            "reward = -0.5 distance(tip,goal)^2\n"
                            "reward = -0.1 control\n",
                            50);
    float obs[2];
    double sums[3] = {0}, stats[ENV_MAX_STATS];
    assert_int_equal(f.spec.n_stats, 3);
    assert_string_equal(f.spec.stat_names[1], "distance(tip,goal)^2");
    assert_non_null(strstr(f.spec.rewarded, "-0.1 control"));
    f.class->reset(f.state, &f.rng, obs);
    for (int t = 0; t < 50; t++) {
        const struct env_result result = step(&f, 1.0, obs);
        const float parts[3] = {2.0f * obs[0], -0.5f * obs[1] * obs[1], -1.6f};
        assert_close((float)result.reward, parts[0] + parts[1] + parts[2],
                     1e-4f);
        assert_true(result.truncated == (t == 49));
        assert_false(result.terminal);
        for (size_t i = 0; i < 3; i++) sums[i] += (double)parts[i];
    }
    f.class->statistics(f.state, stats);
    for (size_t i = 0; i < 3; i++)
        assert_close((float)stats[i], (float)sums[i], 1e-3f);
    unload(&f);
}

/* Below or above a bound an episode ends, and that is no time limit. */
static void a_bound_ends_the_episode(void **unused) {
    (void)unused;
    for (int above = 0; above < 2; above++) {
        struct fixture f =
            load(above ? "observe = qpos(rail)\nreward = 1 alive\n"
                         "end = qpos(rail) > 0.1\n"
                       : "observe = qpos(rail)\nreward = 1 alive\n"
                         "end = alive > 5\nend = qpos(rail) < -0.1\n",
                 1000);
        float obs[1];
        f.class->reset(f.state, &f.rng, obs);
        for (bool ended = false; !ended;) {
            const struct env_result result = step(&f, above ? 1.0 : -1.0, obs);
            assert_true(result.terminal == (fabsf(obs[0]) > 0.1f));
            assert_false(result.truncated);
            ended = result.terminal;
        }
        unload(&f);
    }
}

/* All of qpos without the first, and joints of more than one number. */
static void the_first_coordinates_can_be_left_out(void **unused) {
    (void)unused;
    struct fixture f = load("skip = 1\nobserve = qpos qvel qpos(root) "
                            "qvel(root,2) position(ball)\nreward = 1 alive\n",
                            0);
    assert_int_equal(f.spec.obs_dim, 8 + 8 + 7 + 1 + 3);
    assert_int_equal(f.spec.act_dim, 1);
    float obs[27], old[27];
    f.class->reset(f.state, &f.rng, old);
    step(&f, 0.0, obs);
    assert_close(obs[0], obs[0] + 0.0f * old[0], 0.0f); // finite
    assert_close(obs[16 + 2], 3.0f, 0.01f);
    assert_close(obs[23], -9.81f * 0.01f, 1e-4f); // it falls
    assert_close(obs[26], obs[16 + 2], 1e-6f);
    unload(&f);
}

/* An episode may start from a keyframe, with the noise on top. */
static void a_keyframe_is_a_start(void **unused) {
    (void)unused;
    struct fixture f = load("start = left\nobserve = qpos(rail) qpos(hip) "
                            "position(cart,x)\nreward = 1 alive\n",
                            0);
    float obs[3];
    f.class->reset(f.state, &f.rng, obs);
    assert_close(obs[0], -2.0f, 1e-6f);
    assert_close(obs[1], 0.5f, 1e-6f);
    assert_close(obs[2], -2.0f, 1e-6f);
    unload(&f);
    f = load("start = left\nreset_noise = 0.1\nobserve = qpos(rail)\n"
             "reward = 1 alive\n",
             0);
    f.class->reset(f.state, &f.rng, obs);
    assert_close(obs[0], -2.0f, 0.1f);
    assert_true(obs[0] != -2.0f);
    unload(&f);
}

/* What the model lacks is named, with what it has. */
static void what_the_model_lacks_is_named(void **unused) {
    (void)unused;
    static const char *const wrong[][3] = {
        {"observe = sensor(tip)\nreward = 1 alive\n", "no sensor 'tip'",
         "place, where"},
        {"observe = qpos(rial)\nreward = 1 alive\n", "no joint 'rial'",
         "rail, hip, root"},
        {"observe = qpos\nreward = 1 distance(tip,gaol)\n", "no site 'gaol'",
         "goal, tip"},
        {"observe = qpos\nreward = 1 up(torso)\n", "no body 'torso'",
         "cart, pole, ball"},
        {"observe = qpos\nreward = 1 alive\nstart = home\n",
         "no keyframe 'home'", "left"},
        {"observe = qpos\nreward = 1 sensor(where)\n", "3 numbers",
         "sensor(where)"},
        {"observe = qpos\nreward = 1 alive\nend = qpos > 1\n", "9 numbers",
         "qpos"},
        {"observe = sensor(where,3)\nreward = 1 alive\n", "the last is 2",
         "sensor(where,3)"},
        {"observe = sin(rail)\nreward = 1 alive\n", "no hinge", "rail"},
        {"observe = qpos\nskip = 10\nreward = 1 alive\n", "9 numbers", "skip"},
        {"observe = qpos\nskip = 9\nreward = 1 alive\n", "0 numbers",
         "observe"},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        struct fixture f;
        assert_int_equal(try(&f, wrong[i][0], 0), -EINVAL);
        if (!strstr(why, wrong[i][1]) || !strstr(why, wrong[i][2]) ||
            !strstr(why, ini) || strchr(why, '\n'))
            fail_msg("%s: %s", wrong[i][0], why);
    }
}

/* No model, no MJCF, no motors or none with a range: each in words. */
static void a_model_that_will_not_do_is_refused(void **unused) {
    (void)unused;
    struct fixture f;
    const char *lines = "observe = qpos\nreward = 1 alive\n";
    const char *body = "<worldbody><body><joint name='j'/><geom size='.1'/>"
                       "</body></worldbody>";
    char text[512];
    write_file(xml, "no XML at all");
    assert_int_equal(try(&f, lines, 0), -EBADMSG);
    assert_non_null(strstr(why, xml));
    snprintf(text, sizeof(text), "<mujoco>%s</mujoco>", body);
    write_file(xml, text);
    assert_int_equal(try(&f, lines, 0), -EINVAL);
    assert_non_null(strstr(why, "0 actuators"));
    snprintf(text, sizeof(text),
             "<mujoco>%s<actuator><motor name='m' joint='j'/></actuator>"
             "</mujoco>",
             body);
    write_file(xml, text);
    assert_int_equal(try(&f, lines, 0), -EINVAL);
    assert_non_null(strstr(why, "ctrlrange"));
    unlink(xml);
    assert_int_equal(try(&f, lines, 0), -ENOENT);
    assert_non_null(strstr(why, xml));
}

/* Another description or another model is another task. */
static void the_hash_is_of_both_files(void **unused) {
    (void)unused;
    const char *lines = "observe = qpos\nreward = 1 alive\n";
    struct fixture a = load(lines, 0), b = load(lines, 0);
    assert_int_equal(a.spec.hash, b.spec.hash);
    unload(&b);
    b = load("observe = qvel\nreward = 1 alive\n", 0);
    assert_int_not_equal(a.spec.hash, b.spec.hash);
    unload(&b);
    FILE *file = fopen(xml, "ae");
    assert_non_null(file);
    fputs("<!-- edited -->", file);
    fclose(file);
    b = load(lines, 0);
    assert_int_not_equal(a.spec.hash, b.spec.hash);
    unload(&b);
    unload(&a);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(quantities_are_of_the_state_observed),
        CASE(the_reward_is_a_weighted_sum),
        CASE(a_bound_ends_the_episode),
        CASE(the_first_coordinates_can_be_left_out),
        CASE(a_keyframe_is_a_start),
        CASE(what_the_model_lacks_is_named),
        CASE(a_model_that_will_not_do_is_refused),
        CASE(the_hash_is_of_both_files),
    };
#undef CASE
    return cmocka_run_group_tests_name("custom", tests, NULL, NULL);
}
