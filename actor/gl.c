#include "actor/gl.h"

#include <assert.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* What we need of EGL/egl.h, EGL/eglext.h and GL/osmesa.h, so that these need
 * not be there. EGLBoolean and GLboolean are unsigned and unsigned char. */
enum {
    EGL_NONE = 0x3038,
    EGL_OPENGL_API = 0x30A2,
    EGL_PLATFORM_SURFACELESS = 0x31DD,
    OSMESA_RGBA = 0x1908,
    GL_UNSIGNED_BYTE = 0x1401,
    OSMESA_SIDE = 4, /* pixels */
};

static const char egl_file[] = "libEGL.so.1";
static const char osmesa_file[] = "libOSMesa.so.8";

struct egl {
    void *(*get_proc_address)(const char *name);
    unsigned (*initialize)(void *display, int *major, int *minor);
    unsigned (*bind_api)(unsigned api);
    void *(*create_context)(void *display, void *config, void *share,
                            const int *attributes);
    unsigned (*make_current)(void *display, void *draw, void *read,
                             void *context);
    unsigned (*destroy_context)(void *display, void *context);
    unsigned (*terminate)(void *display);
};

struct osmesa {
    void *(*create_context)(unsigned format, int depth_bits, int stencil_bits,
                            int accumulation_bits, void *share);
    unsigned char (*make_current)(void *context, void *buffer, unsigned type,
                                  int width, int height);
    void (*destroy_context)(void *context);
};

/* Into *function, a pointer to a function. */
static bool find(void *library, const char *name, void *function) {
    void *found = dlsym(library, name);
    memcpy(function, &found, sizeof(found));
    return found != NULL;
}

static bool find_egl(void *library, struct egl *egl) {
    return find(library, "eglGetProcAddress", &egl->get_proc_address) &&
           find(library, "eglInitialize", &egl->initialize) &&
           find(library, "eglBindAPI", &egl->bind_api) &&
           find(library, "eglCreateContext", &egl->create_context) &&
           find(library, "eglMakeCurrent", &egl->make_current) &&
           find(library, "eglDestroyContext", &egl->destroy_context) &&
           find(library, "eglTerminate", &egl->terminate);
}

static bool find_osmesa(void *library, struct osmesa *osmesa) {
    return find(library, "OSMesaCreateContextExt", &osmesa->create_context) &&
           find(library, "OSMesaMakeCurrent", &osmesa->make_current) &&
           find(library, "OSMesaDestroyContext", &osmesa->destroy_context);
}

static void *surfaceless_display(const struct egl *egl) {
    void *(*get)(unsigned platform, void *native, const int *attributes);
    void *found = egl->get_proc_address("eglGetPlatformDisplayEXT");
    memcpy(&get, &found, sizeof(found));
    return get ? get(EGL_PLATFORM_SURFACELESS, NULL, NULL) : NULL;
}

static void close_egl(struct gl *gl) {
    struct egl egl;
    if (!gl->library || !find_egl(gl->library, &egl)) return;
    if (gl->context) {
        egl.make_current(gl->display, NULL, NULL, NULL);
        egl.destroy_context(gl->display, gl->context);
    }
    if (gl->display) egl.terminate(gl->display);
}

/* NULL, or what is missing. */
static const char *open_egl(struct gl *gl) {
    // to itself at first: MuJoCo asks the first library that it can see
    gl->library = dlopen(egl_file, RTLD_NOW | RTLD_LOCAL);
    struct egl egl;
    if (!gl->library) return "there is no libEGL.so.1";
    if (!find_egl(gl->library, &egl)) return "libEGL.so.1 lacks functions";
    gl->display = surfaceless_display(&egl);
    if (!gl->display || !egl.initialize(gl->display, NULL, NULL))
        return "libEGL.so.1 cannot do without a screen";
    const int none = EGL_NONE;
    if (egl.bind_api(EGL_OPENGL_API))
        gl->context = egl.create_context(gl->display, NULL, NULL, &none);
    if (!gl->context || !egl.make_current(gl->display, NULL, NULL, gl->context))
        return "libEGL.so.1 has no OpenGL";
    dlopen(egl_file, RTLD_NOW | RTLD_GLOBAL | RTLD_NOLOAD);
    gl->kind = "EGL";
    return NULL;
}

static void close_osmesa(struct gl *gl) {
    struct osmesa osmesa;
    if (gl->library && gl->context && find_osmesa(gl->library, &osmesa))
        osmesa.destroy_context(gl->context);
}

/* NULL, or what is missing. */
static const char *open_osmesa(struct gl *gl) {
    gl->library = dlopen(osmesa_file, RTLD_NOW | RTLD_GLOBAL);
    struct osmesa osmesa;
    if (!gl->library) return "there is no libOSMesa.so.8";
    if (!find_osmesa(gl->library, &osmesa))
        return "libOSMesa.so.8 lacks functions";
    gl->context = osmesa.create_context(OSMESA_RGBA, 24, 8, 0, NULL);
    static_assert(sizeof(gl->unused) == (size_t)4 * OSMESA_SIDE * OSMESA_SIDE,
                  "a picture of four bytes a pixel");
    if (!gl->context ||
        !osmesa.make_current(gl->context, gl->unused, GL_UNSIGNED_BYTE,
                             OSMESA_SIDE, OSMESA_SIDE))
        return "libOSMesa.so.8 has no OpenGL";
    gl->kind = "OSMesa";
    return NULL;
}

int gl_open(struct gl *gl, char *why, size_t n) {
    *gl = (struct gl){0};
    const char *egl = open_egl(gl);
    if (!egl) return 0;
    close_egl(gl);
    *gl = (struct gl){0};
    const char *osmesa = open_osmesa(gl);
    if (!osmesa) return 0;
    close_osmesa(gl);
    *gl = (struct gl){0};
    snprintf(why, n,
             "nothing to draw with: %s and %s; install Debian's libegl1 and "
             "libegl-mesa0 (deploy/install.sh --video) or libosmesa6",
             egl, osmesa);
    return -ENODEV;
}

void gl_close(struct gl *gl) {
    if (gl->kind && strcmp(gl->kind, "EGL") == 0) close_egl(gl);
    if (gl->kind && strcmp(gl->kind, "OSMesa") == 0) close_osmesa(gl);
    *gl = (struct gl){0};
}
