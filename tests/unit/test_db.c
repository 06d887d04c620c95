/* What of db needs no server: encodings, SQLSTATEs, the table of prepared statements, URLs. */
#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/mem.h"
#include "common/io/db_private.h"

static void want_bytes(const char *what, const void *got, size_t n, const char *hex)
{
    struct buf text = {0};
    for (size_t i = 0; i < n; i++)
        buf_printf(&text, "%02x", ((const unsigned char *)got)[i]);
    cr_expect_str_eq(buf_text(&text), hex, "%s: %s", what, buf_text(&text));
    buf_free(&text);
}

#define ID_HEX "000102030405060708090a0b0c0d0e0f"
static const struct id id = {{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}};

Test(db_copy, a_row_is_encoded_as_the_manual_says)
{
    struct buf b = {0};
    db_copy_begin(&b);
    want_bytes("header", b.data, b.len, "5047434f50590aff0d0a000000000000000000");
    buf_reset(&b);
    db_copy_row(&b, 3);
    want_bytes("row", b.data, b.len, "0003");
    buf_reset(&b);
    db_copy_end(&b);
    want_bytes("trailer", b.data, b.len, "ffff");
    buf_free(&b);
}

static void field(struct buf *b, const char *what, const char *hex)
{
    want_bytes(what, b->data, b->len, hex);
    buf_reset(b);
}

Test(db_copy, fields_are_length_and_big_endian_value)
{
    struct buf b = {0};
    db_copy_i16(&b, -2);
    field(&b, "i16", "00000002fffe");
    db_copy_i32(&b, 1 << 24);
    field(&b, "i32", "0000000401000000");
    db_copy_i64(&b, -1);
    field(&b, "i64", "00000008ffffffffffffffff");
    db_copy_bool(&b, true);
    field(&b, "bool", "0000000101");
    db_copy_id(&b, &id);
    field(&b, "id", "00000010" ID_HEX);
    db_copy_text(&b, STR("ab"));
    field(&b, "text", "000000026162");
    db_copy_text(&b, STR(""));
    field(&b, "empty text", "00000000");
    db_copy_bytes(&b, (struct str){"\0", 1});
    field(&b, "bytes", "0000000100");
    db_copy_jsonb(&b, STR("{}"));
    field(&b, "jsonb", "00000003017b7d");
    db_copy_time(&b, 946684800000001);
    field(&b, "time", "000000080000000000000001");
    buf_free(&b);
}

Test(db_copy, nulls_are_minus_one)
{
    struct buf b = {0};
    db_copy_null(&b);
    db_copy_id(&b, NULL);
    db_copy_text(&b, (struct str){NULL, 0});
    db_copy_bytes(&b, (struct str){NULL, 0});
    db_copy_jsonb(&b, (struct str){NULL, 0});
    db_copy_time(&b, DB_NULL_TIME);
    want_bytes("nulls", b.data, b.len, "ffffffffffffffffffffffffffffffffffffffffffffffff");
    buf_free(&b);
}

Test(db_time, converts_both_ways_and_keeps_the_infinities)
{
    static const struct {
        int64_t us;
        int64_t pg_us;
    } cases[] = {
        {0, -946684800000000},  {946684800000000, 0},       {-1, -946684800000001},
        {INT64_MAX, INT64_MAX}, {INT64_MIN + 1, INT64_MIN},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        cr_expect_eq(db_time_to_pg(cases[i].us), cases[i].pg_us, "case %zu", i);
        cr_expect_eq(db_time_from_pg(cases[i].pg_us), cases[i].us, "case %zu", i);
    }
    cr_expect_eq(db_time_from_pg(INT64_MAX - 1), INT64_MAX, "no overflow");
    cr_expect_eq(db_time_to_pg(INT64_MIN + 5), INT64_MIN, "no overflow");
}

static void want_arg(const struct db_args *a, const char *what, unsigned type, const char *hex)
{
    int i = a->n - 1;
    cr_expect_eq(a->types[i], type, "%s: type %u", what, a->types[i]);
    cr_expect_eq(a->values[i] == NULL, hex == NULL, "%s", what);
    if (hex && a->values[i])
        want_bytes(what, a->values[i], (size_t)a->lengths[i], hex);
}

