#ifndef COMMON_MOMENTS_H
#define COMMON_MOMENTS_H

#include <stddef.h>

/*
 * Running mean and deviation of observations, in double, for observation
 * normalisation. The networks see (s - shift) * scale (policy_normalise()).
 */
struct moments {
    size_t S;
    double count;         /* observations so far */
    double *mean, *m2;    /* (S) mean; sum of squared deviations from it */
    float *shift, *scale; /* (S) as floats: the mean, 1 / deviation */
    void *block;          /* private */
};

/* 0 or -ENOMEM. Without observations shift is 0 and scale 1. A zeroed one may
 * be finished. */
int moments_init(struct moments *moments, size_t S);
void moments_finish(struct moments *moments);

/* Count s (n, S) in (Chan et al. 1979). */
void moments_add(struct moments *moments, const float *s, size_t n);

/* shift and scale after count, mean and m2 were written from outside. */
void moments_refresh(struct moments *moments);

#endif
