/* Addresses that may be reached, and settings. Conversations: tests/integration/test_outbound_mail.c, test_outbound_http.c. */
#include <criterion/criterion.h>

#include <string.h>

#include "common/io/loop.h"
#include "common/io/outbound.h"
#include "common/io/outbound_egress.h"

Test(outbound, denies_special_purpose_addresses)
{
    static const char *const denied[] = {
        "0.0.0.0",
        "0.255.255.255",
        "10.0.0.1",
        "10.255.255.255",
        "100.64.0.0",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.8",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.7",
        "203.0.113.9",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:8.8.8.8",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a00:1",
        "64:ff9b::808:808",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:1ff:ffff::1",
        "2001:db8::1",
        "2002:7f00:1::1",
        "2002:808:808::1",
        "3fff::1",
        "3fff:fff:ffff::1",
        "4000::1",
        "5f00::1",
        "8000::1",
        "fc00::1",
        "fdff::1",
        "fe80::1",
        "febf::1",
        "fec0::1",
        "ff02::1",
    };
    for (size_t i = 0; i < sizeof(denied) / sizeof(denied[0]); i++)
        cr_expect(outbound_denied(denied[i], NULL), "%s", denied[i]);
}

Test(outbound, lets_public_addresses_pass)
{
    static const char *const open[] = {
        "1.0.0.1",         "8.8.8.8",         "9.255.255.255",   "11.0.0.0",        "100.63.255.255",
        "100.128.0.0",     "126.255.255.255", "128.0.0.1",       "169.253.255.255", "169.255.0.0",
        "172.15.255.255",  "172.32.0.0",      "192.0.1.1",       "192.0.3.1",       "192.88.98.1",
        "192.167.255.255", "192.169.0.0",     "198.17.255.255",  "198.20.0.0",      "198.51.99.1",
        "203.0.112.1",     "203.0.114.1",     "223.255.255.255", "2001:200::1",     "2001:4860:4860::8888",
        "2001:db7::1",     "2001:db9::1",     "2003::1",         "2606:4700::1111", "3ffe::1",
        "3fff:1000::1",
    };
    for (size_t i = 0; i < sizeof(open) / sizeof(open[0]); i++)
        cr_expect_not(outbound_denied(open[i], NULL), "%s", open[i]);
}

Test(outbound, denies_what_is_no_address)
{
    static const char *const odd[] = {"",      "localhost",  "127.1",      "0x7f000001",   "2130706433",
                                      "8.8.8", "8.8.8.8 ",   "8.8.8.8/32", "fe80::1%eth0", "::ffff:8.8.8.8.8",
                                      "[::1]", "example.com"};
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
        cr_expect(outbound_denied(odd[i], "0.0.0.0/0,::/0"), "%s", odd[i]);
    cr_expect(outbound_denied(NULL, NULL));
}

Test(outbound, follows_the_operators_exceptions)
{
    static const struct {
        const char *allow;
        const char *ip;
        bool denied;
    } rows[] = {
        {"127.0.0.0/8", "127.0.0.1", false},
        {"127.0.0.1", "127.0.0.1", false},
        {"127.0.0.1", "127.0.0.2", true},
        {"10.0.0.0/9", "10.127.255.255", false},
        {"10.0.0.0/9", "10.128.0.0", true},
        {" 10.0.0.0/8 , 192.168.0.0/16 ", "192.168.3.4", false},
        {"10.0.0.0/8,192.168.0.0/16", "172.16.0.1", true},
        {"0.0.0.0/0", "169.254.169.254", false},
        {"0.0.0.0/0", "::1", true},
        {"::1", "::1", false},
        {"::1/128", "::2", true},
        {"fd00::/8", "fd12::1", false},
        {"fd00::/8", "fc12::1", true},
        /* an exception for a prefix does not open the addresses it carries */
        {"64:ff9b::/96", "64:ff9b::808:808", false},
        {"64:ff9b::/96", "64:ff9b::7f00:1", true},
        {"64:ff9b::/96,127.0.0.0/8", "64:ff9b::7f00:1", false},
        {"::ffff:0:0/96", "::ffff:8.8.8.8", false},
        {"::ffff:0:0/96", "::ffff:10.0.0.1", true},
        {"2002::/16", "2002:808:808::1", false},
        {"2002::/16", "2002:a00:1::1", true},
        {"::/0", "2002:c0a8:101::1", true},
        {"127.0.0.0/8", "::ffff:127.0.0.1", true},
        /* a list with a mistake allows nothing */
        {"127.0.0.0/8,nonsense", "127.0.0.1", true},
        {"127.0.0.0/33", "127.0.0.1", true},
        {"::1/129", "::1", true},
        {"127.0.0.0/", "127.0.0.1", true},
        {"127.0.0.0/8,", "127.0.0.1", false},
        {",127.0.0.0/8", "127.0.0.1", true},
        {"", "127.0.0.1", true},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        cr_expect_eq(outbound_denied(rows[i].ip, rows[i].allow), rows[i].denied, "row %zu: %s with %s", i, rows[i].ip,
                     rows[i].allow);
}

Test(outbound, names_the_range_that_can_not_be_read)
{
    struct outbound_egress e;
    struct err_info info;
    cr_expect_eq(outbound_egress_parse(&e, "10.0.0.0/8, 10.0.0.256", &info), ERR_INVALID);
    cr_expect(strstr(info.text, "\"10.0.0.256\"") != NULL, "%s", info.text);
    cr_expect_eq(e.n, 0);
    char many[8 * (OUTBOUND_EGRESS_MAX + 1) + 1] = "";
    for (size_t i = 0; i <= OUTBOUND_EGRESS_MAX; i++)
        memcpy(many + 8 * i, "1.1.1.1,", 9);
    cr_expect_eq(outbound_egress_parse(&e, many, &info), ERR_LIMIT);
}

Test(outbound, refuses_settings_it_can_not_follow)
{
    static const struct outbound_config rows[] = {
        {.smtp_url = "http://127.0.0.1"},
        {.smtp_url = "127.0.0.1:25"},
        {.smtp_url = "smtp://"},
        {.smtp_url = "smtp://h:99999"},
        {.smtp_url = "smtp://h/?x=y"},
        {.smtp_url = "smtp://user:secret@h/#x"},
        {.smtp_url = "smtp://h", .smtp_tls = "maybe"},
        {.smtp_url = "smtp://h", .helo_name = "a b"},
        {.smtp_url = "smtp://h", .helo_name = "a\r\nb"},
        {.smtp_url = "smtp://h", .helo_name = ""},
        {.egress_allow = "10.0.0.0/40"},
    };
    struct loop *loop = loop_new();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct err_info info = {.text = ""};
        cr_expect_null(outbound_open(loop, &rows[i], &info), "row %zu", i);
        cr_expect(info.text[0] != '\0', "row %zu", i);
        cr_expect(strstr(info.text, "secret") == NULL, "%s", info.text);
    }
    cr_expect_eq(loop_free(loop), 0);
}
