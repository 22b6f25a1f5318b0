#include "proto/libraries.h"

#include <dlfcn.h>
#include <stdio.h>

#include <uv.h>
#include <zmq.h>

/* libzmq has it loaded, and we are not linked to it. */
static const char *sodium_version(void) {
    const char *(*version)(void);
    *(void **)&version = dlsym(RTLD_DEFAULT, "sodium_version_string");
    return version != NULL ? version() : NULL;
}

void libraries_zmq(char *text, size_t n) {
    int major, minor, patch;
    zmq_version(&major, &minor, &patch);
    const char *sodium = sodium_version();
    const int curve = zmq_has("curve");
    snprintf(text, n, "%d.%d.%d, %s%s%s", major, minor, patch,
             curve ? "CURVE" : "without CURVE",
             curve && sodium != NULL ? " by libsodium " : "",
             curve && sodium != NULL ? sodium : "");
}

void libraries_uv(char *text, size_t n) {
    snprintf(text, n, "%s", uv_version_string());
}
