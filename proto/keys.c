#include "proto/keys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zmq.h>

#include "common/log.h"

enum { BYTES = 32, Z85_LEN = 41, MOST_ALLOWED = 2 << 20 /* bytes */ };

void keys_hex(char text[WIRE_KEY_LEN], const unsigned char bytes[32]) {
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < BYTES; i++) {
        text[2 * i] = digits[bytes[i] >> 4];
        text[2 * i + 1] = digits[bytes[i] & 15];
    }
    text[WIRE_KEY_LEN - 1] = '\0';
}

static unsigned char nibble(char c) {
    return (unsigned char)(c <= '9' ? c - '0' : c - 'a' + 10);
}

/* text: wire_key_ok() and not empty. */
static void from_hex(unsigned char bytes[32], const char *text) {
    for (size_t i = 0; i < BYTES; i++) {
        bytes[i] =
            (unsigned char)(nibble(text[2 * i]) << 4 | nibble(text[2 * i + 1]));
    }
}

static int path_of(char *path, size_t n, const char *folder, const char *name) {
    const int len = snprintf(path, n, "%s/%s", folder, name);
    return len >= 0 && (size_t)len < n ? 0 : -ENAMETOOLONG;
}

/* ---- reading ---- */

/* Ours, and nobody else's to read. 0 or a negative errno, logged. */
static int check_private(const char *path, const struct stat *info) {
    const bool folder = S_ISDIR(info->st_mode);
    if (info->st_uid != geteuid()) {
        log_error("%s belongs to user %ld, not to us: keys are of the user "
                  "who runs softq (deploy/keys.sh new makes them)",
                  path, (long)info->st_uid);
        return -EPERM;
    }
    if ((info->st_mode & 077) != 0) {
        log_error("%s may be %s by others (mode %03o): chmod %s %s", path,
                  folder ? "entered" : "read", info->st_mode & 0777u,
                  folder ? "700" : "600", path);
        return -EACCES;
    }
    return 0;
}

static int cannot_read(const char *path, int rc) {
    log_error("%s: %s; deploy/keys.sh new makes a host's keys", path,
              strerror(-rc));
    return rc;
}

/* The 64 digits of a file of one line. */
static int read_secret(const char *path, unsigned char bytes[32]) {
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) return cannot_read(path, -errno);
    struct stat info;
    char text[WIRE_KEY_LEN + 1] = "";
    int rc = fstat(fd, &info) == 0 ? 0 : cannot_read(path, -errno);
    if (rc == 0) rc = check_private(path, &info);
    if (rc == 0) {
        const ssize_t got = read(fd, text, sizeof(text) - 1);
        text[got > 0 ? got : 0] = '\0';
        text[strcspn(text, "\n")] = '\0';
        if (got < 0) {
            rc = cannot_read(path, -errno);
        } else if (!wire_key_ok(text) || text[0] == '\0') {
            log_error("%s does not hold 64 hexadecimal digits (0-9 a-f): it is "
                      "no secret key of ours; deploy/keys.sh new makes one",
                      path);
            rc = -EBADMSG;
        } else {
            from_hex(bytes, text);
        }
    }
    close(fd);
    explicit_bzero(text, sizeof(text));
    return rc;
}

static int find_public(struct keys *keys) {
    char secret[Z85_LEN], public[Z85_LEN];
    unsigned char bytes[BYTES];
    zmq_z85_encode(secret, keys->secret_bytes, BYTES);
    int rc = zmq_curve_public(public, secret) == 0 ? 0 : -zmq_errno();
    explicit_bzero(secret, sizeof(secret));
    if (rc != 0) {
        log_error("this libzmq has no CURVE (%s): keys cannot be used",
                  zmq_strerror(-rc));
        return rc;
    }
    zmq_z85_decode(bytes, public);
    keys_hex(keys->public, bytes);
    return 0;
}

