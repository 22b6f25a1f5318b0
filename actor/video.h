#ifndef ACTOR_VIDEO_H
#define ACTOR_VIDEO_H

#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Frames into a file by a child process, ffmpeg: H.264 in a name that ends in
 * .mp4, one picture in a name that ends in .png. The file is written under
 * NAME.part.mp4 beside it and renamed when it is whole.
 *
 *   W width   H height, pixels, even in a .mp4
 */
enum { VIDEO_PATH = 1024, VIDEO_MOST = 4096 /* of W and H */ };

struct video {
    /* read-only */
    uint64_t frames; /* written */

    /* private */
    char path[VIDEO_PATH], part[VIDEO_PATH];
    size_t bytes; /* of a frame */
    pid_t child;  /* 0: none */
    int input;    /* its standard input */
    int said;     /* what it says, a file in memory */
};

/* "640x480" into W and H, both even and in [16, VIDEO_MOST]; 0 or -EINVAL. */
int video_size(const char *text, size_t *width, size_t *height);

/* Frames a second that a video of steps of dt (s) has: one a step, or one
 * every so many where that would be more than 60. */
double video_rate(double dt);

/*
 * Frames that a video of rate (1/s) has shown after so many steps of dt (s)
 * each: the first one at the start, then each when its time has come.
 */
uint64_t video_due(uint64_t steps, double dt, double rate);

/* The name that path's file has until it is whole; 0, -EINVAL (neither .mp4
 * nor .png) or -ENAMETOOLONG. */
int video_part(char *part, size_t n, const char *path);

/*
 * Start ffmpeg for frames of W x H at rate (1/s). Returns 0 or a negative
 * errno, with one line in why (n bytes): -ENOENT when there is no ffmpeg.
 * A zeroed one, and one whose open failed, may be abandoned.
 */
int video_open(struct video *video, const char *path, size_t width,
               size_t height, double rate, char *why, size_t n);

/*
 * Write frame (H, W, 3). Waits for ffmpeg, but not once *stop is set. Returns
 * 0, -EINTR (stopped), or a negative errno with one line in why: what ffmpeg
 * says (a full disk, say). Then only video_abandon() may follow.
 */
int video_write(struct video *video, const unsigned char *frame,
                const volatile sig_atomic_t *stop, char *why, size_t n);

/* Let ffmpeg finish and give the file its name; as video_write(). */
int video_close(struct video *video, const volatile sig_atomic_t *stop,
                char *why, size_t n);

/* End ffmpeg and remove the file that is not whole. */
void video_abandon(struct video *video);

#endif
