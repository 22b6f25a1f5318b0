/*
 * What our own code makes of a run's newest checkpoint, for compare.py:
 *
 *   export_driver RUN
 *
 * prints "S A" and then reads rows of S + A + A floats (observation, noise,
 * action) and writes rows of A + 1 (action in the motors' ranges, Q), raw and
 * little-endian.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actor/snapshot.h"
#include "actor/task.h"

struct driver {
    struct snapshot snapshot;
    struct env_spec spec;
    float *row, *out, *x; /* (S + 2 A) (A + 1) (S) */
};

static int fail(const char *why) {
    fprintf(stderr, "export_driver: %s\n", why);
    return 1;
}

static int answer(struct driver *d, struct mlp_work *work) {
    const struct policy *policy = &d->snapshot.policy;
    const size_t S = policy->shape.S, A = policy->shape.X;
    const float *noise = d->row + S;
    policy_observe(policy, d->x, d->row, 1);
    policy_act(&policy->shape, d->out, NULL, policy->phi, d->x, noise, 1, 1,
               work);
    for (size_t i = 0; i < A; i++)
        d->out[i] = (float)env_scale(env_range(&d->spec, i), (double)d->out[i]);
    return snapshot_value(&d->snapshot, d->out + A, d->row, noise + A, 1);
}

static int serve(struct driver *d) {
    const struct mlp_shape *shape = &d->snapshot.policy.shape;
    const size_t in = shape->S + 2 * shape->X, out = shape->X + 1;
    struct mlp_work work;
    if (mlp_work_init(&work, shape, 1, 1)) return fail("out of memory");
    printf("%zu %zu\n", shape->S, shape->X);
    fflush(stdout);
    int status = 0;
    while (status == 0 && fread(d->row, sizeof(float), in, stdin) == in) {
        if (answer(d, &work) ||
            fwrite(d->out, sizeof(float), out, stdout) != out)
            status = fail("no answer");
    }
    mlp_work_finish(&work);
    return status;
}

int main(int argc, char **argv) {
    struct driver d = {0};
    struct config config;
    struct task task;
    char path[CONFIG_PATH_LEN + 16], why[1024] = "";
    void *model = NULL;
    if (argc != 2) return fail("usage: export_driver RUN");
    config_defaults(&config);
    snprintf(path, sizeof(path), "%.500s/config.ini", argv[1]);
    if (config_read_file(&config, path, why, sizeof(why))) return fail(why);
    snprintf(config.run_dir, sizeof(config.run_dir), "%.500s", argv[1]);
    if (snapshot_read(&d.snapshot, argv[1], NULL, why, sizeof(why)) ||
        task_load(&task, &model, &d.spec, &config, why, sizeof(why)))
        return fail(why);
    const size_t S = d.spec.obs_dim, A = d.spec.act_dim;
    d.row = calloc(S + 2 * A + A + 1 + S, sizeof(*d.row));
    d.out = d.row + S + 2 * A;
    d.x = d.out + A + 1;
    const int status = d.row ? serve(&d) : fail("out of memory");
    free(d.row);
    snapshot_finish(&d.snapshot);
    task.class->unload(model);
    return status;
}
