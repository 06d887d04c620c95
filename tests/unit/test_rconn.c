/* What rconn does without sockets: URLs, commands as bytes, replies from bytes, error replies to codes. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "common/io/rconn.h"
#include "common/io/rconn_reply.h"
#include "common/io/rconn_url.h"
#include "common/io/rconn_wire.h"

Test(rconn, takes_a_url_apart)
{
    static const struct {
        const char *url, *path, *host;
        int port, db;
        const char *user, *password;
    } cases[] = {
        {"redis://localhost", "", "localhost", 6379, 0, "", ""},
        {"redis://localhost/", "", "localhost", 6379, 0, "", ""},
        {"redis://10.0.0.1:7000/3", "", "10.0.0.1", 7000, 3, "", ""},
        {"redis://[::1]:7000/3", "", "::1", 7000, 3, "", ""},
        {"redis://[fe80::1]", "", "fe80::1", 6379, 0, "", ""},
        {"redis://h?db=5", "", "h", 6379, 5, "", ""},
        {"redis://:secret@h:1", "", "h", 1, 0, "", "secret"},
        {"redis://bob:p%40ss%3a@h", "", "h", 6379, 0, "bob", "p@ss:"},
        {"redis://bob:a@b:c@h", "", "h", 6379, 0, "bob", "a@b:c"},
        {"unix:///run/redis.sock", "/run/redis.sock", "", 0, 0, "", ""},
        {"unix:///run/a%20b@c.sock?db=7", "/run/a b@c.sock", "", 0, 7, "", ""},
        {"redis+unix:///run/redis.sock", "/run/redis.sock", "", 0, 0, "", ""},
        {"unix://:pw@/run/redis.sock", "/run/redis.sock", "", 0, 0, "", "pw"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct rconn_url u;
        struct err_info info = {0};
        cr_assert_eq(rconn_url_parse(cases[i].url, &u, &info), ERR_OK, "%s: %s", cases[i].url, info.text);
        cr_expect_str_eq(u.path, cases[i].path, "%s", cases[i].url);
        cr_expect_str_eq(u.host, cases[i].host, "%s", cases[i].url);
        cr_expect_eq(u.port, cases[i].port, "%s", cases[i].url);
        cr_expect_eq(u.db, cases[i].db, "%s", cases[i].url);
        cr_expect_str_eq(u.user, cases[i].user, "%s", cases[i].url);
        cr_expect_str_eq(u.password, cases[i].password, "%s", cases[i].url);
    }
}

Test(rconn, says_what_is_wrong_with_a_url)
{
    static const struct {
        const char *url, *says;
    } cases[] = {
        {"", "must begin with"},
        {NULL, "must begin with"},
        {"localhost:6379", "must begin with"},
        {"rediss://h", "TLS"},
        {"redis://", "no host"},
        {"redis://:7000", "no host"},
        {"redis://h:0", "not a port"},
        {"redis://h:65536", "not a port"},
        {"redis://h:", "not a port"},
        {"redis://h:12x", "not a port"},
        {"redis://h/x", "not a database"},
        {"redis://h/-1", "not a database"},
        {"redis://h/1/2", "not a database"},
        {"redis://h?timeout=3", "only option"},
        {"redis://[::1:6379", "IPv6"},
        {"redis://[::1]6379", "IPv6"},
        {"redis://bob@h", "without a password"},
        {"redis://bob:@h", "password is empty"},
        {"redis://:%zz@h", "escape"},
        {"redis://:%4@h", "escape"},
        {"redis://:%00@h", "escape"},
        {"redis://h\r\n", "line break"},
        {"unix://run/redis.sock", "absolute path"},
        {"unix://", "absolute path"},
        {"unix:///", "absolute path"},
    };
    struct err_info info;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        info.text[0] = '\0';
        cr_expect_eq(rconn_check_url(cases[i].url, &info), ERR_INVALID, "%s", cases[i].url);
        cr_expect_not_null(strstr(info.text, cases[i].says), "%s: %s", cases[i].url, info.text);
    }
}

Test(rconn, refuses_a_socket_path_the_kernel_would_cut)
{
    char url[256];

    for (int n = 100; n < 115; n++) {
        snprintf(url, sizeof(url), "unix:///%0*d", n - 1, 0);
        cr_expect_eq(rconn_check_url(url, NULL), n <= RCONN_PATH_MAX ? ERR_OK : ERR_INVALID, "%d bytes", n);
    }
}

Test(rconn, keeps_passwords_out_of_messages)
{
    static const char *const urls[] = {"redis://u:hunter2%zz@h", "redis://u:hunter2@h:99999", "redis://u:hunter2@h?x",
                                       "rediss://u:hunter2@h"};
    struct err_info info;

    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        cr_expect_eq(rconn_check_url(urls[i], &info), ERR_INVALID);
        cr_expect_null(strstr(info.text, "hunter2"), "%s", info.text);
    }
}

Test(rconn, writes_commands_in_redis_protocol)
{
    struct buf b = {0};

    rconn_wire_encode(&b, 3, (struct str[]){STR("XADD"), {"a\0b\r\n", 5}, {NULL, 0}});
    cr_expect_eq(b.len, sizeof("*3\r\n$4\r\nXADD\r\n$5\r\na\0b\r\n\r\n$0\r\n\r\n") - 1);
    cr_expect_eq(memcmp(b.data, "*3\r\n$4\r\nXADD\r\n$5\r\na\0b\r\n\r\n$0\r\n\r\n", b.len), 0);
    buf_free(&b);
}

/* Feeds `text` in pieces of `piece` bytes; the replies must come out complete and at the right byte. */
static const struct reply *feed(struct rconn_reader *r, struct str text, size_t piece)
{
    const struct reply *reply = NULL;

    for (size_t at = 0; at < text.n; at += piece) {
        size_t n = text.n - at < piece ? text.n - at : piece;
        cr_assert_null(reply, "a reply before its last byte");
        cr_assert_eq(rconn_reader_feed(r, text.p + at, n, NULL), ERR_OK);
        cr_assert_eq(rconn_reader_next(r, &reply, NULL), ERR_OK);
    }
    cr_assert_not_null(reply);
    return reply;
}

