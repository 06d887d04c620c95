#include <criterion/criterion.h>
#include <string.h>

#include "common/core/envelope.h"
#include "common/core/key.h"
#include "common/core/pack.h"

#define MAX_PARTS 48 /* two calls of split fit */

/* Splits "name value name value" at blanks; returns the number of parts. */
static size_t split(const char *text, struct str parts[MAX_PARTS])
{
    size_t n = 0;

    while (*text != '\0' && n < MAX_PARTS / 2) {
        parts[n] = (struct str){text, strcspn(text, " ")};
        text += parts[n].n + (text[parts[n].n] == ' ' ? 1 : 0);
        n++;
    }
    return n;
}

static void expect_log_id(const char *stream, const char *entry, const struct str *fields, size_t n, const char *expected)
{
    char text[ID_TEXT_SIZE];
    struct id id;

    envelope_log_id(str_of(stream), str_of(entry), fields, n, &id);
    cr_expect_str_eq(id_format(&id, text), expected, "%s: %s", entry, text);
}

/* The vectors of PROTOCOL.md, "Golden vectors", made with another program. */
Test(envelope, log_id_has_its_golden_vectors)
{
    static const char packed[] = "\x81\xa2id\x07";
    struct str parts[MAX_PARTS];
    size_t n = split("kind noop payload {}", parts);

    expect_log_id("usher:{0}:in:default", "1767225600000-0", parts, n, "1b0c028c-8de4-84a0-bc6b-adc79d97afaf");
    n = split("kind thumbnail.render payload ?", parts);
    parts[3] = (struct str){packed, sizeof(packed) - 1};
    expect_log_id("usher:{0}:in:default", "1767225600000-1", parts, n, "b57eeb06-5550-8941-9c7c-d4932bd9e43e");
    n = split(
        "kind thumbnail.render payload {\"text\":\"a\\nb\"} tenant 10000000-0000-4000-8000-000000000001 key photo-7 "
        "at 2026-01-02T00:00:00Z deadline 1767484800000 max 3 timeout 60000",
        parts);
    expect_log_id("usher:{0}:in:bulk", "1767225600123-4", parts, n, "51d9e22c-cc1e-8399-aeff-c889783e591b");
}

Test(envelope, log_id_changes_with_every_part_of_the_entry)
{
    static const char *const fields[] = {"kind noop payload {}", "kind noop payload {} ", "kind noop payload {} x y",
                                         "payload {} kind noop"};
    struct id ids[6];
    struct str parts[MAX_PARTS];
    size_t n = 0;

    for (size_t i = 0; i < 4; i++) {
        n = split(fields[i], parts);
        envelope_log_id(STR("s"), STR("1-1"), parts, i == 1 ? n - 1 : n, &ids[i]);
    }
    n = split(fields[0], parts);
    envelope_log_id(STR("t"), STR("1-1"), parts, n, &ids[4]);
    envelope_log_id(STR("s"), STR("1-2"), parts, n, &ids[5]);
    for (size_t i = 0; i < 6; i++) {
        for (size_t j = 0; j < i; j++)
            cr_expect(!id_eq(&ids[i], &ids[j]), "%zu and %zu", i, j);
    }
}

