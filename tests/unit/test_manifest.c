/* The manifest of an archived month: round trip, what is refused, and whether a table can take it. */
#include "common/core/manifest.h"

#include <stdio.h>
#include <string.h>

#include <criterion/criterion.h>

#define COLUMNS "[[\"tenant_id\",\"uuid\"],[\"kind\",\"text\"],[\"odd\\\"name\",\"timestamp with time zone\"]]"

static void make(struct manifest *m)
{
    struct err_info info = {0};

    *m = (struct manifest){.lo_us = INT64_C(1759276800000000),
                           .hi_us = INT64_C(1761955200000000),
                           .n_rows = 7,
                           .bytes = 99,
                           .raw_bytes = 1234,
                           .created_us = INT64_C(1790000000000000),
                           .tenants = "{\"a\":3,\"b\":4}"};
    (void)str_copy(m->leaf, sizeof(m->leaf), "execution_logs_2025_10");
    (void)str_copy(m->digest, sizeof(m->digest), "1f:-22");
    memset(m->sha256, 'a', sizeof(m->sha256) - 1);
    (void)str_copy(m->tool, sizeof(m->tool), "usher \"x\"");
    (void)str_copy(m->server, sizeof(m->server), "15.4");
    cr_assert_eq(manifest_set_columns(m, STR(COLUMNS), &info), ERR_OK, "%s", info.text);
}

Test(manifest, survives_writing_and_reading)
{
    struct manifest m, back = {0};
    struct buf text = {0}, again = {0};
    struct err_info info = {0};

    make(&m);
    manifest_format(&m, &text);
    cr_assert_eq(manifest_parse((struct str){text.data, text.len}, &back, &info), ERR_OK, "%s", info.text);
    manifest_format(&back, &again);
    cr_expect_str_eq(buf_text(&again), buf_text(&text));
    cr_expect_eq(back.n_rows, 7);
    cr_expect_eq(back.lo_us, m.lo_us);
    cr_expect_eq(back.n_columns, 3);
    cr_expect_str_eq(back.columns[2].name, "odd\"name");
    buf_free(&text);
    buf_free(&again);
    manifest_free(&m);
    manifest_free(&back);
}

/* Every line but the format's brackets says something that counts: without it, or changed, the document is refused or another one. */
Test(manifest, refuses_what_is_incomplete_or_inconsistent)
{
    static const struct {
        const char *from, *to, *says;
    } cases[] = {
        {"usher-archive-1", "usher-archive-2", "format"}, {"execution_logs_2025_10", "../../etc/passwd", "leaf"},
        {"\"rows\": 7", "\"rows\": -7", "rows"},          {"\"rows\": 7", "\"rows\": \"7\"", "rows"},
        {"\"bytes\": 99", "\"octets\": 99", "bytes"},     {"2025-10-01T", "2025-13-01T", "from"},
        {"\"uuid\"", "\"text\"", "columns_sha256"},       {"[\"kind\", \"text\"]", "[\"kind\"]", "columns[1]"},
        {"{\"a\":3,\"b\":4}", "[1]", "tenants"},          {"\n}", "", "line"},
    };
    struct manifest m;
    struct buf text = {0};

    make(&m);
    manifest_format(&m, &text);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct manifest back = {0};
        struct err_info info = {0};
        struct buf bad = {0};
        const char *at = strstr(buf_text(&text), cases[i].from);
        cr_assert_not_null(at, "case %zu", i);
        buf_printf(&bad, "%.*s%s%s", (int)(at - text.data), text.data, cases[i].to, at + strlen(cases[i].from));
        cr_expect_eq(manifest_parse((struct str){bad.data, bad.len}, &back, &info), ERR_MALFORMED, "case %zu", i);
        cr_expect_not_null(strstr(info.text, cases[i].says), "case %zu: %s", i, info.text);
        buf_free(&bad);
        manifest_free(&back);
    }
    buf_free(&text);
    manifest_free(&m);
}

Test(manifest, names_of_leaves_are_months)
{
    static const struct {
        const char *leaf;
        bool ok;
    } cases[] = {
        {"execution_logs_2025_10", true},   {"execution_logs_2025_12", true},  {"execution_logs_2025_13", false},
        {"execution_logs_2025_00", false},  {"execution_logs_2025_1", false},  {"execution_logs_2025-10", false},
        {"execution_logs_2025_10x", false}, {"execution_logs_", false},        {"", false},
        {"other_2025_10", false},           {"execution_logs_20a5_10", false}, {"execution_logs_2025_10;drop", false},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        cr_expect_eq(manifest_leaf_ok(cases[i].leaf), cases[i].ok, "%s", cases[i].leaf);
}

Test(manifest, fits_a_table_that_has_all_its_columns)
{
    static const struct {
        const char *now;
        enum err err;
        const char *says;
    } cases[] = {
        {COLUMNS, ERR_OK, ""},
        {"[[\"new\",\"int\"],[\"kind\",\"text\"],[\"odd\\\"name\",\"timestamp with time "
         "zone\"],[\"tenant_id\",\"uuid\"]]",
         ERR_OK, ""},
        {"[[\"kind\",\"text\"],[\"tenant_id\",\"uuid\"]]", ERR_STATE, "odd\"name is not"},
        {"[[\"tenant_id\",\"text\"],[\"kind\",\"text\"]]", ERR_STATE, "tenant_id was uuid"},
    };
    struct manifest m;

    make(&m);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct manifest now = {0};
        struct err_info info = {0};
        cr_assert_eq(manifest_set_columns(&now, str_of(cases[i].now), &info), ERR_OK, "case %zu", i);
        cr_expect_eq(manifest_fits(&m, &now, &info), cases[i].err, "case %zu", i);
        cr_expect_not_null(strstr(info.text, cases[i].says), "case %zu: %s", i, info.text);
        manifest_free(&now);
    }
    manifest_free(&m);
}
