#include "learner/page.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>

#include "learner/page_files.h"

enum {
    CONNECTIONS = 512,
    FEW_FILES = 32 * CONNECTIONS,
    TIMEOUT_S = 15,
    MEMORY = 8192
};

enum { FILES = 3, PLACES = FILES + PAGE_DOCUMENTS };

struct page {
    struct MHD_Daemon *daemon;
    bool loopback;
    struct MHD_Response *no_page, *no_method, *not_yet, *no_host;
    pthread_mutex_t lock; /* of the answers: the loop replaces documents */
    struct MHD_Response *answers[PLACES];
};

static const struct {
    const char *url, *type;
} places[PLACES] = {
    {"/", "text/html; charset=utf-8"},
    {"/page.js", "text/javascript; charset=utf-8"},
    {"/page.css", "text/css; charset=utf-8"},
    {"/status.json", "application/json"},
    {"/history.json", "application/json"},
    {"/metrics", "text/plain; version=0.0.4; charset=utf-8"},
};

static struct MHD_Response *respond(const char *text, size_t len,
                                    enum MHD_ResponseMemoryMode mode,
                                    const char *type) {
    struct MHD_Response *response =
        MHD_create_response_from_buffer(len, (void *)text, mode);
    if (!response) return NULL;
    const char *const headers[][2] = {
        {"Content-Type", type},
        {"Cache-Control", "no-store"},
        {"X-Content-Type-Options", "nosniff"},
        {"Content-Security-Policy",
         "default-src 'self'; frame-ancestors 'none'"},
        {"Referrer-Policy", "no-referrer"},
    };
    for (size_t i = 0; i < sizeof(headers) / sizeof(*headers); i++)
        MHD_add_response_header(response, headers[i][0], headers[i][1]);
    return response;
}

static struct MHD_Response *say(const char *line) {
    return respond(line, strlen(line), MHD_RESPMEM_PERSISTENT,
                   "text/plain; charset=utf-8");
}

/* A page of this host alone must not answer under a name that some web site
 * made point here (DNS rebinding). */
static bool is_meant(const struct page *page,
                     struct MHD_Connection *connection) {
    static const char *const names[] = {"127.0.0.1", "localhost", "[::1]"};
    const char *host = MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
                                                   MHD_HTTP_HEADER_HOST);
    if (!page->loopback || !host) return true;
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        const size_t len = strlen(names[i]);
        if (strncasecmp(host, names[i], len) == 0 &&
            (host[len] == '\0' || host[len] == ':'))
            return true;
    }
    return false;
}

/* libmicrohttpd's: one request. */
static enum MHD_Result answer(void *data, struct MHD_Connection *connection,
                              const char *url, const char *method,
                              const char *version, const char *upload,
                              size_t *upload_size, void **request) {
    struct page *page = data;
    (void)version, (void)upload;
    if (!*request) { // its head alone: an answer now would end the connection
        *request = page;
        return MHD_YES;
    }
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 &&
        strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
        if (*upload_size > 0) {
            *upload_size = 0; // unread
            return MHD_YES;
        }
        return MHD_queue_response(connection, MHD_HTTP_METHOD_NOT_ALLOWED,
                                  page->no_method);
    }
    if (!is_meant(page, connection))
        return MHD_queue_response(connection, MHD_HTTP_FORBIDDEN,
                                  page->no_host);
    for (size_t i = 0; i < PLACES; i++) {
        if (strcmp(url, places[i].url) != 0) continue;
        pthread_mutex_lock(&page->lock);
        const enum MHD_Result result =
            page->answers[i]
                ? MHD_queue_response(connection, MHD_HTTP_OK, page->answers[i])
                : MHD_queue_response(connection, MHD_HTTP_SERVICE_UNAVAILABLE,
                                     page->not_yet);
        pthread_mutex_unlock(&page->lock);
        return result;
    }
    return MHD_queue_response(connection, MHD_HTTP_NOT_FOUND, page->no_page);
}