Test(rconn, builds_replies_from_pieces_of_any_size)
{
    static const char text[] = "*7\r\n$3\r\na\0b\r\n+OK\r\n-ERR no\r\n:-42\r\n$-1\r\n*-1\r\n*2\r\n*0\r\n$0\r\n\r\n";
    struct rconn_reader r;

    rconn_reader_init(&r);
    for (size_t piece = 1; piece < sizeof(text); piece++) {
        const struct reply *v = feed(&r, STR(text), piece);
        cr_assert_eq(v->type, REPLY_ARRAY);
        cr_assert_eq(v->n, 7);
        cr_expect(v->items[0]->type == REPLY_STRING && v->items[0]->s.n == 3 && memcmp(v->items[0]->s.p, "a\0b", 4) == 0);
        cr_expect(v->items[1]->type == REPLY_STATUS && str_is(v->items[1]->s, "OK"));
        cr_expect(v->items[2]->type == REPLY_ERROR && str_is(v->items[2]->s, "ERR no"));
        cr_expect(v->items[3]->type == REPLY_INTEGER && v->items[3]->i == -42);
        cr_expect_eq(v->items[4]->type, REPLY_NIL);
        cr_expect_eq(v->items[5]->type, REPLY_NIL);
        cr_assert(v->items[6]->type == REPLY_ARRAY && v->items[6]->n == 2);
        cr_expect(v->items[6]->items[0]->type == REPLY_ARRAY && v->items[6]->items[0]->n == 0);
        cr_expect(v->items[6]->items[1]->type == REPLY_STRING && v->items[6]->items[1]->s.n == 0);
        rconn_reader_release(&r);
    }
    rconn_reader_fini(&r);
}

Test(rconn, refuses_broken_and_outsized_replies)
{
    static const char *const broken[] = {"hello\r\n",
                                         ":12x\r\n",
                                         "$x\r\n",
                                         "$-2\r\n",
                                         "*9999999999\r\n",
                                         "*1048577\r\n",
                                         "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n"};

    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        struct rconn_reader r;
        const struct reply *reply;
        struct err_info info = {0};
        rconn_reader_init(&r);
        cr_assert_eq(rconn_reader_feed(&r, broken[i], strlen(broken[i]), NULL), ERR_OK);
        cr_expect_eq(rconn_reader_next(&r, &reply, &info), ERR_MALFORMED, "%s", broken[i]);
        cr_expect_null(reply);
        cr_expect_neq(info.text[0], '\0');
        cr_expect_eq(rconn_reader_feed(&r, ":1\r\n", 4, NULL), ERR_MALFORMED, "a broken stream stays broken");
        rconn_reader_fini(&r);
    }
}

