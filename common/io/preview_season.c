/* preview_season: the rule beside others: rules that fire within a day of it, and how many weddings of the coming year it would
 * match (preview.h). Weddings are read page by page, since attributes may be large. */
#include "common/io/preview_private.h"
#include "common/io/store_preview.h"

#define PAGE 250
#define US_PER_MINUTE INT64_C(60000000)
#define DATE_SIZE 16 /* "2027-05-02" */

static json_t *conflict_json(const struct preview *p, const struct db_result *r, int row)
{
    struct id rule = db_id(r, row, 0);
    struct str name = db_text(r, row, 1), state = db_text(r, row, 3);
    int64_t due_us = db_time(r, row, 2);
    char id[ID_TEXT_SIZE];

    return json_pack("{s:s,s:s%,s:o,s:o,s:I,s:s%}", "rule_id", id_format(&rule, id), "name", name.p, name.n, "due_utc",
                     preview_utc(due_us), "due_local", preview_local(due_us, (int32_t)db_i64(r, row, 4)), "minutes",
                     (json_int_t)((due_us - p->due_us) / US_PER_MINUTE), "state", state.p, state.n);
}

enum err preview_season_conflicts(struct preview *p)
{
    const struct preview_request *q = p->request;
    struct db_result *r = NULL;
    json_t *out = json_array();
    enum err err = ERR_OK;

    json_object_set_new(p->out, "conflicts", out);
    if (p->due_us == DB_NULL_TIME)
        return ERR_OK;
    err = store_preview_conflicts(p->db, &q->tenant_id, &q->wedding_id, &q->rule_id, p->due_us, &r, p->info);
    for (int i = 0; err == ERR_OK && i < db_rows(r) && i < STORE_PREVIEW_CONFLICTS_MAX; i++)
        json_array_append_new(out, conflict_json(p, r, i));
    if (err == ERR_OK && db_rows(r) > STORE_PREVIEW_CONFLICTS_MAX)
        preview_warn(p, "conflicts_cut", "more than %d rules fire within a day of it", STORE_PREVIEW_CONFLICTS_MAX);
    db_result_free(r);
    return err;
}

/* ---- how many weddings -------------------------------------------------------------------------------------------------- */

struct count {
    int64_t matches, unknown, unscheduled, examined;
    bool cut;
    char date[DATE_SIZE]; /* of the last wedding examined */
    struct id wedding;
};

static enum logic_truth judge(struct preview *p, struct str facts, int64_t at_us)
{
    struct logic_change changes[CONTEXT_CHANGES_MAX];
    struct logic_env env;
    json_t *context = context_new(facts);

    preview_set_event(p, context);
    context_env(context, at_us, changes, &env);
    logic_facts_set(p->facts, context, &env);
    enum logic_truth truth = p->rule->conditions != NULL ? logic_eval(p->rule->conditions, p->facts, NULL) : LOGIC_TRUE;
    logic_facts_set(p->facts, NULL, NULL);
    json_decref(context);
    return truth;
}

static void examine(struct preview *p, const struct db_result *r, int row, struct count *c)
{
    struct str date = db_text(r, row, 1);

    c->examined++;
    c->wedding = db_id(r, row, 0);
    (void)str_copy_n(c->date, sizeof(c->date), date.p, date.n);
    if (db_null(r, row, 2)) {
        c->unscheduled++;
        return;
    }
    enum logic_truth truth = judge(p, db_text(r, row, 3), db_time(r, row, 2));
    c->matches += truth == LOGIC_TRUE;
    c->unknown += truth == LOGIC_UNKNOWN;
}

static enum err count_page(struct preview *p, struct count *c, bool *more)
{
    struct db_result *r = NULL;
    enum err err = store_preview_season(p->db, &p->request->tenant_id, p->as_of_us, &p->rule->trigger, str_of(c->date),
                                        &c->wedding, PAGE, &r, p->info);
    int n = err == ERR_OK ? db_rows(r) : 0;

    for (int i = 0; i < n && !c->cut; i++) {
        if (c->examined == PREVIEW_WEDDINGS_MAX)
            c->cut = true;
        else
            examine(p, r, i, c);
    }
    *more = n == PAGE && !c->cut;
    db_result_free(r);
    return err;
}

enum err preview_season_matches(struct preview *p)
{
    struct count c = {0};
    bool more = p->zone_known;
    enum err err = ERR_OK;

    while (err == ERR_OK && more)
        err = count_page(p, &c, &more);
    json_object_set_new(p->out, "matches_next_12_months",
                        json_pack("{s:I,s:I,s:I,s:I,s:b}", "matches", (json_int_t)c.matches, "unknown",
                                  (json_int_t)c.unknown, "unscheduled", (json_int_t)c.unscheduled, "examined",
                                  (json_int_t)c.examined, "cut", c.cut));
    return err;
}
