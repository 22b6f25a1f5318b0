/* Messages: proto/wire.h. tests/unit/test_wire asks the same of random bytes.
 */

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/wire_one.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    wire_one(data, len);
    return 0;
}
