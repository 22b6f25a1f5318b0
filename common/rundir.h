#ifndef COMMON_RUNDIR_H
#define COMMON_RUNDIR_H

#include <stddef.h>

/*
 * A run on disk (DESIGN.md, section 5): where its files are and how small text
 * files are replaced whole.
 *
 *   RUN/config.ini  address  state  lock  progress.csv  evaluation.json
 *   RUN/checkpoints/<generation>-<updates>.safetensors (10 and 12 digits)
 *   RUN/replay/shard-<index>.ring (or in replay_dir)  logs/  figures/  video/  bin/
 *   RUN/tensorboard/events.out.tfevents.<generation>.softq (10 digits)
 *   RUN/export/sampler.onnx  q.onnx  sampler.h
 *   RUN/sock -> socket folder
 */

/* RUN/<rest> into path; -ENAMETOOLONG. */
int rundir_path(char *path, size_t n, const char *run, const char *rest);

/* Create RUN and its folders where missing. 0 or a negative errno. */
int rundir_create(const char *run);

/*
 * The 0700 folder of the run's ipc sockets, created when missing: below
 * $XDG_RUNTIME_DIR, else /tmp/softq-<uid>; its name is a hash of RUN's real
 * path, short enough for sun_path. Returns 0 or a negative errno (-EPERM: it
 * exists and is not ours or not 0700).
 */
int rundir_sockets(char *path, size_t n, const char *run);

/* Replace RUN/<rest> by text: temporary file, fsync, rename, fsync folder. */
int rundir_write(const char *run, const char *rest, const char *text,
                 size_t len);

/*
 * RUN/address holds one "name address" a line. Find name's ("learner",
 * "http"). Returns 0, -ENOENT (no file or no such name), other errno.
 */
int rundir_address(char *address, size_t n, const char *run, const char *name);

/* Path of the newest checkpoint; -ENOENT when there is none. */
int rundir_newest_checkpoint(char *path, size_t n, const char *run);

#endif
