#ifndef REPLAY_RINGS_H
#define REPLAY_RINGS_H

#include <stddef.h>

/*
 * The ring files of a run that is there already: RUN/replay/shard-<index>.ring,
 * by index.
 */

/* Called with each path (borrowed); not 0 ends it. why (n bytes). */
typedef int rings_on_path(void *user, const char *path, unsigned index,
                          char *why, size_t n);

/*
 * Returns 0, what each returned, or with one line in why (n bytes), "what: "
 * before it: -ENOENT no such run, or one without rings, -ENAMETOOLONG.
 */
int rings_each(const char *run, const char *what, rings_on_path *each,
               void *user, char *why, size_t n);

#endif