Test(rconn, maps_error_replies_once)
{
    static const struct {
        const char *text;
        enum err err;
        bool drop;
    } cases[] = {
        {"NOGROUP No such key 'k' or consumer group 'g'", ERR_REDIS_NOGROUP, false},
        {"UNBLOCKED the stream key no longer exists", ERR_REDIS_NOGROUP, false},
        {"UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)",
         ERR_REDIS_LOADING, true},
        {"ERR no such key", ERR_REDIS_NOGROUP, false},
        {"OOM command not allowed when used memory > 'maxmemory'.", ERR_REDIS_FULL, false},
        {"MISCONF Redis is configured to save RDB snapshots", ERR_REDIS_FULL, false},
        {"NOREPLICAS Not enough good replicas to write.", ERR_REDIS_FULL, false},
        {"LOADING Redis is loading the dataset in memory", ERR_REDIS_LOADING, false},
        {"READONLY You can't write against a read only replica.", ERR_REDIS_LOADING, true},
        {"MASTERDOWN Link with MASTER is down", ERR_REDIS_LOADING, false},
        {"BUSY Redis is busy running a script.", ERR_REDIS_LOADING, false},
        {"TRYAGAIN Multiple keys request during rehashing of slot", ERR_REDIS_LOADING, false},
        {"CLUSTERDOWN Hash slot not served", ERR_REDIS_LOADING, false},
        {"MOVED 5798 10.0.0.7:6379", ERR_REDIS_LOADING, true},
        {"ASK 5798 10.0.0.7:6379", ERR_REDIS_LOADING, true},
        {"BUSYGROUP Consumer Group name already exists", ERR_REDIS, false},
        {"BUSYKEY Target key name already exists.", ERR_REDIS, false},
        {"NOSCRIPT No matching script.", ERR_REDIS_NOSCRIPT, false},
        {"NOAUTH Authentication required.", ERR_DENIED, false},
        {"WRONGPASS invalid username-password pair", ERR_DENIED, false},
        {"NOPERM this user has no permissions", ERR_DENIED, false},
        {"ERR max number of clients reached", ERR_BUSY, false},
        {"ERR syntax error", ERR_REDIS, false},
        {"WRONGTYPE Operation against a key", ERR_REDIS, false},
        {"", ERR_REDIS, false},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct reply r = {.type = REPLY_ERROR, .s = str_of(cases[i].text)};
        bool drop = !cases[i].drop;
        cr_expect_eq(rconn_reply_error(&r, &drop), cases[i].err, "%s", cases[i].text);
        cr_expect_eq(drop, cases[i].drop, "%s", cases[i].text);
        r.type = REPLY_STRING;
        cr_expect_eq(rconn_reply_error(&r, &drop), ERR_OK);
        cr_expect_not(drop);
    }
}

Test(rconn, greets_with_what_the_url_asks_for)
{
    static const struct {
        const char *url, *name, *bytes;
        size_t n;
    } cases[] = {
        {"redis://h", NULL, "*1\r\n$4\r\nPING\r\n", 1},
        {"redis://u:p@h/2", "a b",
         "*3\r\n$4\r\nAUTH\r\n$1\r\nu\r\n$1\r\np\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n2\r\n"
         "*3\r\n$6\r\nCLIENT\r\n$7\r\nSETNAME\r\n$3\r\na-b\r\n*1\r\n$4\r\nPING\r\n",
         4},
        {"redis://:p@h", "", "*2\r\n$4\r\nAUTH\r\n$1\r\np\r\n*1\r\n$4\r\nPING\r\n", 2},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct rconn_url u;
        struct rconn_wire w = {.fd = -1};
        struct rconn_greeting g;
        cr_assert_eq(rconn_url_parse(cases[i].url, &u, NULL), ERR_OK);
        rconn_wire_greet(&w, &u, cases[i].name, &g);
        cr_expect_str_eq(buf_text(&w.out), cases[i].bytes);
        cr_expect_eq(g.n, cases[i].n);
        buf_free(&w.out);
    }
}

Test(rconn, judges_the_replies_to_its_greeting)
{
    static const struct {
        enum rconn_hello step;
        const char *text;
        enum err err;
    } cases[] = {
        {RCONN_HELLO_AUTH, "WRONGPASS invalid", ERR_DENIED},
        {RCONN_HELLO_AUTH, "ERR AUTH <password> called without any password configured", ERR_DENIED},
        {RCONN_HELLO_AUTH, "ERR max number of clients reached", ERR_BUSY},
        {RCONN_HELLO_SELECT, "ERR DB index is out of range", ERR_REDIS},
        {RCONN_HELLO_NAME, "NOPERM", ERR_OK},
        {RCONN_HELLO_NAME, "ERR max number of clients reached", ERR_BUSY},
        {RCONN_HELLO_PING, "NOPERM", ERR_OK},
        {RCONN_HELLO_PING, "NOAUTH Authentication required.", ERR_DENIED},
        {RCONN_HELLO_PING, "LOADING Redis is loading", ERR_REDIS_LOADING},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct rconn_greeting g = {.steps = {cases[i].step}, .n = 1};
        const struct reply r = {.type = REPLY_ERROR, .s = str_of(cases[i].text)};
        cr_expect_eq(rconn_wire_greeted(&g, &r, NULL), cases[i].err, "%s", cases[i].text);
        cr_expect_eq(g.at, 1);
    }
}
