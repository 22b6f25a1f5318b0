#ifndef ACTOR_ONNX_H
#define ACTOR_ONNX_H

#include <stddef.h>
#include <stdint.h>

#include "actor/export.h"

/*
 * ONNX models (opset 13, for any runtime since 2021) of Sub, Mul, Clip, MatMul,
 * Add, Relu, Tanh and Min; every batch size N. Their metadata say whence they
 * come and how to draw the noise.
 *
 *   S observation   A action
 */

/*
 * The sampler. Inputs observation (N, S), as the task gives it, and noise
 * (N, A); output action (N, A), in the motors' ranges.
 */
int onnx_sampler(const struct export *export, uint8_t **data, size_t *len);

/*
 * snapshot_value(): inputs observation (N, S) and action (N, A) in [-1, 1], not
 * yet scaled to the motors; output q (N, 1).
 */
int onnx_q(const struct export *export, uint8_t **data, size_t *len);

/* Both: 0 or -ENOMEM; *data (*len) is malloc'ed, the caller's. */

#endif
