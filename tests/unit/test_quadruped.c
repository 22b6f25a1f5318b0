#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actor/tasks/mujoco.h"
#include "tests/unit/test.h"

enum { S = 29, A = 8, HORIZON = 500, ARENAS = 5 };

static const char *const arenas[ARENAS] = {
    "quadruped-empty", "quadruped-hall-wide", "quadruped-hall-narrow",
    "quadruped-umaze", "quadruped-maze",
};

struct fixture {
    const struct env_class *class;
    struct env_spec spec;
    void *model;
    void *state; // begins with a struct mujoco_state
};

static struct fixture load(const char *arena) {
    struct fixture f = {.class = env_find(arena)};
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

static const mjModel *model_of(const struct fixture *f) {
    return ((const struct mujoco_state *)f->state)->model->m;
}

static mjData *data_of(const struct fixture *f) {
    return ((const struct mujoco_state *)f->state)->d;
}

static struct rng stream(uint64_t seed) {
    struct rng rng;
    rng_init(&rng, seed, RNG_TEST, 0, 0, 0);
    return rng;
}

static void reset(struct fixture *f, uint64_t seed, float obs[S]) {
    struct rng rng = stream(seed);
    test_fill_nan(obs, S);
    f->class->reset(f->state, &rng, obs);
}

static struct env_result step(struct fixture *f, const double action[A],
                              float obs[S]) {
    struct env_result result = {.reward = (double)NAN};
    test_fill_nan(obs, S);
    f->class->step(f->state, action, obs, &result);
    return result;
}

static struct env_result step_random(struct fixture *f, struct rng *rng,
                                     float obs[S]) {
    double action[A];
    for (int i = 0; i < A; i++) action[i] = 2.0 * rng_uniform(rng) - 1.0;
    return step(f, action, obs);
}

/* From MuJoCo's mass of each part and where it stands. */
static void mean_place(const struct fixture *f, double xy[2]) {
    const mjModel *m = model_of(f);
    double mass = 0.0;
    xy[0] = xy[1] = 0.0;
    for (int b = 1; b < (int)m->nbody; b++) {
        mass += m->body_mass[b];
        for (int i = 0; i < 2; i++)
            xy[i] += m->body_mass[b] * data_of(f)->xipos[3 * b + i];
    }
    for (int i = 0; i < 2; i++) xy[i] /= mass;
}

/* --- the body --- */

/* 15 coordinates, x and y first, and 14 velocities: a seed starts every arena
 * with the same ones, so that a policy can move house. */
static void all_arenas_share_one_observation(void **unused) {
    (void)unused;
    float first[S], obs[S];
    for (size_t k = 0; k < ARENAS; k++) {
        struct fixture f = load(arenas[k]);
        assert_int_equal(f.spec.obs_dim, S);
        assert_int_equal(f.spec.act_dim, A);
        assert_int_equal(f.spec.horizon, HORIZON);
        reset(&f, 1, k == 0 ? first : obs);
        if (k > 0) assert_memory_equal(first, obs, sizeof(obs));
        struct rng rng = stream(2);
        for (int t = 0; t < 10; t++) step_random(&f, &rng, obs);
        for (size_t i = 0; i < 15; i++)
            assert_true(obs[i] == (float)data_of(&f)->qpos[i]);
        for (size_t i = 0; i < 14; i++)
            assert_true(obs[15 + i] == (float)data_of(&f)->qvel[i]);
        unload(&f);
    }
}

/* Without control it stands, upright and off the ground, where it was put. */
static void it_stands_without_control(void **unused) {
    (void)unused;
    static const double none[A];
    struct fixture f = load("quadruped-empty");
    float obs[S];
    double moved = (double)NAN;
    reset(&f, 3, obs);
    for (int t = 0; t < HORIZON; t++) step(&f, none, obs);
    f.class->statistics(f.state, &moved);
    assert_true(moved < 0.2);
    assert_true(data_of(&f)->xmat[9 + 8] > 0.98);
    assert_true(data_of(&f)->qpos[2] > 0.2);
    unload(&f);
}

/* A seed repeats an episode to the bit. */
static void a_seed_repeats_an_episode(void **unused) {
    (void)unused;
    struct fixture f = load("quadruped-maze");
    float obs[2][S];
    for (int pass = 0; pass < 2; pass++) {
        reset(&f, 4, obs[pass]);
        struct rng rng = stream(5);
        for (int t = 0; t < 100; t++) step_random(&f, &rng, obs[pass]);
    }
    assert_memory_equal(obs[0], obs[1], sizeof(obs[0]));
    unload(&f);
}

/* 10,000 random steps an arena: finite and stable, and an episode ends at 500
 * or on its back. */
static void random_actions_never_crash(void **unused) {
    (void)unused;
    for (size_t k = 0; k < ARENAS; k++) {
        struct fixture f = load(arenas[k]);
        struct rng rng = stream(6);
        float obs[S];
        int length = 0;
        f.class->reset(f.state, &rng, obs);
        for (int t = 0; t < 10000; t++) {
            const struct env_result result = step_random(&f, &rng, obs);
            length++;
            assert_false(result.unstable);
            assert_int_equal(result.truncated,
                             length == HORIZON && !result.terminal);
            for (size_t i = 0; i < S; i++) assert_true(isfinite(obs[i]));
            if (!result.terminal && !result.truncated) continue;
            f.class->reset(f.state, &rng, obs);
            length = 0;
        }
        unload(&f);
    }
}

/* --- what ends an episode --- */

static struct env_result step_tilted(struct fixture *f, double degrees) {
    static const double none[A];
    const double half = 0.5 * degrees * M_PI / 180.0;
    float obs[S];
    reset(f, 7, obs);
    mjData *d = data_of(f);
    mju_zero(d->qvel, 14);
    d->qpos[2] = 3.0; // in the air: it keeps the tilt for a step
    memcpy(d->qpos + 3, (double[]){cos(half), sin(half), 0, 0},
           4 * sizeof(double));
    return step(f, none, obs);
}

/* On its side it may still get up; past that it is over, and not by time. */
static void only_a_fall_on_the_back_ends(void **unused) {
    (void)unused;
    for (size_t k = 0; k < ARENAS; k++) {
        struct fixture f = load(arenas[k]);
        assert_false(step_tilted(&f, 80.0).terminal);
        assert_true(step_tilted(&f, 100.0).terminal);
        assert_false(step_tilted(&f, 180.0).truncated);
        unload(&f);
    }
}

/* A simulation that blows up is unstable, not a fall: nobody learns from it.
 * The next episode is sound. */
static void a_blown_up_simulation_is_unstable(void **unused) {
    (void)unused;
    static const double none[A];
    struct fixture f = load("quadruped-umaze");
    float obs[S];
    reset(&f, 8, obs);
    data_of(&f)->qvel[8] = 1e12;
    const struct env_result result = step(&f, none, obs);
    assert_true(result.unstable && result.truncated && !result.terminal);
    reset(&f, 8, obs);
    assert_false(step(&f, none, obs).unstable);
    for (size_t i = 0; i < S; i++) assert_true(isfinite(obs[i]));
    unload(&f);
}

/* --- what is paid --- */

/* In the plane and in the hallways: displacement of the centre of mass in x and
 * y / 0.05 s; an episode ends with how far it came in all. */
static void speed_any_way_is_paid(void **unused) {
    (void)unused;
    for (size_t k = 0; k < 3; k++) {
        struct fixture f = load(arenas[k]);
        struct rng rng = stream(9);
        float obs[S];
        double start[2], before[2], after[2], net = (double)NAN;
        reset(&f, 9, obs);
        mean_place(&f, start);
        memcpy(before, start, sizeof(before));
        for (int t = 0; t < 100; t++) {
            const struct env_result result = step_random(&f, &rng, obs);
            mean_place(&f, after);
            const double way =
                hypot(after[0] - before[0], after[1] - before[1]);
            assert_true(fabs(result.reward - way / 0.05) < 1e-9);
            memcpy(before, after, sizeof(before));
        }
        assert_string_equal(f.spec.stat_names[0], "net_displacement");
        f.class->statistics(f.state, &net);
        const double way = hypot(after[0] - start[0], after[1] - start[1]);
        assert_true(fabs(net - way) < 1e-9);
        unload(&f);
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
        struct fixture f = load(bumps[k].arena);
        float obs[S];
        double stats[2] = {(double)NAN, (double)NAN}, place[2];
        double nearest = (double)INFINITY;
        reset(&f, 10, obs);
        assert_close((float)step(&f, none, obs).reward, (float)exp(-2.0),
                     0.02f);
        for (int t = 0; t < 4; t++) {
            // there, and away again
            data_of(&f)->qpos[0] = bumps[k].target[0] + 0.5 * abs(t - 2);
            data_of(&f)->qpos[1] = bumps[k].target[1];
            const struct env_result result = step(&f, none, obs);
            mean_place(&f, place);
            const double d = hypot(place[0] - bumps[k].target[0],
                                   place[1] - bumps[k].target[1]);
            const double s = bumps[k].s;
            assert_true(fabs(result.reward - exp(-d * d / (2 * s * s))) < 1e-9);
            nearest = fmin(nearest, d);
        }
        assert_string_equal(f.spec.stat_names[0], "min_distance");
        f.class->statistics(f.state, stats);
        assert_true(fabs(stats[0] - nearest) < 1e-9 && nearest < 0.2);
        reset(&f, 10, obs);
        f.class->statistics(f.state, stats);
        assert_true(fabs(stats[0] - 2 * bumps[k].s) < 0.2);
        unload(&f);
    }
}

/* --- the walls --- */

/* The maze's plane in squares of 5 cm: which are walls, which were reached. */
enum { SIDE = 240 };
static const double square = 0.05, corner[2] = {-2.5, -6.0};

struct map {
    bool wall[SIDE][SIDE], reached[SIDE][SIDE]; // [x][y], of their middles
};

static double middle(size_t i, int axis) {
    return corner[axis] + ((double)i + 0.5) * square;
}

static void draw_box(struct map *map, const double at[2],
                     const double half[2]) {
    for (size_t i = 0; i < SIDE; i++)
        for (size_t j = 0; j < SIDE; j++)
            if (fabs(middle(i, 0) - at[0]) < half[0] &&
                fabs(middle(j, 1) - at[1]) < half[1])
                map->wall[i][j] = true;
}

static void draw_walls(struct map *map, const mjModel *m) {
    for (int g = 0; g < (int)m->ngeom; g++)
        if (m->geom_type[g] == mjGEOM_BOX)
            draw_box(map, m->geom_pos + (ptrdiff_t)3 * g,
                     m->geom_size + (ptrdiff_t)3 * g);
}

/* Everywhere a point can go from the start, squares' sides only. */
static void flood(struct map *map) {
    static size_t stack[SIDE * SIDE];
    size_t n = 0;
    const size_t x = (size_t)(-corner[0] / square);
    const size_t y = (size_t)(-corner[1] / square);
    map->reached[x][y] = true;
    stack[n++] = x * SIDE + y;
    while (n > 0) {
        const size_t at = stack[--n];
        static const int steps[4][2] = {{1, 0}, {-1, 0}, {0, 1}, {0, -1}};
        for (int k = 0; k < 4; k++) {
            const size_t i = at / SIDE + (size_t)steps[k][0];
            const size_t j = at % SIDE + (size_t)steps[k][1];
            assert_true(i < SIDE && j < SIDE); // no way out of the maze
            if (map->wall[i][j] || map->reached[i][j]) continue;
            map->reached[i][j] = true;
            stack[n++] = i * SIDE + j;
        }
    }
}

static double least_distance(const struct map *map, const double target[2]) {
    double least = (double)INFINITY;
    for (size_t i = 0; i < SIDE; i++)
        for (size_t j = 0; j < SIDE; j++)
            if (map->reached[i][j])
                least = fmin(least, hypot(middle(i, 0) - target[0],
                                          middle(j, 1) - target[1]));
    return least;
}

static double threshold_of(const mjModel *m) {
    const int i = mj_name2id(m, mjOBJ_NUMERIC, "threshold");
    assert_true(i >= 0);
    return m->numeric_data[m->numeric_adr[i]];
}

/* With the lower passage closed as the upper one is, the least distance to the
 * target anywhere that can be reached is the threshold: who comes closer took
 * the lower. With it open the target can be reached. */
static void the_threshold_is_what_the_upper_passage_allows(void **unused) {
    (void)unused;
    struct fixture f = load("quadruped-maze");
    const mjModel *m = model_of(&f);
    const int block = mj_name2id(m, mjOBJ_GEOM, "wall-block");
    assert_true(block >= 0);
    const double *at = m->geom_pos + (ptrdiff_t)3 * block;
    const double *half = m->geom_size + (ptrdiff_t)3 * block;
    const double *target =
        m->site_pos + (ptrdiff_t)3 * mj_name2id(m, mjOBJ_SITE, "target");

    static struct map open, closed;
    draw_walls(&open, m);
    flood(&open);
    assert_true(least_distance(&open, target) < square);
    draw_walls(&closed, m);
    draw_box(&closed, (double[]){at[0], -at[1]}, half);
    flood(&closed);
    const double least = least_distance(&closed, target);
    assert_true(fabs(least - threshold_of(m)) < 1.5 * square);
    unload(&f);
}

/* But for the block at the upper one's far end, up and down are alike. */
static void the_passages_look_alike(void **unused) {
    (void)unused;
    struct fixture f = load("quadruped-maze");
    const mjModel *m = model_of(&f);
    const int block = mj_name2id(m, mjOBJ_GEOM, "wall-block");
    const double *at = m->geom_pos + (ptrdiff_t)3 * block;
    const double *half = m->geom_size + (ptrdiff_t)3 * block;
    static struct map map;
    draw_walls(&map, m);
    size_t unlike = 0, blocked = 0;
    for (size_t i = 0; i < SIDE; i++) {
        for (size_t j = 0; j < SIDE; j++) {
            const bool in = fabs(middle(i, 0) - at[0]) < half[0] &&
                            fabs(middle(j, 1) - at[1]) < half[1];
            unlike += map.wall[i][j] && !map.wall[i][SIDE - 1 - j];
            blocked += in;
        }
    }
    assert_true(blocked > 0);
    assert_int_equal(unlike, blocked);
    unload(&f);
}

static bool touches_a_wall(const struct fixture *f) {
    const mjModel *m = model_of(f);
    const mjData *d = data_of(f);
    for (int i = 0; i < (int)d->ncon; i++)
        if (m->geom_type[d->contact[i].geom1] == mjGEOM_BOX ||
            m->geom_type[d->contact[i].geom2] == mjGEOM_BOX)
            return true;
    return false;
}

/* Put down anywhere along the way to the target, facing anywhere, the body
 * touches no wall. */
static void the_body_fits_along_the_way(void **unused) {
    (void)unused;
    enum { CORNERS = 4 };
    static const struct {
        const char *arena;
        double way[CORNERS][2];
    } ways[] = {
        {"quadruped-umaze", {{0, 0}, {3, 0}, {3, 5}, {0, 5}}},
        {"quadruped-maze", {{0, 0}, {0, -2.75}, {7, -2.75}, {7, 0}}},
    };
    for (size_t k = 0; k < 2; k++) {
        struct fixture f = load(ways[k].arena);
        float obs[S];
        reset(&f, 12, obs);
        mjData *d = data_of(&f);
        for (int i = 0; i < 60; i++) {
            const int leg = i / 20;
            const double share = (i % 20) / 20.0, turn = 0.1 * i;
            const double *a = ways[k].way[leg], *b = ways[k].way[leg + 1];
            mj_resetData(model_of(&f), d);
            for (int j = 0; j < 2; j++)
                d->qpos[j] = a[j] + share * (b[j] - a[j]);
            d->qpos[3] = cos(turn), d->qpos[6] = sin(turn);
            mj_forward(model_of(&f), d);
            assert_false(touches_a_wall(&f));
        }
        d->qpos[0] = -1.0; // a wall stands 0.25 or 0.5 m from here
        mj_forward(model_of(&f), d);
        assert_true(touches_a_wall(&f));
        unload(&f);
    }
}

/* Thrown at a wall it bounces, and stays on its side. */
static void walls_hold(void **unused) {
    (void)unused;
    static const double none[A];
    static const double width[] = {4.0, 1.5};
    for (size_t k = 0; k < 2; k++) {
        struct fixture f = load(arenas[1 + k]);
        for (int side = -1; side <= 1; side += 2) {
            float obs[S];
            double xy[2], farthest = 0.0;
            reset(&f, 11, obs);
            data_of(&f)->qvel[1] = side * 6.0;
            for (int t = 0; t < 60; t++) {
                step(&f, none, obs);
                f.class->position(f.state, xy);
                farthest = fmax(farthest, side * xy[1]);
            }
            assert_true(farthest > 0.3 && farthest < width[k]);
        }
        unload(&f);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_arenas_share_one_observation),
        cmocka_unit_test(it_stands_without_control),
        cmocka_unit_test(a_seed_repeats_an_episode),
        cmocka_unit_test(random_actions_never_crash),
        cmocka_unit_test(only_a_fall_on_the_back_ends),
        cmocka_unit_test(a_blown_up_simulation_is_unstable),
        cmocka_unit_test(speed_any_way_is_paid),
        cmocka_unit_test(closeness_to_the_target_is_paid),
        cmocka_unit_test(the_threshold_is_what_the_upper_passage_allows),
        cmocka_unit_test(the_passages_look_alike),
        cmocka_unit_test(the_body_fits_along_the_way),
        cmocka_unit_test(walls_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
