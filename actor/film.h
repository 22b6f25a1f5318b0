#ifndef ACTOR_FILM_H
#define ACTOR_FILM_H

#include <stddef.h>

#include "common/config.h"
#include "common/policy.h"

/*
 * Episodes as a video, and a task as a picture: an environment of its own is
 * played by policy (NULL: uniform random actions), drawn (render.h) and
 * encoded (video.h). A video runs in the simulation's own time, whatever its
 * frames a second, and rests on each episode's last frame for half a second.
 */

/*
 * config->video_episodes of config->task into config->video ("auto":
 * RUN/video/<checkpoint>.mp4, with checkpoint the file's name). Shows a
 * counter on a terminal and a line at the end. Ctrl-C, SIGTERM and SIGHUP leave
 * no file and then end the process as they would have. Returns 0, or a
 * negative errno with one line in why (n bytes), as rollout_init(),
 * render_new() and video_write().
 */
int film_video(const struct config *config, const struct policy *policy,
               const char *checkpoint, char *why, size_t n);

/* config->task config->picture_after seconds into an episode, into
 * config->picture; the same. */
int film_picture(const struct config *config, const struct policy *policy,
                 char *why, size_t n);

/* softq-actor --picture=FILE.png without a run: random actions. The exit
 * status, any failure logged in one line. */
int film_task(const struct config *config);

#endif
