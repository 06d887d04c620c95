/* Names, keys, ids and replies of streams; replies come through the real reader, one byte at a time. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/io/queue.h"
#include "common/io/queue_args.h"
#include "common/io/rconn_reply.h"

static struct rconn_reader reader;
static struct arena arena;

static void open_reader(void)
{
    rconn_reader_init(&reader);
}

static void close_reader(void)
{
    rconn_reader_fini(&reader);
    arena_free(&arena);
}

TestSuite(queue, .init = open_reader, .fini = close_reader);

/* "*2 $1 a :5" → the reply; blanks stand for line ends. */
static const struct reply *parse(const char *words)
{
    const struct reply *reply = NULL;

    for (; *words != '\0'; words++) {
        const char *bytes = *words == ' ' ? "\r\n" : words;
        cr_assert_eq(rconn_reader_feed(&reader, bytes, *words == ' ' ? 2 : 1, NULL), ERR_OK);
        cr_assert_eq(rconn_reader_next(&reader, &reply, NULL), ERR_OK);
    }
    if (reply == NULL) {
        cr_assert_eq(rconn_reader_feed(&reader, "\r\n", 2, NULL), ERR_OK);
        cr_assert_eq(rconn_reader_next(&reader, &reply, NULL), ERR_OK);
    }
    cr_assert_not_null(reply, "%s", words);
    return reply;
}

Test(queue, builds_keys_from_valid_names)
{
    static const struct {
        const char *name;
        bool ok;
    } cases[] = {
        {"default", true}, {"a", true},        {"0_-z", true}, {"abcdefghijklmnopqrstuvwxyz012345", true},
        {"", false},       {"Default", false}, {"a b", false}, {"abcdefghijklmnopqrstuvwxyz0123456", false},
        {"a{1}", false},   {"a:b", false},     {"ü", false},
    };
    char key[QUEUE_KEY_SIZE], expected[QUEUE_KEY_SIZE];
    struct err_info info;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct str name = str_of(cases[i].name);
        cr_expect_eq(queue_key(QUEUE_LEDGER, name, key, &info), cases[i].ok ? ERR_OK : ERR_INVALID, "%s", cases[i].name);
        snprintf(expected, sizeof(expected), "usher:{0}:q:%s", cases[i].name);
        cr_expect_str_eq(key, cases[i].ok ? expected : "");
        cr_expect_eq(queue_key(QUEUE_BARE, name, key, &info), cases[i].ok ? ERR_OK : ERR_INVALID);
        snprintf(expected, sizeof(expected), "usher:{0}:in:%s", cases[i].name);
        cr_expect_str_eq(key, cases[i].ok ? expected : "");
    }
    cr_expect_eq(queue_key(QUEUE_BARE, (struct str){"a\0b", 3}, key, &info), ERR_INVALID);
}

Test(queue, reads_and_writes_entry_ids)
{
    static const struct {
        const char *text;
        bool ok;
        struct queue_id id;
    } cases[] = {
        {"1526919030474-55", true, {1526919030474, 55}},
        {"0-0", true, {0, 0}},
        {"18446744073709551615-18446744073709551615", true, {UINT64_MAX, UINT64_MAX}},
        {"18446744073709551616-0", false, {0, 0}},
        {"1526919030474", false, {0, 0}},
        {"-1", false, {0, 0}},
        {"1-", false, {0, 0}},
        {"1-2-3", false, {0, 0}},
        {"1- 2", false, {0, 0}},
        {"+1-2", false, {0, 0}},
        {"", false, {0, 0}},
    };
    char text[QUEUE_ID_SIZE];

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct queue_id id = {7, 7};
        cr_expect_eq(queue_id_parse(str_of(cases[i].text), &id), cases[i].ok ? ERR_OK : ERR_INVALID, "%s", cases[i].text);
        if (!cases[i].ok) {
            cr_expect(id.ms == 7 && id.seq == 7, "%s: untouched on error", cases[i].text);
            continue;
        }
        cr_expect_eq(queue_id_cmp(&id, &cases[i].id), 0);
        cr_expect_str_eq(queue_id_format(&id, text), cases[i].text);
    }
}

