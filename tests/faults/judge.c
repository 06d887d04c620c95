/* judge: the verdict over a cell. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/map.h"
#include "tests/faults/cell.h"

#define FINAL_ROWS                                                                                                     \
    "(select job_id from automation.execution_logs where outcome in (0, 2, 3, 4, 5)"                                   \
    " union all select job_id from automation_priv.log_quarantine where (row_data ->> 'outcome')::int in (0, 2, 3, "   \
    "4, 5))"

/* How often each id came. */
static void count(struct map *m, const struct id *id)
{
    uintptr_t n = (uintptr_t)map_get(m, id, sizeof(*id));

    map_put(m, id, sizeof(*id), (void *)(n + 1)); // NOLINT(performance-no-int-to-ptr)
}

static void count_received(struct map *m)
{
    static const char before[] = "{\"webhook_id\": \"";
    struct buf b = {0};
    struct id id;

    sink_read(&cell.web, "received.jsonl", &b);
    for (const char *line = b.data, *end; line != NULL && (end = strchr(line, '\n')) != NULL; line = end + 1) {
        if (strncmp(line, before, sizeof(before) - 1) == 0 &&
            id_parse((struct str){line + sizeof(before) - 1, ID_TEXT_SIZE - 1}, &id) == ERR_OK)
            count(m, &id);
    }
    buf_free(&b);
}

static void count_ended(struct map *m)
{
    static const struct db_stmt stmt = {"ended", "select job_id from " FINAL_ROWS " f"};
    struct db_session *s = test_pg_session(&sys.pg);
    struct db_result *rows = NULL;

    cr_assert_eq(db_query(s, &stmt, NULL, &rows, NULL), ERR_OK);
    for (int i = 0; i < db_rows(rows); i++) {
        struct id id = db_id(rows, i, 0);
        count(m, &id);
    }
    db_result_free(rows);
    db_close(s);
}

static int64_t missing(const struct cell_ids *ids, const struct map *in)
{
    int64_t n = 0;

    for (size_t i = 0; i < ids->n; i++)
        n += map_get(in, &ids->v[i], sizeof(struct id)) == NULL;
    return n;
}

static int64_t beyond_one(const struct map *m)
{
    int64_t n = 0;
    size_t at = 0, key_n;
    const void *key;
    void *value;

    while (map_next(m, &at, &key, &key_n, &value))
        n += (int64_t)(uintptr_t)value - 1;
    return n;
}

/* Of the ids that the sink has, those that are not in the other map. */
static int64_t not_in(const struct map *received, const struct map *other)
{
    int64_t n = 0;
    size_t at = 0, key_n;
    const void *key;
    void *value;

    while (map_next(received, &at, &key, &key_n, &value))
        n += map_get(other, key, key_n) == NULL;
    return n;
}

static void put_all(struct map *m, const struct cell_ids *ids)
{
    for (size_t i = 0; i < ids->n; i++)
        map_put(m, &ids->v[i], sizeof(struct id), m);
}

/* Requests whose ids no producer was told of. */
static int64_t unasked(const struct map *received)
{
    struct map accepted = {0};

    put_all(&accepted, &cell.ledger_out);
    put_all(&accepted, &cell.direct_out);
    const int64_t n = not_in(received, &accepted);
    map_free(&accepted);
    return n;
}

void cell_interrupts(int workers)
{
    struct map received = {0}, ended = {0};

    count_received(&received);
    count_ended(&ended);
    /* Requests under way may reach the sink after this count. */
    cell.may_repeat += not_in(&received, &ended) + (int64_t)workers * CELL_CONCURRENCY;
    map_free(&received);
    map_free(&ended);
}

void cell_redis_loses(void)
{
    struct map ended = {0};

    count_ended(&ended);
    const int64_t adopted = system_i64("select count(*) from automation_priv.ledger where bare_entry is not null");
    const int64_t open = missing(&cell.direct, &ended) - adopted;
    cell.may_lose_direct = open > 0 ? open : 0;
    map_free(&ended);
}

