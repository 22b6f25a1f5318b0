#ifndef LEARNER_HOST_H
#define LEARNER_HOST_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Hosts in tcp addresses. Who is bound to every interface (0.0.0.0, [::] or a star)
 * cannot be reached under that name: another host takes its place.
 */

/* A tcp address whose host is 0.0.0.0, [::] or a star? */
bool host_is_wildcard(const char *address);

/* A bare IP address of this machine only, 127.0.0.0/8 or ::1? */
bool host_is_loopback(const char *ip);

/* The HOST of tcp://HOST:PORT into host (n bytes). 0, -EINVAL (another kind of
 * address) or -ENAMETOOLONG. */
int host_of(char *host, size_t n, const char *address);

/*
 * Put host, a name or a bare IP address, in the place of address' own (n
 * bytes; tcp://HOST:PORT). Returns 0, or -ENAMETOOLONG and address as it was.
 */
int host_replace(char *address, size_t n, const char *host);

/*
 * Where others may reach this machine (n >= 46): the address it would use
 * towards the world (nothing is sent), else any of an interface that is up,
 * else 127.0.0.1.
 */
void host_own(char *ip, size_t n);

#endif