Test(queue, orders_entry_ids_as_the_stream_does)
{
    static const struct queue_id ordered[] = {{0, 0}, {0, 1},  {0, UINT64_MAX}, {1, 0},
                                              {9, 5}, {10, 0}, {UINT64_MAX, 0}};

    for (int i = 0; i < 7; i++) {
        for (int j = 0; j < 7; j++) {
            const int sign = (i > j) - (i < j);
            cr_expect_eq(queue_id_cmp(&ordered[i], &ordered[j]), sign, "%d %d", i, j);
        }
        cr_expect_eq(queue_id_is_zero(&ordered[i]), i == 0);
    }
}

Test(queue, reads_entries_of_several_streams)
{
    static const struct str keys[] = {{"ka", 2}, {"kb", 2}};
    struct queue_entries e;
    struct err_info info;
    const struct reply *r =
        parse("*2 *2 $2 kb *2 *2 $3 1-0 *4 $1 k $1 v $1 x $0  *2 $3 2-7 *-1 *2 $2 ka *1 *2 $3 1-1 *0");

    cr_assert_eq(queue_reply_read(r, keys, 2, &arena, &e, &info), ERR_OK, "%s", info.text);
    cr_assert_eq(e.n, 3);
    cr_expect(e.v[0].stream == 1 && e.v[0].id.ms == 1 && e.v[0].id.seq == 0 && str_is(e.v[0].id_text, "1-0"));
    cr_expect(e.v[0].n_fields == 2 && str_is(e.v[0].fields[0].name, "k") && str_is(e.v[0].fields[0].value, "v"));
    cr_expect(str_is(e.v[0].fields[1].name, "x") && e.v[0].fields[1].value.n == 0 && !e.v[0].deleted);
    cr_expect(e.v[1].stream == 1 && e.v[1].id.seq == 7 && e.v[1].deleted && e.v[1].n_fields == 0);
    cr_expect(e.v[2].stream == 0 && e.v[2].id.seq == 1 && !e.v[2].deleted && e.v[2].n_fields == 0);
}

Test(queue, takes_nil_for_no_entries)
{
    struct queue_entries e = {.n = 5};

    cr_expect_eq(queue_reply_read(parse("*-1"), NULL, 0, &arena, &e, NULL), ERR_OK);
    cr_expect_eq(e.n, 0);
}

Test(queue, refuses_entries_of_another_shape)
{
    static const char *const bad[] = {
        "$2 no",
        ":1",
        "*1 :1",
        "*1 *1 $1 k",
        "*1 *2 $1 k :1",
        "*1 *2 $1 z *0",
        "*1 *2 $1 k *1 :1",
        "*1 *2 $1 k *1 *1 $3 1-0",
        "*1 *2 $1 k *1 *2 $1 x *0",
        "*1 *2 $1 k *1 *2 :1 *0",
        "*1 *2 $1 k *1 *2 $3 1-0 *1 $1 a",
        "*1 *2 $1 k *1 *2 $3 1-0 *2 $1 a :1",
        "*1 *2 $1 k *1 *2 $3 1-0 $1 a",
        "*1 *2 :1 *0",
    };
    static const struct str keys[] = {{"k", 1}};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct queue_entries e;
        struct err_info info = {0};
        cr_expect_eq(queue_reply_read(parse(bad[i]), keys, 1, &arena, &e, &info), ERR_MALFORMED, "%s", bad[i]);
        cr_expect_eq(e.n, 0);
        cr_expect_neq(info.text[0], '\0');
        rconn_reader_release(&reader);
    }
}

Test(queue, reads_a_step_of_xautoclaim)
{
    static const char *const bad[] = {"*2 $3 0-0 *0", "*3 $1 x *0 *0", "*3 $3 0-0 :1 *0", "*3 $3 0-0 *0 *1 :1",
                                      "*3 $3 0-0 *1 :1 *0"};
    struct queue_claimed c;

    cr_assert_eq(queue_reply_claimed(parse("*3 $3 9-1 *1 *2 $3 5-0 *2 $1 k $1 v *2 $3 3-0 $3 4-0"), &arena, &c, NULL),
                 ERR_OK);
    cr_expect(c.cursor.ms == 9 && c.cursor.seq == 1);
    cr_assert_eq(c.entries.n, 1);
    cr_expect(c.entries.v[0].id.ms == 5 && str_is(c.entries.v[0].fields[0].value, "v"));
    cr_assert_eq(c.n_deleted, 2);
    cr_expect(c.deleted[0].ms == 3 && c.deleted[1].ms == 4);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        rconn_reader_release(&reader);
        cr_expect_eq(queue_reply_claimed(parse(bad[i]), &arena, &c, NULL), ERR_MALFORMED, "%s", bad[i]);
    }
}