Test(db_args, scalars)
{
    struct arena arena = {0};
    struct db_args a;
    db_args_init(&a, &arena);
    db_arg_null(&a);
    want_arg(&a, "null", 0, NULL);
    db_arg_bool(&a, true);
    want_arg(&a, "bool", 16, "01");
    db_arg_i32(&a, -1);
    want_arg(&a, "i32", 23, "ffffffff");
    db_arg_i64(&a, 258);
    want_arg(&a, "i64", 20, "0000000000000102");
    db_arg_double(&a, 1.0);
    want_arg(&a, "double", 701, "3ff0000000000000");
    db_arg_text(&a, STR("a"));
    want_arg(&a, "text", 25, "61");
    db_arg_text(&a, STR(""));
    want_arg(&a, "empty", 25, "");
    db_arg_cstr(&a, NULL);
    want_arg(&a, "cstr null", 25, NULL);
    db_arg_bytes(&a, (struct str){"\xff", 1});
    want_arg(&a, "bytes", 17, "ff");
    db_arg_id(&a, &id);
    want_arg(&a, "id", 2950, ID_HEX);
    db_arg_id(&a, NULL);
    want_arg(&a, "id null", 2950, NULL);
    db_arg_time(&a, 946684800000002);
    want_arg(&a, "time", 1184, "0000000000000002");
    db_arg_time(&a, DB_NULL_TIME);
    want_arg(&a, "time null", 1184, NULL);
    db_arg_json(&a, STR("[]"));
    want_arg(&a, "json", 3802, "015b5d");
    db_arg_json(&a, (struct str){NULL, 0});
    want_arg(&a, "json null", 3802, NULL);
    cr_expect_eq(a.n, 15);
    arena_free(&arena);
}

Test(db_args, values_are_copied)
{
    struct arena arena = {0};
    struct db_args a;
    char text[] = "before";
    db_args_init(&a, &arena);
    db_arg_cstr(&a, text);
    memcpy(text, "after!", 6);
    cr_expect(a.lengths[0] == 6 && memcmp(a.values[0], "before", 6) == 0);
    arena_free(&arena);
}

Test(db_args, arrays)
{
    struct arena arena = {0};
    struct db_args a;
    const struct str texts[] = {STR("ab"), {NULL, 0}, STR("")};
    const struct id ids[] = {id, ID_ZERO};
    db_args_init(&a, &arena);
    db_arg_ids(&a, ids, 2);
    want_arg(&a, "ids", 2951,
             "0000000100000000"
             "00000b86"
             "0000000200000001"
             "00000010" ID_HEX "00000010"
             "00000000000000000000000000000000");
    db_arg_ids(&a, NULL, 0);
    want_arg(&a, "no ids", 2951, "000000000000000000000b86");
    db_arg_i32s(&a, (const int32_t[]){1, -1}, 2);
    want_arg(&a, "i32s", 1007,
             "0000000100000000"
             "00000017"
             "0000000200000001"
             "0000000400000001"
             "00000004ffffffff");
    db_arg_i64s(&a, (const int64_t[]){3}, 1);
    want_arg(&a, "i64s", 1016,
             "0000000100000000"
             "00000014"
             "0000000100000001"
             "000000080000000000000003");
    db_arg_texts(&a, texts, 3);
    want_arg(&a, "texts", 1009,
             "0000000100000001"
             "00000019"
             "0000000300000001"
             "000000026162"
             "ffffffff"
             "00000000");
    db_arg_bytess(&a, texts, 1);
    want_arg(&a, "bytess", 1001,
             "0000000100000000"
             "00000011"
             "0000000100000001"
             "000000026162");
    db_arg_times(&a, (const int64_t[]){946684800000001, DB_NULL_TIME}, 2);
    want_arg(&a, "times", 1185,
             "0000000100000001"
             "000004a0"
             "0000000200000001"
             "000000080000000000000001"
             "ffffffff");
    db_arg_bools(&a, (const bool[]){true, false}, 2);
    want_arg(&a, "bools", 1000,
             "0000000100000000"
             "00000010"
             "0000000200000001"
             "0000000101"
             "0000000100");
    arena_free(&arena);
}

