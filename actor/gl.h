#ifndef ACTOR_GL_H
#define ACTOR_GL_H

#include <stddef.h>

/*
 * An OpenGL context without a screen, for MuJoCo's renderer. Its library is
 * opened when a picture is asked for, so that neither the build nor an actor
 * that acts needs it: Mesa's EGL on no surface (Debian's libegl1, with
 * libegl-mesa0), else OSMesa (libosmesa6). Both draw on the CPU where there is
 * no GPU. One at a time a process, current in the thread that opened it.
 */
struct gl {
    /* read-only */
    const char *kind; /* "EGL" or "OSMesa" */

    /* private */
    void *library, *display, *context;
    unsigned char unused[64]; /* OSMesa wants a picture of its own: 4 x 4 */
};

/*
 * Open and make current. Returns 0, or -ENODEV with one line in why (n bytes):
 * what was tried and what to install. A zeroed one, and one whose open failed,
 * may be closed.
 */
int gl_open(struct gl *gl, char *why, size_t n);

/* The library itself stays: Mesa does not like to be unloaded. */
void gl_close(struct gl *gl);

#endif