int keys_load(struct keys *keys, const char *folder) {
    *keys = (struct keys){0};
    if (folder[0] == '\0') return 0;
    char path[sizeof(keys->folder) + 16], why[512];
    struct stat info;
    if (strlen(folder) >= sizeof(keys->folder)) {
        return cannot_read(folder, -ENAMETOOLONG);
    }
    strcpy(keys->folder, folder);
    if (stat(folder, &info) != 0) return cannot_read(folder, -errno);
    int rc = check_private(folder, &info);
    if (rc == 0) rc = path_of(path, sizeof(path), folder, "secret");
    if (rc == 0) rc = read_secret(path, keys->secret_bytes);
    if (rc == 0) rc = find_public(keys);
    if (rc != 0) return rc;

    struct allowed allowed;
    rc = keys_allowed(keys, &allowed, why, sizeof(why));
    if (rc == -ENOENT) return 0; // a server will say so
    if (rc != 0) {
        log_error("%s", why);
        return rc;
    }
    keys_learner(keys, &allowed);
    allowed_finish(&allowed);
    return 0;
}

void keys_learner(struct keys *keys, const struct allowed *allowed) {
    const bool named = allowed->learner >= 0;
    snprintf(keys->learner, sizeof(keys->learner), "%s",
             named ? allowed->list[allowed->learner].key : "");
}

static int read_allowed(struct allowed *allowed, const char *path, char *why,
                        size_t n) {
    *allowed = (struct allowed){.learner = -1};
    FILE *in = fopen(path, "re");
    int rc = in == NULL ? -errno : 0;
    char *text = rc == 0 ? malloc(MOST_ALLOWED) : NULL;
    if (rc == 0 && text == NULL) rc = -ENOMEM;
    if (rc != 0) {
        snprintf(why, n,
                 "%s: %s; deploy/keys.sh allow KEY NAME ROLES says who may "
                 "take part",
                 path, strerror(-rc));
    } else {
        const size_t len = fread(text, 1, MOST_ALLOWED, in);
        if (ferror(in)) {
            rc = -EIO;
            snprintf(why, n, "%s: %s", path, strerror(-rc));
        } else if (len == MOST_ALLOWED) {
            rc = -EFBIG;
            snprintf(why, n, "%s: %d bytes or more, fewer are allowed", path,
                     MOST_ALLOWED);
        } else {
            rc = allowed_parse(allowed, text, len, path, why, n);
        }
    }
    free(text);
    if (in != NULL) fclose(in);
    return rc;
}

int keys_allowed(const struct keys *keys, struct allowed *allowed, char *why,
                 size_t n) {
    char path[sizeof(keys->folder) + 16];
    (void)path_of(path, sizeof(path), keys->folder, "allowed");
    return read_allowed(allowed, path, why, n);
}

int keys_check(const char *path) {
    struct keys keys = {0};
    struct allowed allowed;
    struct stat info;
    char why[512];
    const bool folder = stat(path, &info) == 0 && S_ISDIR(info.st_mode);
    int rc = folder ? keys_load(&keys, path) : 0;
    keys_finish(&keys);
    if (rc != 0) return rc;
    if (folder) strcpy(keys.folder, path); // keys_load() has measured it
    rc = folder ? keys_allowed(&keys, &allowed, why, sizeof(why))
                : read_allowed(&allowed, path, why, sizeof(why));
    if (rc == 0 && folder && allowed.learner < 0) {
        rc = -ENOKEY;
        snprintf(why, sizeof(why),
                 "no line of %s/allowed has the role learner: nobody would "
                 "know which key is the learner's",
                 path);
    }
    if (rc != 0) log_error("%s", why);
    allowed_finish(&allowed);
    return rc;
}

void keys_finish(struct keys *keys) {
    explicit_bzero(keys, sizeof(*keys));
}

/* ---- making ---- */

