#ifndef LEARNER_PAGE_H
#define LEARNER_PAGE_H

#include <stddef.h>
#include <stdint.h>

/*
 * The learner's page over HTTP, read only: / with its script and style, and
 * documents that the loop replaces whole, about once a second. A thread of its
 * own serves it and sees nothing but those.
 */
struct page;

enum page_document {
    PAGE_STATUS,  /* /status.json  */
    PAGE_HISTORY, /* /history.json */
    PAGE_METRICS, /* /metrics      */
    PAGE_DOCUMENTS,
};

/*
 * Serve on a numeric host, port 0: a free one. url out (n): "http://HOST:PORT".
 * Returns 0 and the page, which page_stop() frees, or -EINVAL (no such host),
 * -EADDRINUSE (or another reason why the port could not be had), -ENOMEM.
 */
int page_start(struct page **page, const char *host, uint16_t port, char *url,
               size_t n);

/* text (len) malloc'ed: taken over, also when it cannot be shown. NULL page or
 * text: nothing happens. */
void page_set(struct page *page, enum page_document document, char *text,
              size_t len);

void page_stop(struct page *page);

/* Of libmicrohttpd: "0.9.75". */
void page_http_version(char *text, size_t n);

#endif
