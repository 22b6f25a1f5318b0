#include "actor/tasks/mjcf.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/hash.h"

enum { VALUE_LEN = 256, MOST_XML = 64 << 20, MOST_REFERENCES = 4096 };

enum kind { INCLUDED, MESH, TEXTURE };

/* A file="..." as it is written, before its folder is known. */
struct reference {
    enum kind kind;
    char file[VALUE_LEN];
};

struct scan {
    struct mjcf *mjcf;
    char meshes[VALUE_LEN], textures[VALUE_LEN]; /* compiler's folders */
    bool strip;                                  /* compiler's strippath */
    size_t n, scanned; /* of references, of mjcf->files */
    struct reference *references;
};

/* The whole file, terminated, owned by the caller. */
static int read_text(char **text, const char *path) {
    FILE *file = fopen(path, "re");
    if (!file) return -errno;
    size_t room = 0, len = 0, got = 1;
    int err = 0;
    *text = NULL;
    while (!err && got > 0) {
        if (len + 4096 + 1 > room) {
            room = 2 * room + 8192;
            char *more = room > MOST_XML ? NULL : realloc(*text, room);
            if (!more) err = room > MOST_XML ? -E2BIG : -ENOMEM;
            if (more) *text = more;
            if (err) break;
        }
        got = fread(*text + len, 1, 4096, file);
        len += got;
    }
    if (!err && ferror(file)) err = errno > 0 ? -errno : -EIO;
    fclose(file);
    if (err) {
        free(*text);
        *text = NULL;
        return err;
    }
    (*text)[len] = '\0';
    return 0;
}

/*
 * The next attribute of a tag: name and value are filled, longer ones left
 * empty. Returns what follows, NULL at the tag's end.
 */
static const char *next_attribute(const char *at, char name[VALUE_LEN],
                                  char value[VALUE_LEN]) {
    at += strspn(at, " \t\r\n/");
    const size_t len = strcspn(at, " \t\r\n=/>");
    if (len == 0) return NULL;
    snprintf(name, VALUE_LEN, "%.*s", len < VALUE_LEN ? (int)len : 0, at);
    at += len;
    at += strspn(at, " \t\r\n");
    value[0] = '\0';
    if (*at != '=') return at;
    at++;
    at += strspn(at, " \t\r\n");
    const char quote = *at;
    if (quote != '"' && quote != '\'') return NULL;
    const char *end = strchr(at + 1, quote);
    if (!end) return NULL;
    const size_t size = (size_t)(end - at - 1);
    snprintf(value, VALUE_LEN, "%.*s", size < VALUE_LEN ? (int)size : 0,
             at + 1);
    return end + 1;
}

static void take_compiler(struct scan *scan, const char *name,
                          const char *value) {
    const bool both = strcmp(name, "assetdir") == 0;
    if (both || strcmp(name, "meshdir") == 0)
        snprintf(scan->meshes, VALUE_LEN, "%s", value);
    if (both || strcmp(name, "texturedir") == 0)
        snprintf(scan->textures, VALUE_LEN, "%s", value);
    if (strcmp(name, "strippath") == 0)
        scan->strip = strcmp(value, "true") == 0;
}

static int take_reference(struct scan *scan, const char *tag,
                          const char *value) {
    const bool texture = strcmp(tag, "texture") == 0;
    if (scan->n == MOST_REFERENCES) return -E2BIG;
    struct reference *to = &scan->references[scan->n++];
    to->kind = strcmp(tag, "include") == 0 ? INCLUDED
               : texture                   ? TEXTURE
                                           : MESH;
    snprintf(to->file, sizeof(to->file), "%s", value);
    return 0;
}

/* One tag, from behind its '<'. Attributes as file, fileright: a cube map has
 * six of them. */
static int scan_tag(struct scan *scan, const char *at) {
    char tag[VALUE_LEN], name[VALUE_LEN], value[VALUE_LEN];
    const size_t len = strcspn(at, " \t\r\n/>");
    if (len == 0 || len >= sizeof(tag)) return 0;
    memcpy(tag, at, len);
    tag[len] = '\0';
    at += len;
    const bool compiler = strcmp(tag, "compiler") == 0;
    while ((at = next_attribute(at, name, value)) != NULL) {
        if (compiler) {
            take_compiler(scan, name, value);
        } else if (strncmp(name, "file", 4) == 0 && value[0] != '\0') {
            int err = take_reference(scan, tag, value);
            if (err) return err;
        }
    }
    return 0;
}

static int scan_text(struct scan *scan, const char *text) {
    for (const char *at = text; (at = strchr(at, '<')) != NULL;) {
        if (strncmp(at, "<!--", 4) == 0) {
            at = strstr(at + 4, "-->");
            if (!at) return 0;
            continue;
        }
        int err = scan_tag(scan, ++at);
        if (err) return err;
    }
    return 0;
}

