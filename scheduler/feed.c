/* feed: copies new dead letters into the capped stream usher:{0}:dlq, for whoever wants to be told instead of asking.
 *
 * Each is added at least once: first XADD, then the mark in PostgreSQL, so that a crash, a takeover or a restored database between
 * the two adds it again (`job` is the same). They come in the order of their death as far as that is known: one whose transaction
 * commits late comes late. When Redis refuses, what was added is marked, the rest stays unmarked, and the duty tries again with
 * growing delays. PostgreSQL has the dead letters; a lost or trimmed stream is not filled again. */
#include "scheduler/lead.h"

#include <stdio.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/io/die.h"
#include "common/io/queue_admin.h"
#include "common/io/store_lead.h"

#define BATCH 500         /* a second; a round trip each */
#define CAP_ENTRIES 10000 /* what an onlooker may fall behind */
#define FIELDS_MAX 10

struct entry {
    struct queue_field fields[FIELDS_MAX];
    size_t n;
    char ids[4][ID_TEXT_SIZE];
    size_t n_ids;
    char attempt[24];
    char died[STR_TIME_SIZE];
};

static void put(struct entry *e, const char *name, struct str value)
{
    if (value.p != NULL)
        e->fields[e->n++] = (struct queue_field){str_of(name), value};
}

static void put_id(struct entry *e, const char *name, const struct db_result *rows, int row, int col)
{
    struct id id = db_id(rows, row, col);

    if (!db_null(rows, row, col))
        put(e, name, str_of(id_format(&id, e->ids[e->n_ids++])));
}

static void fill(struct entry *e, const struct db_result *rows, int row)
{
    memset(e, 0, sizeof(*e));
    put_id(e, "job", rows, row, 1);
    put_id(e, "tenant", rows, row, 0);
    put(e, "kind", db_text(rows, row, 2));
    put(e, "queue", db_text(rows, row, 3));
    put(e, "reason", db_text(rows, row, 4));
    put(e, "error", db_text(rows, row, 5));
    (void)snprintf(e->attempt, sizeof(e->attempt), "%lld", (long long)db_i64(rows, row, 6));
    put(e, "attempt", str_of(e->attempt));
    put_id(e, "run", rows, row, 7);
    put_id(e, "wedding", rows, row, 8);
    str_from_time(e->died, db_time(rows, row, 9));
    put(e, "died_at", str_of(e->died));
}

/* *added: so many of the first rows are in the stream. */
static enum err add(struct lead *l, const struct db_result *rows, size_t *added, struct err_info *info)
{
    enum err err = ERR_OK;

    for (int row = 0; err == ERR_OK && row < db_rows(rows); row++) {
        struct entry e;
        fill(&e, rows, row);
        err = queue_admin_add_dead(l->redis, e.fields, e.n, CAP_ENTRIES, info);
        *added += err == ERR_OK;
    }
    return err;
}

static enum err mark(struct lead *l, const struct db_result *rows, size_t n, struct err_info *info)
{
    struct id tenants[BATCH], jobs[BATCH];

    for (size_t i = 0; i < n; i++) {
        tenants[i] = db_id(rows, (int)i, 0);
        jobs[i] = db_id(rows, (int)i, 1);
    }
    return store_lead_dead_fed(l->db, l->term, tenants, jobs, n, info);
}

enum err feed_run(struct lead *l, bool *more, struct err_info *info)
{
    struct db_result *rows = NULL;
    struct err_info marking = {0};
    size_t added = 0;
    enum err err = store_lead_dead_unfed(l->db, BATCH, &rows, info), marked = ERR_OK;

    *more = false;
    if (err == ERR_OK)
        err = add(l, rows, &added, info);
    if (added > 0) {
        die_at("before_feed_mark");
        marked = mark(l, rows, added, &marking);
    }
    if (marked != ERR_OK) { /* an ended term outweighs what Redis says */
        err = marked;
        *info = marking;
    }
    db_result_free(rows);
    return err;
}
