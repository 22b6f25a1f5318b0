#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "learner/host.h"
#include "tests/unit/test.h"

/* Only an address of every interface is one that nobody can connect to. */
static void a_wildcard_is_known(void **state) {
    (void)state;
    assert_true(host_is_wildcard("tcp://0.0.0.0:5550"));
    assert_true(host_is_wildcard("tcp://*:5550"));
    assert_true(host_is_wildcard("tcp://[::]:5550"));
    assert_false(host_is_wildcard("tcp://10.0.0.0:5550"));
    assert_false(host_is_wildcard("tcp://0.0.0.0.example:5550"));
    assert_false(host_is_wildcard("tcp://0.0.0.0"));
    assert_false(host_is_wildcard("tcp://"));
    assert_false(host_is_wildcard("ipc://0.0.0.0:5550"));
    assert_false(host_is_wildcard(""));
}

/* The host goes, the port stays; IPv6 gets its brackets. */
static void a_host_takes_the_others_place(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"10.1.2.3", "tcp://10.1.2.3:5560"},
        {"node-7.example", "tcp://node-7.example:5560"},
        {"fd00::2", "tcp://[fd00::2]:5560"},
        {"[fd00::2]", "tcp://[fd00::2]:5560"},
        {"::ffff:10.1.2.3", "tcp://10.1.2.3:5560"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char address[64] = "tcp://0.0.0.0:5560";
        assert_int_equal(host_replace(address, sizeof(address), cases[i][0]),
                         0);
        assert_string_equal(address, cases[i][1]);
    }
    char tight[20] = "tcp://*:5560";
    assert_int_equal(host_replace(tight, sizeof(tight), "10.100.100.100"),
                     -ENAMETOOLONG);
    assert_string_equal(tight, "tcp://*:5560");
    char host[8] = "";
    assert_int_equal(host_of(host, sizeof(host), "tcp://[::2]:1"), 0);
    assert_string_equal(host, "[::2]");
    assert_int_equal(host_of(host, sizeof(host), "tcp://10.1.2.3:1"),
                     -ENAMETOOLONG);
    assert_int_equal(host_of(host, sizeof(host), "ipc://x:1"), -EINVAL);
    char ipc[] = "ipc:///run/x";
    assert_int_equal(host_replace(ipc, sizeof(ipc), "10.1.2.3"), 0);
    assert_string_equal(ipc, "ipc:///run/x");
}

/* Own addresses are numbers, and loopback only where there is nothing else. */
static void there_is_always_an_own_address(void **state) {
    (void)state;
    char ip[46] = "";
    host_own(ip, sizeof(ip));
    assert_true(strlen(ip) >= strlen("1.1.1.1"));
    assert_int_equal(strspn(ip, "0123456789."), strlen(ip));
    assert_string_not_equal(ip, "0.0.0.0");
    assert_true(host_is_loopback("127.0.0.1"));
    assert_true(host_is_loopback("::1"));
    assert_true(host_is_loopback("::ffff:127.0.0.1"));
    assert_false(host_is_loopback("10.127.0.1"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wildcard_is_known),
        cmocka_unit_test(a_host_takes_the_others_place),
        cmocka_unit_test(there_is_always_an_own_address),
    };
    return cmocka_run_group_tests_name("host", tests, NULL, NULL);
}
