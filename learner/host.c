#include "learner/host.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LONGEST = 512 };

static const char scheme[] = "tcp://";

/* Where ":PORT" begins, or NULL. */
static const char *port_of(const char *address) {
    if (strncmp(address, scheme, strlen(scheme)) != 0) return NULL;
    return strrchr(address + strlen(scheme), ':');
}

int host_of(char *host, size_t n, const char *address) {
    const char *port = port_of(address);
    if (port == NULL) return -EINVAL;
    const char *from = address + strlen(scheme);
    const size_t len = (size_t)(port - from);
    if (len >= n) return -ENAMETOOLONG;
    memcpy(host, from, len);
    host[len] = '\0';
    return 0;
}

bool host_is_wildcard(const char *address) {
    static const char *const all[] = {"0.0.0.0", "[::]", "*"};
    const char *host = address + strlen(scheme), *port = port_of(address);
    if (port == NULL) return false;
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        if (strlen(all[i]) == (size_t)(port - host) &&
            strncmp(all[i], host, strlen(all[i])) == 0) {
            return true;
        }
    }
    return false;
}

/* What a socket that takes both calls an IPv4 peer: ::ffff:10.0.0.1 */
static const char *plain(const char *ip) {
    static const char mapped[] = "::ffff:";
    const bool four =
        strncmp(ip, mapped, strlen(mapped)) == 0 && strchr(ip, '.') != NULL;
    return four ? ip + strlen(mapped) : ip;
}

bool host_is_loopback(const char *ip) {
    return strncmp(ip, "127.", 4) == 0 || strncmp(ip, "::ffff:127.", 11) == 0 ||
           strcmp(ip, "::1") == 0;
}

int host_replace(char *address, size_t n, const char *host) {
    char text[LONGEST];
    const char *port = port_of(address);
    if (port == NULL) return 0;
    host = plain(host);
    const bool bare = strchr(host, ':') != NULL && host[0] != '[';
    const int len = snprintf(text, sizeof(text), "%s%s%s%s%s", scheme,
                             bare ? "[" : "", host, bare ? "]" : "", port);
    if (len >= (int)sizeof(text) || (size_t)len >= n) return -ENAMETOOLONG;
    memcpy(address, text, (size_t)len + 1);
    return 0;
}

/* Towards the default route: connecting a datagram socket sends nothing. */
static bool towards_the_world(char *ip, size_t n) {
    struct sockaddr_in there = {.sin_family = AF_INET, .sin_port = htons(9)};
    struct sockaddr_in here = {.sin_family = AF_UNSPEC};
    socklen_t len = sizeof(here);
    there.sin_addr.s_addr = htonl(0xC6336401); // TEST-NET-2, nobody's
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return false;
    const bool known =
        connect(fd, (const struct sockaddr *)&there, sizeof(there)) == 0 &&
        getsockname(fd, (struct sockaddr *)&here, &len) == 0 &&
        inet_ntop(AF_INET, &here.sin_addr, ip, (socklen_t)n) != NULL;
    close(fd);
    return known && !host_is_loopback(ip);
}

static bool of_an_interface(char *ip, size_t n) {
    struct ifaddrs *list;
    bool found = false;
    if (getifaddrs(&list) != 0) return false;
    for (const struct ifaddrs *i = list; i != NULL && !found; i = i->ifa_next) {
        if (i->ifa_addr == NULL || i->ifa_addr->sa_family != AF_INET ||
            (i->ifa_flags & IFF_UP) == 0 || (i->ifa_flags & IFF_LOOPBACK) != 0)
            continue;
        struct sockaddr_in here;
        memcpy(&here, i->ifa_addr, sizeof(here));
        found = inet_ntop(AF_INET, &here.sin_addr, ip, (socklen_t)n) != NULL;
    }
    freeifaddrs(list);
    return found;
}

void host_own(char *ip, size_t n) {
    if (towards_the_world(ip, n) || of_an_interface(ip, n)) return;
    snprintf(ip, n, "127.0.0.1");
}
