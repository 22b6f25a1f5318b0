/*
 * The sampler's actions by common/policy.h, for a client in another language to
 * compare with. Standard input: S, A, H, n, whether there are mean and scale
 * (uint32 each), then as float32 phi (P), s (n, S), xi (n, A), mean (S), scale
 * (S). Standard output: a (n, A).
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/policy.h"

static float *take(size_t n) {
    float *x = calloc(n + 1, sizeof *x);
    if (x == NULL || fread(x, sizeof *x, n, stdin) != n) exit(1);
    return x;
}

int main(void) {
    uint32_t head[5];
    if (fread(head, sizeof head, 1, stdin) != 1) return 1;
    const size_t S = head[0], A = head[1], n = head[3];
    struct policy policy = {.shape = {S, A, head[2], A}};
    struct mlp_work work;
    policy.phi = take(mlp_parameters(&policy.shape));
    const float *s = take(n * S), *xi = take(n * A);
    if (head[4] != 0) {
        policy.mean = take(S);
        policy.scale = take(S);
    }
    float *x = calloc(n * S, sizeof *x), *a = calloc(n * A, sizeof *a);
    if (x == NULL || a == NULL ||
        mlp_work_init(&work, &policy.shape, n, n) != 0)
        return 1;
    policy_observe(&policy, x, s, n);
    policy_act(&policy.shape, a, NULL, policy.phi, x, xi, n, 1, &work);
    mlp_work_finish(&work);
    return fwrite(a, sizeof *a, n * A, stdout) == n * A ? 0 : 1;
}
