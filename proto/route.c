#include "proto/route.h"

#include <string.h>

bool link_route_equal(const struct link_route *x, const struct link_route *y) {
    return x->len == y->len && memcmp(x->id, y->id, x->len) == 0;
}
