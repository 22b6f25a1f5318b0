#ifndef REPLAY_EXTRACTING_H
#define REPLAY_EXTRACTING_H

#include "common/config.h"

/* softq-replay --export=RUN --out=FILE.npz: say how it goes, return the exit
 * status. */
int extracting_run(const struct config *config);

#endif