Test(envelope, reads_every_field)
{
    struct str parts[MAX_PARTS];
    struct envelope env;
    struct err_info info = {0};
    size_t n = split("v 1 kind a.b-c_9 payload {} tenant 10000000-0000-4000-8000-000000000001 "
                     "wedding 20000000-0000-4000-8000-000000000001 key k at 1970-01-01T00:00:05Z deadline 6000 max 100",
                     parts);

    n += split("timeout 3600000 traceparent 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 src web h.any x",
               parts + n);
    cr_assert_eq(envelope_parse(parts, n, &env, &info), ERR_OK, "%s", info.text);
    cr_expect(str_is(env.kind, "a.b-c_9"));
    cr_expect(str_is(env.payload, "{}"));
    cr_expect_eq(env.tenant.b[0], 0x10);
    cr_expect_eq(env.wedding.b[0], 0x20);
    cr_expect(str_is(env.key, "k"));
    cr_expect_eq(env.at_us, 5000000);
    cr_expect_eq(env.deadline_us, 6000000);
    cr_expect_eq(env.max_attempts, 100);
    cr_expect_eq(env.timeout_ms, 3600000);
    cr_expect(str_is(env.traceparent, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
    n = split("kind a payload {} traceparent 00-0af7651916cd43dd8448eb211c80319C-b7ad6b7169203331-01", parts);
    cr_assert_eq(envelope_parse(parts, n, &env, &info), ERR_OK, "%s", info.text);
    cr_expect_eq(env.traceparent.n, 0, "of another form: left out");
}

Test(envelope, only_kind_and_payload_are_required)
{
    struct str parts[MAX_PARTS];
    struct envelope env;
    size_t n = split("payload {} kind a", parts);

    cr_assert_eq(envelope_parse(parts, n, &env, NULL), ERR_OK);
    cr_expect(id_is_zero(&env.tenant));
    cr_expect_eq(env.key.n + (size_t)env.max_attempts + (size_t)env.timeout_ms + (size_t)env.at_us, 0);
}

Test(envelope, refuses_with_the_field_and_what_is_expected)
{
    static const struct {
        const char *entry, *says;
    } rows[] = {
        {"payload {}", "field kind is missing"},
        {"kind a", "field payload is missing"},
        {"kind A payload {}", "field kind: \"A\": expected 1 to 64"},
        {"kind 9a payload {}", "field kind"},
        {"kind a payload 7", "payload"},
        {"kind a payload {\"a\":[1,2", "payload: JSON ends or goes wrong at byte 9 of 9"},
        {"kind a payload {}{}", "payload: JSON"},
        {"kind a payload {} kind b", "field kind: given twice"},
        {"kind a payload {} h.x 1 h.x 1", "field h.x: given twice"},
        {"kind a payload {} v 2", "field v: \"2\": expected 1"},
        {"kind a payload {} tenant 7", "field tenant: \"7\": expected a UUID"},
        {"kind a payload {} wedding x", "field wedding"},
        {"kind a payload {} at soon", "field at: \"soon\": expected an RFC 3339 time or milliseconds"},
        {"kind a payload {} at -5", "field at"},
        {"kind a payload {} deadline 253402300800000", "field deadline"},
        {"kind a payload {} max 0", "field max: \"0\": expected a number from 1 to 100"},
        {"kind a payload {} max 101", "field max"},
        {"kind a payload {} timeout 3600001", "field timeout"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct str parts[MAX_PARTS];
        struct envelope env;
        struct err_info info = {0};
        size_t n = split(rows[i].entry, parts);
        cr_expect_eq(envelope_parse(parts, n, &env, &info), ERR_MALFORMED, "%s", rows[i].entry);
        cr_expect_not_null(strstr(info.text, rows[i].says), "%s: %s", rows[i].entry, info.text);
    }
}

Test(envelope, limits_hold_for_sizes_and_numbers_of_fields)
{
    static char big[PACK_PAYLOAD_MAX_BYTES + 1];
    struct str many[2 * (ENVELOPE_FIELDS_MAX + 1)];
    struct str parts[] = {STR("kind"), STR("a"),   STR("payload"),
                          STR("{}"),   STR("h.x"), {big, ENVELOPE_FIELD_MAX_BYTES}};
    char names[ENVELOPE_FIELDS_MAX + 1][8];
    struct envelope env;

    memset(big, ' ', sizeof(big));
    big[0] = '{';
    big[PACK_PAYLOAD_MAX_BYTES - 1] = '}';
    cr_expect_eq(envelope_parse(parts, 6, &env, NULL), ERR_OK);
    parts[5].n++;
    cr_expect_eq(envelope_parse(parts, 6, &env, NULL), ERR_LIMIT);
    parts[3] = (struct str){big, PACK_PAYLOAD_MAX_BYTES};
    cr_expect_eq(envelope_parse(parts, 4, &env, NULL), ERR_OK);
    parts[3].n++;
    cr_expect_eq(envelope_parse(parts, 4, &env, NULL), ERR_LIMIT);
    for (int i = 0; i <= ENVELOPE_FIELDS_MAX; i++) {
        many[2 * i] = (struct str){names[i], (size_t)snprintf(names[i], sizeof(names[i]), "h.%d", i)};
        many[2 * i + 1] = STR("x");
    }
    many[0] = STR("kind");
    many[2] = STR("payload");
    many[3] = STR("{}");
    cr_expect_eq(envelope_parse(many, 2 * ENVELOPE_FIELDS_MAX, &env, NULL), ERR_OK);
    cr_expect_eq(envelope_parse(many, 2 * (ENVELOPE_FIELDS_MAX + 1), &env, NULL), ERR_LIMIT);
}

Test(envelope, keys_are_text_of_1_to_200_bytes)
{
    static char key[ENVELOPE_KEY_MAX_BYTES + 1];
    struct str parts[] = {STR("kind"), STR("a"), STR("payload"), STR("{}"), STR("key"), {key, 0}};
    struct envelope env;

    memset(key, 'k', sizeof(key));
    cr_expect_eq(envelope_parse(parts, 6, &env, NULL), ERR_MALFORMED);
    parts[5].n = ENVELOPE_KEY_MAX_BYTES;
    cr_expect_eq(envelope_parse(parts, 6, &env, NULL), ERR_OK);
    parts[5].n++;
    cr_expect_eq(envelope_parse(parts, 6, &env, NULL), ERR_MALFORMED);
    key[0] = (char)0xff;
    parts[5].n = 1;
    cr_expect_eq(envelope_parse(parts, 6, &env, NULL), ERR_MALFORMED);
}

/* The other derivations of PROTOCOL.md. */
Test(envelope, ids_of_runs_steps_and_attempts_have_golden_vectors)
{
    struct str run[] = {STR("10000000-0000-4000-8000-000000000001"), STR("30000000-0000-4000-8000-000000000001"),
                        STR("20000000-0000-4000-8000-000000000001"), STR("40000000-0000-4000-8000-000000000001"),
                        STR("1")};
    struct str job[] = {STR("9adb6985-9f06-8a67-b96f-8b14fb5fa5ca"), STR("0"), STR("0"), STR("1")};
    struct str attempt[] = {STR("322d310c-3bde-8717-820c-9a945fffc534"), STR("1")};
    char text[ID_TEXT_SIZE];
    struct id id;

    key_derive(&id, "run", run, 5);
    cr_expect_str_eq(id_format(&id, text), "9adb6985-9f06-8a67-b96f-8b14fb5fa5ca");
    key_derive(&id, "job", job, 4);
    cr_expect_str_eq(id_format(&id, text), "322d310c-3bde-8717-820c-9a945fffc534");
    key_derive(&id, "attempt", attempt, 2);
    cr_expect_str_eq(id_format(&id, text), "7fe37185-e430-808f-bad4-561890f71075");
}