#define GROUP_OTHER                                                                                                    \
    "*12 $4 name $5 other $9 consumers :9 $7 pending :9 $17 last-delivered-id $3 9-9 $12 entries-read :9 $3 lag :9 "

Test(queue, finds_the_group_and_takes_nil_for_unknown)
{
    struct queue_group g;
    struct err_info info;

    cr_assert_eq(queue_reply_group(parse("*2 " GROUP_OTHER
                                         "*12 $4 name $7 workers $9 consumers :2 $7 pending :3 $17 last-delivered-id "
                                         "$4 12-1 $12 entries-read :40 $3 lag :0"),
                                   "workers", &g, &info),
                 ERR_OK, "%s", info.text);
    cr_expect(g.exists && g.consumers == 2 && g.pending == 3 && g.entries_read == 40 && g.lag == 0);
    cr_expect(g.last_delivered.ms == 12 && g.last_delivered.seq == 1);
    rconn_reader_release(&reader);
    cr_assert_eq(queue_reply_group(parse(
                                       "*1 *12 $4 name $7 workers $9 consumers :2 $7 pending :3 $17 last-delivered-id "
                                       "$4 12-1 $12 entries-read $-1 $3 lag $-1"),
                                   "workers", &g, &info),
                 ERR_OK);
    cr_expect(g.exists && g.entries_read == -1 && g.lag == -1);
    rconn_reader_release(&reader);
    cr_assert_eq(queue_reply_group(parse("*1 " GROUP_OTHER), "workers", &g, &info), ERR_OK);
    cr_expect_not(g.exists);
    rconn_reader_release(&reader);
    cr_expect_eq(queue_reply_group(parse("*1 *4 $4 name $7 workers $7 pending :3"), "workers", &g, &info), ERR_MALFORMED);
}

Test(queue, reads_a_job_out_of_its_entry)
{
    static const char uuid[] = "018f3b8e-7c1a-7d0e-8b6f-0123456789ab";
    static const struct {
        const char *names[3], *values[3];
        size_t n;
        bool ok;
    } cases[] = {
        {{"job", "n"}, {uuid, "3"}, 2, true},
        {{"n", "x", "job"}, {"2147483647", "?", uuid}, 3, true},
        {{"job"}, {uuid}, 1, false},
        {{"n"}, {"3"}, 1, false},
        {{"job", "n"}, {"018f3b8e", "3"}, 2, false},
        {{"job", "n"}, {uuid, "-1"}, 2, false},
        {{"job", "n"}, {uuid, "2147483648"}, 2, false},
        {{"job", "n"}, {uuid, ""}, 2, false},
        {{"job", "n", "n"}, {uuid, "1", "2"}, 3, false},
        {{"job", "job", "n"}, {uuid, uuid, "2"}, 3, false},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct queue_field fields[3];
        struct queue_entry e = {.id_text = STR("1-0"), .fields = fields, .n_fields = cases[i].n};
        char text[ID_TEXT_SIZE];
        struct id id;
        int32_t claim_no = -7;
        for (size_t j = 0; j < cases[i].n; j++)
            fields[j] = (struct queue_field){str_of(cases[i].names[j]), str_of(cases[i].values[j])};
        cr_expect_eq(queue_reply_job(&e, &id, &claim_no, NULL), cases[i].ok ? ERR_OK : ERR_MALFORMED, "case %zu", i);
        if (cases[i].ok) {
            cr_expect_str_eq(id_format(&id, text), uuid);
            cr_expect_eq(claim_no, i == 0 ? 3 : INT32_MAX);
        }
    }
}
