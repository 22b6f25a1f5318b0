/* What stands in the quadruped's way. */
#include "tests/unit/robot.h"

enum { S = 29, A = 8 };

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
    struct robot f = robot_load("quadruped-maze");
    const mjModel *m = f.m;
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
    robot_unload(&f);
}

/* But for the block at the upper one's far end, up and down are alike. */
static void the_passages_look_alike(void **unused) {
    (void)unused;
    struct robot f = robot_load("quadruped-maze");
    const mjModel *m = f.m;
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
    robot_unload(&f);
}

static bool touches_a_wall(const struct robot *f) {
    const mjModel *m = f->m;
    const mjData *d = f->d;
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
        struct robot f = robot_load(ways[k].arena);
        float obs[S];
        robot_reset(&f, 12, obs);
        mjData *d = f.d;
        for (int i = 0; i < 60; i++) {
            const int leg = i / 20;
            const double share = (i % 20) / 20.0, turn = 0.1 * i;
            const double *a = ways[k].way[leg], *b = ways[k].way[leg + 1];
            mj_resetData(f.m, d);
            for (int j = 0; j < 2; j++)
                d->qpos[j] = a[j] + share * (b[j] - a[j]);
            d->qpos[3] = cos(turn), d->qpos[6] = sin(turn);
            mj_forward(f.m, d);
            assert_false(touches_a_wall(&f));
        }
        d->qpos[0] = -1.0; // a wall stands 0.25 or 0.5 m from here
        mj_forward(f.m, d);
        assert_true(touches_a_wall(&f));
        robot_unload(&f);
    }
}

/* Thrown at a wall it bounces, and stays on its side. */
static void walls_hold(void **unused) {
    (void)unused;
    static const double none[A];
    static const double width[] = {4.0, 1.5};
    static const char *const halls[] = {"quadruped-hall-wide",
                                        "quadruped-hall-narrow"};
    for (size_t k = 0; k < 2; k++) {
        struct robot f = robot_load(halls[k]);
        for (int side = -1; side <= 1; side += 2) {
            float obs[S];
            double xy[2], farthest = 0.0;
            robot_reset(&f, 11, obs);
            f.d->qvel[1] = side * 6.0;
            for (int t = 0; t < 60; t++) {
                robot_step(&f, none, obs);
                f.class->position(f.state, xy);
                farthest = fmax(farthest, side * xy[1]);
            }
            assert_true(farthest > 0.3 && farthest < width[k]);
        }
        robot_unload(&f);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_threshold_is_what_the_upper_passage_allows),
        cmocka_unit_test(the_passages_look_alike),
        cmocka_unit_test(the_body_fits_along_the_way),
        cmocka_unit_test(walls_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
