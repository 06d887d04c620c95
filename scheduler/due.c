/* due: see due.h. */
#include "scheduler/due.h"

#include <string.h>

#include "common/core/fire.h"

void due_timing(const struct due *d, int i, struct store_timing *out)
{
    store_lead_timing(d->timings, i, out);
}

/* A rule set that can not be loaded ends the batch, which is taken with care then: each timing finds out for itself. */
static enum err parts_read(const struct due *d, struct lead *l, unsigned *parts, struct err_info *info)
{
    enum err err = ERR_OK;

    *parts = l->careful ? CONTEXT_ALL_PARTS : 0;
    for (int i = 0; i < d->n && *parts != CONTEXT_ALL_PARTS && err == ERR_OK; i++) {
        struct store_timing t;
        struct match *rules = NULL;

        due_timing(d, i, &t);
        if (fire_is_off(t.wedding_status) || t.ruleset_version == 0)
            continue;
        err = rulesets_get(l->rules, l->db, &t.tenant_id, t.ruleset_version, &rules, info);
        if (err == ERR_OK)
            *parts |= match_timing_parts(rules, &t.timing_id);
    }
    return err;
}

static enum err ask_facts(struct due *d, struct lead *l, unsigned parts, struct err_info *info)
{
    struct id tenants[DUE_BATCH], weddings[DUE_BATCH];
    struct str names[CONTEXT_PARTS];
    struct store_facts asked = {.tenants = tenants, .weddings = weddings, .parts = names};

    for (unsigned i = 0; i < CONTEXT_PARTS; i++) {
        if (parts & 1U << i)
            names[asked.n_parts++] = str_of(context_part_name(i));
    }
    for (int i = 0; i < d->n; i++) {
        struct store_timing t;

        due_timing(d, i, &t);
        asked.now_us = t.now_us;
        if (asked.n == 0 || !id_eq(&weddings[asked.n - 1], &t.wedding_id) ||
            !id_eq(&tenants[asked.n - 1], &t.tenant_id)) {
            tenants[asked.n] = t.tenant_id;
            weddings[asked.n++] = t.wedding_id;
        }
        d->document[i] = (int)asked.n - 1;
    }
    return store_lead_facts(l->db, &asked, &d->documents, info);
}

enum err due_take(struct due *d, struct lead *l, struct err_info *info)
{
    unsigned parts = 0;
    enum err err = store_lead_timings(l->db, l->term, DUE_BATCH, &d->timings, info);

    d->n = err == ERR_OK ? db_rows(d->timings) : 0;
    if (err == ERR_OK)
        err = parts_read(d, l, &parts, info);
    if (err == ERR_OK && parts != 0)
        err = ask_facts(d, l, parts, info);
    return err;
}

enum err due_facts(struct due *d, int i, struct facts **out, struct err_info *info)
{
    const int row = d->document[i];
    struct store_timing t;
    enum err err = ERR_OK;

    *out = &d->facts;
    if (d->parsed == row + 1)
        return ERR_OK;
    facts_free(&d->facts);
    due_timing(d, i, &t);
    err = facts_init(&d->facts, d->documents != NULL ? db_text(d->documents, row, 0) : (struct str){0}, t.now_us, info);
    d->parsed = err == ERR_OK ? row + 1 : 0;
    return err;
}

void due_free(struct due *d)
{
    facts_free(&d->facts);
    db_result_free(d->documents);
    db_result_free(d->timings);
    memset(d, 0, sizeof(*d));
}
