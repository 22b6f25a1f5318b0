#ifndef REPLAY_EXPORTING_H
#define REPLAY_EXPORTING_H

#include "common/config.h"

/* softq-replay --export=RUN --out=FILE.npz: say how it goes, return the exit
 * status. */
int exporting_run(const struct config *config);

#endif
