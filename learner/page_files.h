#ifndef LEARNER_PAGE_FILES_H
#define LEARNER_PAGE_FILES_H

#include <stddef.h>

/* learner/page/ inside the program; the build writes them (embed.sh). */
struct page_file {
    const unsigned char *bytes;
    size_t len;
};
extern const struct page_file page_html, page_js, page_css;

#endif
