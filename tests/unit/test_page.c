#include "learner/page.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "tests/unit/test.h"

static struct page *page;
static char url[64];
static uint16_t port;
static char answer[1 << 17];

static int set_up(void **unused) {
    (void)unused;
    assert_int_equal(page_start(&page, "127.0.0.1", 0, url, sizeof(url)), 0);
    unsigned number = 0;
    assert_int_equal(sscanf(url, "http://127.0.0.1:%u", &number), 1);
    port = (uint16_t)number;
    return 0;
}

static int tear_down(void **unused) {
    (void)unused;
    page_stop(page);
    page = NULL;
    return 0;
}

/* One connection, these bytes, all that comes back. out (n). */
static void exchange(const char *request, char *out, size_t n) {
    const struct sockaddr_in to = {.sin_family = AF_INET,
                                   .sin_port = htons(port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof(to)), 0);
    assert_int_equal(write(fd, request, strlen(request)), strlen(request));
    size_t at = 0;
    ssize_t got;
    while (at < n - 1 && (got = read(fd, out + at, n - 1 - at)) > 0)
        at += (size_t)got;
    out[at] = '\0';
    close(fd);
}

static const char *get(const char *path, const char *host) {
    char request[256];
    snprintf(request, sizeof(request),
             "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", path,
             host);
    exchange(request, answer, sizeof(answer));
    return answer;
}

static void show(enum page_document document, const char *text) {
    page_set(page, document, strdup(text), strlen(text));
}

static void expect(const char *words) {
    if (!strstr(answer, words)) fail_msg("no '%s' in\n%.800s", words, answer);
}

/* The page, its parts, and the newest of each document. */
static void it_serves_what_was_set(void **unused) {
    (void)unused;
    get("/", "localhost");
    expect("HTTP/1.1 200");
    expect("text/html");
    expect("<title>softq</title>");
    expect("</html>");
    get("/page.js", "localhost");
    expect("text/javascript");
    get("/page.css", "localhost");
    expect("text/css");
    get("/status.json", "localhost");
    expect("HTTP/1.1 503");
    show(PAGE_STATUS, "{\"a\":1}");
    show(PAGE_METRICS, "softq_x 1\n");
    get("/status.json", "127.0.0.1:80");
    expect("application/json");
    expect("\r\n\r\n{\"a\":1}");
    show(PAGE_STATUS, "{\"a\":2}");
    get("/status.json", "localhost");
    expect("\r\n\r\n{\"a\":2}");
    get("/metrics", "localhost");
    expect("text/plain; version=0.0.4");
    expect("softq_x 1");
}

/* A reader that stays: both answers come over one connection. */
static void a_connection_is_kept(void **unused) {
    (void)unused;
    exchange("GET /page.css HTTP/1.1\r\nHost: localhost\r\n\r\n"
             "GET /page.js HTTP/1.1\r\nHost: localhost\r\n"
             "Connection: close\r\n\r\n",
             answer, sizeof(answer));
    expect("text/css");
    expect("text/javascript");
}

/* Is a reader that keeps its connection answered, within so long? fd out: to be
 * closed. */
static bool is_answered(int *fd, time_t s) {
    static const char request[] =
        "GET /page.css HTTP/1.1\r\nHost: localhost\r\n\r\n";
    const struct sockaddr_in to = {.sin_family = AF_INET,
                                   .sin_port = htons(port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct timeval late = {.tv_sec = s, .tv_usec = 300 * 1000};
    char byte;
    *fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(*fd >= 0);
    setsockopt(*fd, SOL_SOCKET, SO_RCVTIMEO, &late, sizeof(late));
    assert_int_equal(connect(*fd, (const struct sockaddr *)&to, sizeof(to)), 0);
    return send(*fd, request, sizeof(request) - 1, MSG_NOSIGNAL) > 0 &&
           recv(*fd, &byte, 1, 0) == 1;
}

/* Where descriptors are few, readers leave them to the run's peers. */
static void readers_do_not_use_up_the_descriptors(void **unused) {
    (void)unused;
    enum { READERS = 40 };
    struct rlimit before, few;
    int fds[READERS];
    size_t answered = 0;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    few = before;
    few.rlim_cur = 1024;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    page_stop(page);
    set_up(NULL);
    for (size_t i = 0; i < READERS; i++) /* no answer takes a while to see */
        answered += is_answered(&fds[i], i < 32 ? 30 : 0);
    for (size_t i = 0; i < READERS; i++) close(fds[i]);
    setrlimit(RLIMIT_NOFILE, &before);
    assert_int_equal(answered, 32);
}

/* It can be read, by those it is for, and nothing else. */
static void anything_else_is_refused(void **unused) {
    (void)unused;
    get("/../etc/passwd", "localhost");
    expect("HTTP/1.1 404");
    get("/status.jsonx", "localhost");
    expect("HTTP/1.1 404");
    get("/", "evil.example:8080");
    expect("HTTP/1.1 403");
    get("/", "localhost.evil.example");
    expect("HTTP/1.1 403");
    exchange("POST /status.json HTTP/1.1\r\nHost: localhost\r\nConnection: "
             "close\r\nContent-Length: 3\r\n\r\nabc",
             answer, sizeof(answer));
    expect("HTTP/1.1 405");
    exchange("\x01\x02garbage\r\n\r\n", answer, sizeof(answer));
    get("/", "localhost");
    expect("HTTP/1.1 200");
}

static void a_port_or_host_that_cannot_be_had_is_an_error(void **unused) {
    (void)unused;
    struct page *second;
    char other[64];
    assert_int_equal(
        page_start(&second, "127.0.0.1", port, other, sizeof(other)),
        -EADDRINUSE);
    assert_null(second);
    assert_int_equal(page_start(&second, "nohost", 0, other, sizeof(other)),
                     -EINVAL);
    assert_int_not_equal(
        page_start(&second, "192.0.2.1", 0, other, sizeof(other)), 0);
    page_set(NULL, PAGE_STATUS, strdup("x"), 1);
    page_stop(NULL);
}

static void *read_often(void *bad) {
    char text[4096];
    for (int i = 0; i < 200; i++) {
        exchange("GET /status.json HTTP/1.1\r\nHost: localhost\r\n"
                 "Connection: close\r\n\r\n",
                 text, sizeof(text));
        const char *body = strstr(text, "\r\n\r\n");
        if (!body || strspn(body + 4, "ab") != 1000 ||
            strspn(body + 4, (char[]){body[4], '\0'}) != 1000)
            ++*(int *)bad;
    }
    return NULL;
}

/* Replaced while they are read: a reader gets one of them, whole. */
static void documents_change_under_their_readers(void **unused) {
    (void)unused;
    enum { READERS = 4 };
    pthread_t threads[READERS];
    int bad[READERS] = {0};
    char text[1001] = "";
    memset(text, 'a', 1000);
    show(PAGE_STATUS, text);
    for (int i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_often, &bad[i]),
                         0);
    for (int i = 0; i < 2000; i++) {
        memset(text, i % 2 ? 'a' : 'b', 1000);
        show(PAGE_STATUS, text);
        usleep(100);
    }
    for (int i = 0; i < READERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(bad[i], 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_serves_what_was_set, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_connection_is_kept, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(readers_do_not_use_up_the_descriptors,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(anything_else_is_refused, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            a_port_or_host_that_cannot_be_had_is_an_error, set_up, tear_down),
        cmocka_unit_test_setup_teardown(documents_change_under_their_readers,
                                        set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