struct verdict {
    int64_t lost, lost_direct, duplicate_effects, outward_repeats, duplicate_logs, dead, unasked, unaccounted;
};

static int64_t missing_named(const struct cell_ids *ids, const struct map *in, const char *what)
{
    char text[ID_TEXT_SIZE];

    for (size_t i = 0; i < ids->n; i++) {
        if (map_get(in, &ids->v[i], sizeof(struct id)) == NULL)
            fprintf(stderr, "%s: %s: %s\n", cell.name, what, id_format(&ids->v[i], text));
    }
    return missing(ids, in);
}

static int64_t over(int64_t n, int64_t most)
{
    return n > most ? n - most : 0;
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static void look(struct verdict *v)
{
    struct map received = {0}, ended = {0};
    const int64_t tasks = system_i64("select count(*) from automation.tasks");
    const int64_t notes = system_i64("select count(*) from automation.notes");

    count_received(&received);
    count_ended(&ended);
    v->lost =
        larger(missing_named(&cell.ledger, &ended, "no end"), missing_named(&cell.ledger_out, &received, "no request")) -
        cell.excused;
    v->lost += over(cell.events, smaller(tasks, notes));
    v->lost_direct = larger(missing_named(&cell.direct, &ended, "an entry without an end"),
                            missing_named(&cell.direct_out, &received, "an entry without a request"));
    v->duplicate_effects = over(tasks, cell.events) + over(notes, cell.events);
    v->outward_repeats = beyond_one(&received);
    v->duplicate_logs = beyond_one(&ended);
    v->unasked = unasked(&received);
    v->dead = system_i64("select count(*) from automation.dead_letters");
    v->unaccounted = system_i64(
        "select coalesce(sum(abs(unaccounted) + in_flight + waiting), 0)::bigint from automation_priv.audit()");
    map_free(&received);
    map_free(&ended);
}

static const char *fault_of(const struct verdict *v)
{
    if (v->lost != 0)
        return "ledger jobs lost";
    if (v->lost_direct > cell.may_lose_direct)
        return "bare entries lost that Redis had kept";
    if (v->duplicate_effects != 0 || v->duplicate_logs != 0)
        return "done twice";
    if (v->outward_repeats > cell.may_repeat)
        return "more repeats than were in progress";
    if (v->unasked > cell.in_doubt)
        return "requests that nobody was told were accepted";
    if (v->dead != cell.may_die)
        return "dead letters that nobody deserved, or too few";
    if (v->unaccounted != 0)
        return "unaccounted or unfinished in the audit";
    if (cell.recovery_s > cell.recovery_limit_s)
        return "recovered too late";
    return cell.broken;
}

void cell_judge(void)
{
    struct verdict v = {0};

    system_until_done();
    look(&v);
    const char *why = fault_of(&v);
    printf(
        "{\"fault\":\"%s\",\"accepted\":%zu,\"lost\":%lld,\"lost_direct\":%lld,\"duplicate_effects\":%lld,"
        "\"outward_repeats\":%lld,\"duplicate_logs\":%lld,\"dead\":%lld,\"recovery_seconds\":%.1f,\"ok\":%s%s%s%s}\n",
        cell.name, cell.ledger.n + cell.direct.n + (size_t)(cell.events + cell.in_bulk), (long long)v.lost,
        (long long)v.lost_direct, (long long)v.duplicate_effects, (long long)v.outward_repeats,
        (long long)v.duplicate_logs, (long long)v.dead, cell.recovery_s, why == NULL ? "true" : "false",
        why == NULL ? "" : ",\"why\":\"", why == NULL ? "" : why, why == NULL ? "" : "\"");
    (void)fflush(stdout);
    cell.printed = true;
    if (why != NULL)
        system_show_logs();
    cr_expect_null(why, "%s: %s", cell.name, why);
}