Test(db_error, sqlstates_are_mapped)
{
    static const struct {
        const char *state;
        enum err err;
    } cases[] = {
        {"", ERR_CONN_LOST},       {"08006", ERR_CONN_LOST}, {"08P01", ERR_DB},        {"57P01", ERR_CONN_LOST},
        {"57P02", ERR_CONN_LOST},  {"57P03", ERR_CONN_LOST}, {"57014", ERR_TIMEOUT},   {"23505", ERR_DB_UNIQUE},
        {"23503", ERR_DB_DATA},    {"23514", ERR_DB_DATA},   {"22P02", ERR_DB_DATA},   {"22021", ERR_DB_DATA},
        {"40001", ERR_DB_LOCK},    {"40P01", ERR_DB_LOCK},   {"55P03", ERR_DB_LOCK},   {"40003", ERR_DB},
        {"0A000", ERR_DB_FEATURE}, {"42501", ERR_DENIED},    {"28P01", ERR_DENIED},    {"53300", ERR_BUSY},
        {"P0002", ERR_NOTFOUND},   {"U0001", ERR_STATE},     {"42P01", ERR_DB_BROKEN}, {"XX000", ERR_DB_BROKEN},
        {"25P02", ERR_DB},         {"P0001", ERR_DB},        {"57P04", ERR_DB},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        cr_expect_eq(db_error_code(cases[i].state), cases[i].err, "%s: %s", cases[i].state,
                     err_name(db_error_code(cases[i].state)));
    cr_expect_eq(db_error_code(NULL), ERR_CONN_LOST);
}

Test(db_prepared, variants_are_told_by_their_types)
{
    static const struct db_stmt a = {"a", "SELECT $1"};
    static const struct db_stmt b = {"b", "SELECT $1"};
    struct db_prepared_set set = {0};
    struct arena arena = {0};
    struct db_args none;
    struct db_args i32;
    struct db_args i64;
    db_args_init(&none, &arena);
    db_args_init(&i32, &arena);
    db_args_init(&i64, &arena);
    db_arg_null(&none);
    db_arg_i32(&i32, 1);
    db_arg_i64(&i64, 1);
    cr_assert_null(db_prepared_find(&set, &a, &i32));
    struct db_prepared *first = db_prepared_add(&set, &a, &i32);
    cr_expect_eq(db_prepared_find(&set, &a, &i32), first);
    cr_expect_eq(db_prepared_find(&set, &a, &none), first, "NULL fits any type");
    cr_expect_null(db_prepared_find(&set, &a, &i64));
    cr_expect_null(db_prepared_find(&set, &a, NULL), "another number of parameters");
    cr_expect_null(db_prepared_find(&set, &b, &i32), "the address counts, not the text");
    struct db_prepared *second = db_prepared_add(&set, &a, &i64);
    struct db_prepared *third = db_prepared_add(&set, &a, NULL);
    cr_expect_str_neq(first->name, second->name);
    db_prepared_remove(&set, second);
    cr_expect_null(db_prepared_find(&set, &a, &i64));
    cr_expect_eq(db_prepared_find(&set, &a, &i32), first);
    db_prepared_remove(&set, third);
    cr_expect_eq(db_prepared_find(&set, &a, &i32), first);
    db_prepared_remove(&set, first);
    cr_expect_null(db_prepared_find(&set, &a, &i32));
    db_prepared_add(&set, &a, &i32);
    db_prepared_clear(&set);
    cr_expect_null(db_prepared_find(&set, &a, &i32));
    arena_free(&arena);
}

Test(db_conninfo, hosts_that_need_name_service_are_found)
{
    static const struct {
        const char *url;
        int n;
        const char *hosts;
    } cases[] = {
        {"host=/tmp", 0, ""},
        {"host=@abstract", 0, ""},
        {"postgresql://10.0.0.1/x", 0, ""},
        {"postgresql://[::1]:5433/x", 0, ""},
        {"host=db.example hostaddr=10.0.0.1", 0, ""},
        {"postgresql://db.example/x", 1, "db.example::name "},
        {"postgresql://db.example:6000/x", 1, "db.example:6000:name "},
        {"postgresql://a.example:1,10.0.0.1:2,b.example:3/x", 3, "a.example:1:name 10.0.0.1:2: b.example:3:name "},
        {"host=a.example,/tmp port=7", 2, "a.example:7:name /tmp:7: "},
    };
    unsetenv("PGHOST");
    unsetenv("PGHOSTADDR");
    unsetenv("PGPORT");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct db_conninfo ci = {0};
        struct db_host hosts[DB_MAX_HOSTS];
        struct buf text = {0};
        cr_assert_eq(db_conninfo_load(&ci, cases[i].url, "t", NULL), ERR_OK);
        int n = db_conninfo_hosts(&ci, hosts);
        cr_expect_eq(n, cases[i].n, "%s: %d", cases[i].url, n);
        for (int h = 0; h < n; h++)
            buf_printf(&text, "%s:%s:%s ", hosts[h].host, hosts[h].port, db_conninfo_is_name(&hosts[h]) ? "name" : "");
        cr_expect_str_eq(buf_text(&text), cases[i].hosts);
        buf_free(&text);
        db_conninfo_free(&ci);
    }
}

Test(db_conninfo, the_environment_names_the_host_where_the_url_does_not)
{
    struct db_conninfo ci = {0};
    struct db_host hosts[DB_MAX_HOSTS];
    setenv("PGHOST", "env.example", 1);
    setenv("PGPORT", "99", 1);
    cr_assert_eq(db_conninfo_load(&ci, "", "t", NULL), ERR_OK);
    cr_assert_eq(db_conninfo_hosts(&ci, hosts), 1);
    cr_expect(strcmp(hosts[0].host, "env.example") == 0 && strcmp(hosts[0].port, "99") == 0);
    db_conninfo_free(&ci);
}

Test(db_conninfo, a_bad_url_is_refused_without_being_told)
{
    static const char *const urls[] = {"postgresql://u:secret@h:x%zz/", "secret",
                                       "postgresql://u:secret@h/db?nonsense=1", "secret=1"};
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        struct db_conninfo ci = {0};
        struct err_info info;
        cr_expect_eq(db_conninfo_load(&ci, urls[i], "t", &info), ERR_INVALID, "%s", urls[i]);
        cr_expect_null(strstr(info.text, "secret"), "%s", info.text);
        db_conninfo_free(&ci);
    }
}
