#ifndef PROTO_LIBRARIES_H
#define PROTO_LIBRARIES_H

#include <stddef.h>

/* Versions of what every conversation runs on, for config_library.version. */

/* "4.3.4, CURVE by libsodium 1.0.18", "..., without CURVE" or, where the cipher
 * is libzmq's own or does not tell, "..., CURVE". */
void libraries_zmq(char *text, size_t n);

/* "1.44.2" */
void libraries_uv(char *text, size_t n);

#endif
