/* waking: see waking.h. */
#include "scheduler/waking.h"

#include <stdlib.h>

#include "common/base/mem.h"
#include "common/io/store_lead.h"

#define FIRST_CAP 16

bool waking_matches(struct rulesets *rules, const struct waking_step *step, const struct facts *facts)
{
    const struct rulesets_pinned *pinned =
        rulesets_pinned(rules, &step->tenant_id, &step->rule_id, step->revision, step->definition);
    const struct step *s = pinned != NULL ? program_step(&pinned->rule->program, step->step) : NULL;

    if (s == NULL || s->type != ACTION_WAIT || s->wait.kind != WAIT_EVENT)
        return false;
    if (s->wait.where == NULL)
        return true;
    logic_facts_set(pinned->facts, facts->root, &facts->env);
    return logic_eval(s->wait.where, pinned->facts, NULL) == LOGIC_TRUE;
}

void waking_add(struct waking *w, const struct id *job, const struct facts *facts)
{
    char *event = NULL;

    for (size_t i = 0; i < w->n; i++) {
        if (id_eq(&w->jobs[i], job))
            return;
    }
    if (w->n == w->cap) {
        w->cap = w->cap > 0 ? w->cap * 2 : FIRST_CAP;
        w->jobs = mem_realloc(w->jobs, w->cap * sizeof(w->jobs[0]));
    }
    event = json_dumps(facts_event(facts), JSON_COMPACT);
    buf_put_char(&w->events, w->n == 0 ? '[' : ',');
    buf_put_str(&w->events, event != NULL ? event : "{}");
    w->jobs[w->n++] = *job;
    free(event);
}

enum err waking_flush(struct waking *w, struct db_session *s, int64_t term, int64_t *woken, struct err_info *info)
{
    enum err err = ERR_OK;

    *woken = 0;
    if (w->n == 0)
        return ERR_OK;
    buf_put_char(&w->events, ']');
    err = store_lead_wake(s, term, w->jobs, w->n, (struct str){w->events.data, w->events.len}, woken, info);
    w->n = 0;
    buf_reset(&w->events);
    return err;
}

void waking_free(struct waking *w)
{
    mem_free(w->jobs);
    buf_free(&w->events);
    *w = (struct waking){0};
}