static const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* Put file on the list unless it stands there or is not there at all. */
static int add_file(struct mjcf *mjcf, const char *folder, const char *file) {
    char path[MJCF_PATH_LEN], whole[2 * MJCF_PATH_LEN];
    const bool below = file[0] != '/' && folder[0] != '\0';
    const int len = snprintf(path, sizeof(path), "%s%s%s", below ? folder : "",
                             below ? "/" : "", file);
    if (len < 0 || (size_t)len >= sizeof(path)) return -ENAMETOOLONG;
    for (size_t i = 0; i < mjcf->n; i++)
        if (strcmp(mjcf->files[i], path) == 0) return 0;
    if (mjcf->n == MJCF_MAX_FILES) return -E2BIG;
    strcpy(mjcf->files[mjcf->n], path);
    int err = mjcf_path(mjcf, mjcf->n, whole, sizeof(whole));
    if (err) return err;
    if (access(whole, R_OK) == 0) mjcf->n++;
    return 0;
}

/* Included files are scanned as they come; an include's path starts at the
 * first file's folder, wherever it stands. */
static int scan_files(struct scan *scan) {
    for (; scan->scanned < scan->mjcf->n; scan->scanned++) {
        char path[2 * MJCF_PATH_LEN], *text = NULL;
        const size_t first = scan->n;
        int err = mjcf_path(scan->mjcf, scan->scanned, path, sizeof(path));
        if (!err) err = read_text(&text, path);
        if (!err) err = scan_text(scan, text);
        free(text);
        for (size_t i = first; i < scan->n && !err; i++)
            if (scan->references[i].kind == INCLUDED)
                err = add_file(scan->mjcf, "", scan->references[i].file);
        if (err) return err;
    }
    return 0;
}

int mjcf_read(struct mjcf *mjcf, const char *path) {
    *mjcf = (struct mjcf){0};
    struct scan scan = {.mjcf = mjcf};
    const char *file = base_name(path);
    const int folder = (int)(file - path);
    const int len = snprintf(mjcf->folder, sizeof(mjcf->folder), "%.*s",
                             folder > 1 ? folder - 1 : folder, path);
    if (folder == 0) strcpy(mjcf->folder, ".");
    if (len < 0 || (size_t)len >= sizeof(mjcf->folder) ||
        strlen(file) >= MJCF_PATH_LEN)
        return -ENAMETOOLONG;
    mjcf->files = calloc(MJCF_MAX_FILES, sizeof(*mjcf->files));
    scan.references = calloc(MOST_REFERENCES, sizeof(*scan.references));
    int err = mjcf->files && scan.references ? 0 : -ENOMEM;
    if (!err) {
        strcpy(mjcf->files[mjcf->n++], file);
        err = scan_files(&scan);
    }
    // the compiler's folders may stand behind what they are for
    for (size_t i = 0; i < scan.n && !err; i++) {
        const struct reference *r = &scan.references[i];
        if (r->kind == INCLUDED) continue;
        err = add_file(mjcf, r->kind == TEXTURE ? scan.textures : scan.meshes,
                       scan.strip ? base_name(r->file) : r->file);
    }
    free(scan.references);
    if (err) mjcf_finish(mjcf);
    return err;
}

void mjcf_finish(struct mjcf *mjcf) {
    free(mjcf->files);
    *mjcf = (struct mjcf){0};
}

int mjcf_path(const struct mjcf *mjcf, size_t i, char *path, size_t n) {
    const char *file = mjcf->files[i];
    const int len = file[0] == '/'
                        ? snprintf(path, n, "%s", file)
                        : snprintf(path, n, "%s/%s", mjcf->folder, file);
    return len >= 0 && (size_t)len < n ? 0 : -ENAMETOOLONG;
}

bool mjcf_is_inside(const struct mjcf *mjcf, size_t i) {
    const char *file = mjcf->files[i];
    if (file[0] == '/') return false;
    for (const char *at = file; at; at = strchr(at, '/')) {
        at += *at == '/';
        if (strncmp(at, "..", 2) == 0 && (at[2] == '/' || at[2] == '\0'))
            return false;
    }
    return true;
}

int mjcf_hash(uint64_t *hash, const char *path) {
    struct mjcf mjcf;
    char whole[2 * MJCF_PATH_LEN];
    int err = mjcf_read(&mjcf, path);
    if (err) return err;
    uint64_t so_far = *hash;
    for (size_t i = 0; i < mjcf.n && !err; i++) {
        const char *file = mjcf.files[i];
        if (i > 0) so_far = hash_bytes(so_far, file, strlen(file) + 1);
        err = mjcf_path(&mjcf, i, whole, sizeof(whole));
        if (!err) err = hash_file(&so_far, whole);
    }
    if (!err) *hash = so_far;
    mjcf_finish(&mjcf);
    return err;
}