/* A new file, whole or not at all. */
static int write_new(const char *path, const char *text, mode_t mode) {
    const int fd =
        open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd < 0) return -errno;
    const size_t len = strlen(text);
    int rc = 0;
    if (write(fd, text, len) != (ssize_t)len) {
        rc = errno != 0 ? -errno : -EIO;
    } else if (fsync(fd) != 0) {
        rc = -errno;
    }
    if (close(fd) != 0 && rc == 0) rc = -errno;
    if (rc != 0) unlink(path);
    return rc;
}

/* public and secret as a line each. */
static int new_pair(char public[WIRE_KEY_LEN + 1],
                    char secret[WIRE_KEY_LEN + 1]) {
    char z85_public[Z85_LEN], z85_secret[Z85_LEN];
    unsigned char bytes[BYTES];
    if (zmq_curve_keypair(z85_public, z85_secret) != 0) return -zmq_errno();
    zmq_z85_decode(bytes, z85_public);
    keys_hex(public, bytes);
    zmq_z85_decode(bytes, z85_secret);
    keys_hex(secret, bytes);
    strcat(public, "\n");
    strcat(secret, "\n");
    explicit_bzero(z85_secret, sizeof(z85_secret));
    explicit_bzero(bytes, sizeof(bytes));
    return 0;
}

int keys_make(const char *folder, char public[WIRE_KEY_LEN]) {
    char path[640], line[WIRE_KEY_LEN + 1], secret[WIRE_KEY_LEN + 1];
    struct stat info;
    if (mkdir(folder, 0700) != 0 && errno != EEXIST) {
        return cannot_read(folder, -errno);
    }
    if (stat(folder, &info) != 0) return cannot_read(folder, -errno);
    int rc = check_private(folder, &info);
    if (rc != 0) return rc;
    if (path_of(path, sizeof(path), folder, "secret") != 0) {
        return cannot_read(folder, -ENAMETOOLONG);
    }
    rc = new_pair(line, secret);
    if (rc == 0) rc = write_new(path, secret, 0600);
    explicit_bzero(secret, sizeof(secret));
    if (rc == -EEXIST) {
        log_error("%s is there already: this host has its keys; a new pair "
                  "needs another folder, or that file removed (whoever allows "
                  "the old key must then allow the new one)",
                  path);
        return rc;
    }
    if (rc == 0) {
        (void)path_of(path, sizeof(path), folder, "public");
        unlink(path); // of a pair whose secret is gone
        rc = write_new(path, line, 0644);
    }
    if (rc != 0) {
        log_error("%s: %s", path, strerror(-rc));
        return rc;
    }
    memcpy(public, line, WIRE_KEY_LEN - 1);
    public[WIRE_KEY_LEN - 1] = '\0';
    return 0;
}

/* ---- sockets ---- */

static int set_key(void *sock, int option, const unsigned char bytes[32]) {
    return zmq_setsockopt(sock, option, bytes, BYTES) == 0 ? 0 : -zmq_errno();
}

int keys_serve(const struct keys *keys, void *sock) {
    static const char domain[] = "softq";
    const int yes = 1;
    int rc = set_key(sock, ZMQ_CURVE_SECRETKEY, keys->secret_bytes);
    if (rc == 0 &&
        (zmq_setsockopt(sock, ZMQ_CURVE_SERVER, &yes, sizeof(yes)) != 0 ||
         zmq_setsockopt(sock, ZMQ_ZAP_DOMAIN, domain, strlen(domain)) != 0)) {
        rc = -zmq_errno();
    }
    return rc;
}

int keys_connect(const struct keys *keys, void *sock, const char *server) {
    unsigned char bytes[BYTES];
    from_hex(bytes, server);
    int rc = set_key(sock, ZMQ_CURVE_SERVERKEY, bytes);
    if (rc == 0) {
        from_hex(bytes, keys->public);
        rc = set_key(sock, ZMQ_CURVE_PUBLICKEY, bytes);
    }
    if (rc == 0) rc = set_key(sock, ZMQ_CURVE_SECRETKEY, keys->secret_bytes);
    return rc;
}