static bool prepare_answers(struct page *page) {
    const struct page_file *files[FILES] = {&page_html, &page_js, &page_css};
    page->no_page = say("There is /, /status.json, /history.json and "
                        "/metrics.\n");
    page->no_method = say("This page can only be read: GET or HEAD.\n");
    page->not_yet = say("Not yet: ask again in a second.\n");
    page->no_host = say("This page answers to localhost only.\n");
    bool all =
        page->no_host && page->no_page && page->no_method && page->not_yet;
    for (size_t i = 0; i < FILES; i++) {
        page->answers[i] = respond((const char *)files[i]->bytes, files[i]->len,
                                   MHD_RESPMEM_PERSISTENT, places[i].type);
        all = all && page->answers[i];
    }
    return all;
}

/* A numeric host of either family. 0 or -EINVAL. */
static int parse_host(struct sockaddr_storage *address, const char *host,
                      uint16_t port) {
    struct sockaddr_in *four = (struct sockaddr_in *)address;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)address;
    memset(address, 0, sizeof(*address));
    if (inet_pton(AF_INET, host, &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        four->sin_port = htons(port);
        return 0;
    }
    if (inet_pton(AF_INET6, host, &six->sin6_addr) != 1) return -EINVAL;
    six->sin6_family = AF_INET6;
    six->sin6_port = htons(port);
    return 0;
}

/* A share of the tenth of all descriptors that is no peer's. */
static unsigned most_connections(void) {
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur >= FEW_FILES)
        return CONNECTIONS;
    return (unsigned)(files.rlim_cur / (FEW_FILES / CONNECTIONS));
}

int page_start(struct page **out, const char *host, uint16_t port, char *url,
               size_t n) {
    struct sockaddr_storage address;
    *out = NULL;
    if (parse_host(&address, host, port) != 0) return -EINVAL;
    const bool six = address.ss_family == AF_INET6;
    struct page *page = calloc(1, sizeof(*page));
    if (!page) return -ENOMEM;
    pthread_mutex_init(&page->lock, NULL);
    page->loopback = strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0;
    if (!prepare_answers(page)) {
        page_stop(page);
        return -ENOMEM;
    }
    errno = 0;
    page->daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | (six ? MHD_USE_IPv6 : 0), port, NULL,
        NULL, answer, page, MHD_OPTION_SOCK_ADDR, &address,
        MHD_OPTION_CONNECTION_LIMIT, most_connections(),
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)TIMEOUT_S,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY, MHD_OPTION_END);
    if (!page->daemon) {
        const int rc = errno != 0 ? -errno : -EADDRINUSE;
        page_stop(page);
        return rc;
    }
    const union MHD_DaemonInfo *bound =
        MHD_get_daemon_info(page->daemon, MHD_DAEMON_INFO_BIND_PORT);
    snprintf(url, n, six ? "http://[%s]:%u" : "http://%s:%u", host,
             bound ? (unsigned)bound->port : port);
    *out = page;
    return 0;
}

void page_set(struct page *page, enum page_document document, char *text,
              size_t len) {
    const size_t place = FILES + document;
    struct MHD_Response *response = NULL;
    if (page && text)
        response =
            respond(text, len, MHD_RESPMEM_MUST_FREE, places[place].type);
    if (!response) {
        free(text);
        return;
    }
    pthread_mutex_lock(&page->lock);
    struct MHD_Response *before = page->answers[place];
    page->answers[place] = response;
    pthread_mutex_unlock(&page->lock);
    if (before) MHD_destroy_response(before); // counts who still sends it
}

void page_stop(struct page *page) {
    if (!page) return;
    if (page->daemon) MHD_stop_daemon(page->daemon);
    struct MHD_Response *const lines[] = {page->no_page, page->no_method,
                                          page->not_yet, page->no_host};
    for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++)
        if (lines[i]) MHD_destroy_response(lines[i]);
    for (size_t i = 0; i < PLACES; i++)
        if (page->answers[i]) MHD_destroy_response(page->answers[i]);
    pthread_mutex_destroy(&page->lock);
    free(page);
}

void page_http_version(char *text, size_t n) {
    snprintf(text, n, "%s", MHD_get_version());
}
