/* system: the work that tests give. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "common/core/envelope.h"
#include "tests/support/system.h"

#define FIELDS_MAX 64
#define PIPELINE 200

static void accept_id(const struct id *id)
{
    char text[ID_TEXT_SIZE];

    buf_printf(&sys.accepted, "%s%s", sys.accepted.len ? "," : "", id_format(id, text));
    sys.n_accepted++;
}

static size_t entry_words(const char *id, const char *const *fields, struct str words[3 + FIELDS_MAX])
{
    size_t n = 0;

    words[n++] = STR("XADD");
    words[n++] = STR(SYSTEM_IN);
    words[n++] = str_of(id);
    for (size_t i = 0; fields[i] != NULL && i < FIELDS_MAX; i++)
        words[n++] = str_of(fields[i]);
    return n;
}

static struct id accept_entry(struct str entry_id, const struct str *fields, size_t n)
{
    struct id id;

    envelope_log_id(STR(SYSTEM_IN), entry_id, fields, n, &id);
    accept_id(&id);
    return id;
}

struct id system_entry(const char *id, const char *const *fields)
{
    struct rsession *s = redis_session(sys.redis.url);
    struct str words[3 + FIELDS_MAX];
    const struct reply *reply = NULL;
    struct err_info info = {0};
    size_t n = entry_words(id, fields, words);

    cr_assert_eq(rsession_command(s, n, words, &reply, &info), ERR_OK, "XADD: %s", info.text);
    struct id key = accept_entry(reply->s, words + 3, n - 3);
    rsession_close(s);
    return key;
}

static void add_some(struct rsession *s, int from, int n)
{
    char payloads[PIPELINE][32];
    struct str words[3 + FIELDS_MAX];

    for (int i = 0; i < n; i++) {
        snprintf(payloads[i], sizeof(payloads[i]), "{\"n\":%d}", from + i);
        const char *const fields[] = {"kind", "noop", "payload", payloads[i], NULL};
        rsession_append(s, entry_words("*", fields, words), words);
    }
    for (int i = 0; i < n; i++) {
        const struct reply *reply = NULL;
        const struct str fields[] = {STR("kind"), STR("noop"), STR("payload"), str_of(payloads[i])};
        cr_assert_eq(rsession_read(s, &reply, NULL), ERR_OK);
        accept_entry(reply->s, fields, 4);
    }
}

void system_entries(int n)
{
    struct rsession *s = redis_session(sys.redis.url);

    for (int i = 0; i < n; i += PIPELINE)
        add_some(s, i, n - i < PIPELINE ? n - i : PIPELINE);
    rsession_close(s);
}

void system_enqueue(const char *kind, const char *payload, int n)
{
    char prefix[32];

    /* Ids in the order of their making, which is the order in which a batch runs. */
    snprintf(prefix, sizeof(prefix), "00000000-0000-4000-8%03x-", ++sys.n_enqueued);
    system_sql(
        "select automation.enqueue_jobs(jsonb_agg(jsonb_build_object('kind', '%s', 'payload', '%s'::jsonb, 'tenant',"
        " '" SYSTEM_TENANT "', 'job_id', '%s' || lpad(to_hex(i), 12, '0')))) from generate_series(1, %d) i",
        kind, payload, prefix, n);
    for (int i = 1; i <= n; i++) {
        char text[64];
        struct id id;
        snprintf(text, sizeof(text), "%s%012x", prefix, (unsigned)i);
        cr_assert_eq(id_parse(str_of(text), &id), ERR_OK);
        accept_id(&id);
    }
}

struct id system_enqueue_one(const char *kind, const char *payload)
{
    struct id id;

    system_enqueue(kind, payload, 1);
    cr_assert_eq(id_parse((struct str){sys.accepted.data + sys.accepted.len - 36, 36}, &id), ERR_OK);
    return id;
}

void system_rule(const char *actions)
{
    system_sql(
        "insert into automation.rules (tenant_id, rule_id, name, status, definition) values ('" SYSTEM_TENANT
        "', gen_random_uuid(), 'r', 'active', '{\"schema_version\":1,\"name\":\"r\",\"trigger\":{\"type\":\"event\","
        "\"event\":\"form.submitted\"},\"actions\":%s}')",
        actions);
}

void system_events(int n)
{
    static const char one[] = "'00000000-0000-0000-00cc-' || lpad(to_hex(i), 12, '0')";
    const int from = sys.n_events + 1, to = sys.n_events + n;

    sys.n_events = to;
    system_sql("insert into automation.weddings (tenant_id, wedding_id, title, status, ceremony_date, ceremony_time, "
               "time_zone)"
               " select '" SYSTEM_TENANT
               "', (%s)::uuid, 'W' || i, 'booked', current_date + 365, '15:00', 'Europe/Lisbon'"
               " from generate_series(%d, %d) i;"
               "select count(automation.publish_event('" SYSTEM_TENANT "', 'form.submitted', (%s)::uuid, '{}'))"
               " from generate_series(%d, %d) i",
               one, from, to, one, from, to);
}

struct db_session *system_hold(const char *sql)
{
    struct db_session *s = test_pg_session(&sys.pg);
    struct err_info info = {0};

    cr_assert_eq(db_exec(s, "begin; set local idle_in_transaction_session_timeout = 0", NULL, &info), ERR_OK);
    cr_assert_eq(db_exec(s, sql, NULL, &info), ERR_OK, "%s: %s", sql, info.text);
    return s;
}

void system_let_go(struct db_session *s, const char *how)
{
    struct err_info info = {0};

    cr_assert_eq(db_exec(s, how, NULL, &info), ERR_OK, "%s", info.text);
    db_close(s);
}
