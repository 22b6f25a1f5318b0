#include "actor/turns.h"

#include <math.h>

enum { LONGEST_MS = 10000 };
/* Shorter ones would cost more than they leave to others. */
static const uint64_t least_ns = 20000000;

void turns_init(struct turns *turns, uint64_t n, size_t cores) {
    const double awake = (double)TURNS_A_CORE * (double)cores;
    *turns = (struct turns){0};
    if ((double)n > awake) turns->rest = (double)n / awake - 1.0;
}

double turns_crowd(const struct turns *turns) {
    return 1.0 + turns->rest;
}

void turns_begin(struct turns *turns, uint64_t now) {
    if (turns->began == 0) turns->began = now;
}

/* The end of a rest, where steps begin, may still lie ahead. */
static uint64_t since(const struct turns *turns, uint64_t now) {
    return turns->began != 0 && now > turns->began ? now - turns->began : 0;
}

void turns_end(struct turns *turns, uint64_t now) {
    if (turns->began != 0) turns->taken += since(turns, now);
    turns->began = 0;
}

uint64_t turns_rest(struct turns *turns, uint64_t now, struct rng *chance) {
    const double taken = (double)(turns->taken + since(turns, now));
    const double mean = turns->rest * taken;
    if (mean < (double)least_ns) return 0;
    const double ms = -log(rng_uniform(chance)) * mean * 1e-6;
    const uint64_t whole = ms < LONGEST_MS ? 1 + (uint64_t)ms : LONGEST_MS;
    turns->taken = 0;
    turns->began = now + whole * 1000000;
    return whole;
}
