#ifndef ACTOR_C_HEADER_H
#define ACTOR_C_HEADER_H

#include <stdio.h>

#include "actor/export.h"

/*
 * The sampler as one header of C99 (and C++) that needs nothing but <math.h>:
 * its weights, its noise set if it has one, and
 *
 *   sampler_act(observation (S), noise (A), action out (A))
 *
 * with action in the motors' ranges. Errors are out's.
 */
void c_header_write(const struct export *export, FILE *out);

#endif
