/* preview: see preview.h.
 *
 * The transaction begins; wedding and rule are read and the rule is parsed; the fire instant is derived; then conditions, verdict,
 * steps, conflicts and the count follow (preview_run.c, preview_season.c); the transaction is rolled back.
 *
 * Failures: a document that is no valid rule ends it with the validator's errors as the result; an error of the database with
 * nothing. */
#include "common/io/preview.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/core/civil.h"
#include "common/core/fire.h"
#include "common/core/match.h"
#include "common/core/vocab.h"
#include "common/io/preview_private.h"
#include "common/io/store_preview.h"

#define SECONDS_LENGTH 19 /* of "2026-03-28T09:00:00" */
#define US_PER_S INT64_C(1000000)
#define SECONDS_PER_MINUTE 60

void preview_warn(struct preview *p, const char *code, const char *fmt, ...)
{
    char *text = NULL;
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&text, fmt, ap) < 0)
        text = NULL;
    va_end(ap);
    json_array_append_new(p->warnings, json_pack("{s:s,s:s}", "code", code, "text", text != NULL ? text : ""));
    free(text);
}

json_t *preview_utc(int64_t us)
{
    char text[STR_TIME_SIZE];

    if (us == DB_NULL_TIME)
        return json_null();
    str_from_time(text, us);
    return json_sprintf("%.*sZ", SECONDS_LENGTH, text);
}

json_t *preview_local(int64_t us, int32_t offset_s)
{
    char text[STR_TIME_SIZE];
    int minutes = abs(offset_s) / 60;

    if (us == DB_NULL_TIME)
        return json_null();
    str_from_time(text, us + offset_s * US_PER_S);
    return json_sprintf("%.*s%c%02d:%02d", SECONDS_LENGTH, text, offset_s < 0 ? '-' : '+', minutes / 60, minutes % 60);
}

json_t *preview_text(struct str s)
{
    return s.p != NULL ? json_stringn(s.p, s.n) : json_null();
}

static json_t *id_json(const struct id *id)
{
    char text[ID_TEXT_SIZE];

    return id_is_zero(id) ? json_null() : json_string(id_format(id, text));
}

void preview_set_event(const struct preview *p, json_t *context)
{
    char id[ID_TEXT_SIZE];

    if (p->rule->trigger.type == TRIGGER_EVENT)
        context_set_event(context, p->request->event, str_of(p->rule->trigger.event_type),
                          str_of(id_format(&ID_ZERO, id)));
}

/* ---- wedding and rule --------------------------------------------------------------------------------------------------- */

static void put_wedding(struct preview *p, const struct db_result *r)
{
    json_object_set_new(p->out, "wedding",
                        json_pack("{s:o,s:o,s:o,s:o,s:o,s:I}", "id", id_json(&p->request->wedding_id), "title",
                                  preview_text(db_text(r, 0, 0)), "status", preview_text(db_text(r, 0, 1)), "date",
                                  preview_text(db_text(r, 0, 2)), "time_zone", preview_text(db_text(r, 0, 3)),
                                  "revision", (json_int_t)db_i64(r, 0, 4)));
}

static enum err read_wedding(struct preview *p)
{
    struct db_result *r = NULL;
    enum err err = store_preview_wedding(p->db, &p->request->tenant_id, &p->request->wedding_id, &r, p->info);

    if (err == ERR_OK && db_rows(r) == 0)
        err = err_set(p->info, ERR_NOTFOUND, "the tenant has no such wedding");
    if (err == ERR_OK) {
        p->as_of_us = p->request->as_of_us == DB_NULL_TIME ? db_time(r, 0, 6) : p->request->as_of_us;
        p->scheduled = !fire_is_off(db_text(r, 0, 1));
        put_wedding(p, r);
        json_object_set_new(p->out, "as_of", preview_utc(p->as_of_us));
    }
    db_result_free(r);
    return err;
}

static enum err parse(struct preview *p, struct str document)
{
    struct rule_errors errors = {0};
    enum err err = ERR_OK;

    p->rule = rule_parse_text(document, p->fields, &errors);
    if (p->rule == NULL) {
        err = err_set(p->info, ERR_INVALID, "the rule is not valid at \"%s\": %s", errors.items[0].pointer,
                      errors.items[0].message);
        json_object_clear(p->out);
        json_object_set_new(p->out, "errors", rule_errors_json(&errors));
    }
    for (size_t i = 0; i < errors.n_warnings; i++)
        preview_warn(p, "lint", "%s: %s", errors.warnings[i].pointer, errors.warnings[i].message);
    rule_errors_free(&errors);
    return err;
}

/* The engine's own remarks on the stored revision: [{"pointer", "message"}]. */
static void warn_stored(struct preview *p, const char *code, struct str list)
{
    json_t *items = list.p != NULL ? json_loadb(list.p, list.n, 0, NULL) : NULL, *item;
    size_t i;

    json_array_foreach(items, i, item)
    {
        preview_warn(p, code, "%s: %s", json_string_value(json_object_get(item, "pointer")),
                     json_string_value(json_object_get(item, "message")));
    }
    json_decref(items);
}

static void warn_rejected(struct preview *p, int64_t revision, struct str list)
{
    preview_warn(p, "rejected", "the engine rejected revision %lld", (long long)revision);
    warn_stored(p, "rejected", list);
}

static void warn_standing(struct preview *p, const struct db_result *r)
{
    struct str status = db_text(r, 0, 4);
    int64_t revision = db_i64(r, 0, 1);

    p->active = str_is(status, "active");
    if (!p->active)
        preview_warn(p, "not_active", "the rule is %.*s: nothing starts until it is active", (int)status.n, status.p);
    if (p->request->document.p != NULL)
        preview_warn(p, "draft", "this is a draft; revision %lld is stored", (long long)revision);
    else if (!db_null(r, 0, 3) && db_i64(r, 0, 3) == revision)
        warn_rejected(p, revision, db_text(r, 0, 6));
    else if (db_null(r, 0, 2) || db_i64(r, 0, 2) != revision)
        preview_warn(p, "unchecked", "revision %lld is not checked yet; an older one may be running",
                     (long long)revision);
    else
        warn_stored(p, "stored", db_text(r, 0, 5));
}

static void put_rule(struct preview *p, const struct db_result *r)
{
    json_object_set_new(p->out, "rule",
                        json_pack("{s:o,s:s,s:o,s:o,s:s}", "id", id_json(&p->request->rule_id), "name", p->rule->name,
                                  "revision", r != NULL ? json_integer(db_i64(r, 0, 1)) : json_null(), "status",
                                  r != NULL ? preview_text(db_text(r, 0, 4)) : json_null(), "trigger",
                                  vocab_text(VOCAB_TRIGGER, (int)p->rule->trigger.type)));
    if (r != NULL)
        warn_standing(p, r);
    else
        preview_warn(p, "draft", "this is a draft that is not stored");
}

static enum err read_rule(struct preview *p)
{
    const struct preview_request *request = p->request;
    struct db_result *r = NULL;
    enum err err = ERR_OK;

    if (!id_is_zero(&request->rule_id))
        err = store_preview_rule(p->db, &request->tenant_id, &request->rule_id, &r, p->info);
    if (err == ERR_OK && (r == NULL || db_rows(r) == 0)) {
        if (r != NULL || request->document.p == NULL)
            err = err_set(p->info, ERR_NOTFOUND, "the tenant has no such rule");
    }
    if (err == ERR_OK)
        err = parse(p, request->document.p != NULL ? request->document : db_text(r, 0, 0));
    if (err == ERR_OK) {
        p->facts = logic_facts_new(p->fields);
        put_rule(p, r);
    }
    db_result_free(r);
    return err;
}

/* ---- the fire instant --------------------------------------------------------------------------------------------------- */

static json_t *shift_json(const struct store_preview_fire *f)
{
    if (f->due_us == DB_NULL_TIME || (!f->gap && !f->ambiguous))
        return json_null();
    return json_string(f->gap ? "gap" : "ambiguous");
}

static json_t *derivation(const struct rule_trigger *t, const struct store_preview_fire *f)
{
    char offset[OFFSET_TEXT_SIZE];
    json_t *at =
        t->at_minute < 0 ? json_null() : json_sprintf("%02d:%02d", (int)(t->at_minute / 60), (int)(t->at_minute % 60));

    return json_pack("{s:s,s:o,s:o,s:s,s:o,s:s,s:o,s:o}", "milestone", vocab_text(VOCAB_MILESTONE, (int)t->milestone),
                     "local_date", preview_text(f->anchor_date), "local_time", preview_text(f->anchor_time), "offset",
                     offset_format(&t->offset, offset), "at", at, "zone_mode", t->zone, "fire_date",
                     preview_text(f->fire_date), "shift", shift_json(f));
}

static const char *window_why(const struct rule_window *w, int64_t local_us)
{
    int64_t local_s = local_us / US_PER_S, day = local_s / CIVIL_SECONDS_PER_DAY;
    int64_t minute = local_s % CIVIL_SECONDS_PER_DAY / SECONDS_PER_MINUTE;

    if (((w->days >> (civil_weekday((int32_t)day) - 1)) & 1) == 0)
        return "closed_day";
    return minute < w->from_minute ? "before_it_opens" : "after_it_closes";
}

json_t *preview_window(const struct rule_window *w, int64_t from_us, int64_t to_us, int32_t from_offset_s,
                       int32_t to_offset_s)
{
    json_t *open = json_sprintf("%02d:%02d-%02d:%02d", (int)(w->from_minute / 60), (int)(w->from_minute % 60),
                                (int)(w->to_minute / 60), (int)(w->to_minute % 60));

    return json_pack("{s:o,s:o,s:o,s:o,s:o,s:s,s:s}", "from_utc", preview_utc(from_us), "from_local",
                     preview_local(from_us, from_offset_s), "to_utc", preview_utc(to_us), "to_local",
                     preview_local(to_us, to_offset_s), "open", open, "why",
                     window_why(w, from_us + from_offset_s * US_PER_S), "moved",
                     to_us < from_us ? "back_from_the_milestone" : "next_open");
}

static json_t *shifted(const struct preview *p, const struct store_preview_fire *f)
{
    if (p->due_us == DB_NULL_TIME || f->nominal_us == f->due_us)
        return json_null();
    return preview_window(&p->rule->trigger.window, f->nominal_us, f->due_us, f->nominal_offset_s, f->offset_s);
}

/* "future", "past_due" or why there is no instant. */
static json_t *state_json(struct preview *p, const struct store_preview_fire *f)
{
    const struct rule_trigger *t = &p->rule->trigger;
    const char *status = json_string_value(json_object_get(json_object_get(p->out, "wedding"), "status"));

    if (!p->scheduled)
        return json_sprintf("unscheduled:wedding_%s", status);
    if (t->type == TRIGGER_EVENT)
        return json_sprintf("unscheduled:event:%s", t->event_type);
    if (t->type != TRIGGER_MILESTONE)
        return json_sprintf("unscheduled:%s", vocab_text(VOCAB_TRIGGER, (int)t->type));
    if (!f->zone_known)
        return json_string("unscheduled:zone_unknown");
    if (f->due_us == DB_NULL_TIME)
        return json_string("unscheduled:anchor_missing");
    return json_string(f->due_us < p->as_of_us ? "past_due" : "future");
}

static void put_fire(struct preview *p, const struct store_preview_fire *f)
{
    bool anchored = p->rule->trigger.type == TRIGGER_MILESTONE;

    p->due_us = anchored ? f->due_us : DB_NULL_TIME;
    p->zone_known = f->zone_known;
    p->occurrence = f->occurrence;
    p->fired = f->fired;
    p->at_us = p->due_us != DB_NULL_TIME && p->due_us > p->as_of_us ? p->due_us : p->as_of_us;
    json_object_set_new(p->out, "fire",
                        json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "due_utc", preview_utc(p->due_us), "due_local",
                                  preview_local(p->due_us, f->offset_s), "zone", preview_text(f->zone), "derivation",
                                  anchored ? derivation(&p->rule->trigger, f) : json_null(), "state", state_json(p, f),
                                  "window", shifted(p, f), "occurrence",
                                  anchored ? json_integer(f->occurrence) : json_null()));
    if (anchored && (!f->zone_known || f->due_us == DB_NULL_TIME))
        p->scheduled = false;
    if (anchored && f->due_us != DB_NULL_TIME && f->gap)
        preview_warn(p, "time_does_not_exist", "clocks go forward then: that local time does not exist and is moved on");
    else if (anchored && f->due_us != DB_NULL_TIME && f->ambiguous)
        preview_warn(p, "time_is_ambiguous", "clocks go back then: that local time comes twice, the later one is taken");
}

static json_t *occurrence_json(const struct preview *p, const struct db_result *r, int row)
{
    int64_t n = db_i64(r, row, 0), due_us = db_time(r, row, 1);
    bool fired = n < p->occurrence || (n == p->occurrence && p->fired);

    return json_pack("{s:I,s:o,s:o,s:s}", "occurrence", (json_int_t)n, "due_utc", preview_utc(due_us), "due_local",
                     preview_local(due_us, (int32_t)db_i64(r, row, 2)), "state",
                     fired                  ? "fired"
                     : due_us < p->as_of_us ? "past_due"
                                            : "future");
}

static enum err read_occurrences(struct preview *p)
{
    struct db_result *r = NULL;
    json_t *list = json_array();
    enum err err = ERR_OK;

    if (p->rule->trigger.yearly > 0 && p->zone_known)
        err = store_preview_occurrences(p->db, &p->request->tenant_id, &p->request->wedding_id, &p->rule->trigger, &r,
                                        p->info);
    for (int i = 0; err == ERR_OK && r != NULL && i < db_rows(r); i++)
        json_array_append_new(list, occurrence_json(p, r, i));
    json_object_set_new(json_object_get(p->out, "fire"), "occurrences", list);
    db_result_free(r);
    return err;
}

static enum err read_fire(struct preview *p)
{
    struct store_preview_fire fire = {0};
    struct db_result *r = NULL;
    enum err err = store_preview_fire(p->db, &p->request->tenant_id, &p->request->wedding_id, &p->rule->trigger, &fire,
                                      &r, p->info);

    if (err == ERR_OK)
        put_fire(p, &fire);
    if (err == ERR_OK && p->rule->trigger.type == TRIGGER_MILESTONE)
        match_timing_id(&p->rule->trigger, &p->timing);
    if (err == ERR_OK)
        err = read_occurrences(p);
    db_result_free(r);
    return err;
}

/* ---- all of it ---------------------------------------------------------------------------------------------------------- */

static enum err run(struct preview *p)
{
    static enum err (*const parts[])(struct preview *) = {
        read_wedding,
        read_rule,
        read_fire,
        preview_run_conditions,
        preview_standing,
        preview_run_steps,
        preview_season_conflicts,
        preview_season_matches,
    };
    enum err err = ERR_OK;

    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]) && err == ERR_OK; i++)
        err = parts[i](p);
    return err;
}

enum err preview_rule(struct db_session *db, const struct preview_request *request, json_t **out, struct err_info *info)
{
    struct preview p = {.db = db, .request = request, .info = info, .due_us = DB_NULL_TIME, .limit_us = DB_NULL_TIME};
    enum err err = store_preview_begin(db, info);

    *out = NULL;
    if (err != ERR_OK)
        return err;
    p.out = json_object();
    p.warnings = json_array();
    p.fields = logic_fields_new();
    err = run(&p);
    store_preview_end(db);
    if (err == ERR_OK)
        json_object_set(p.out, "warnings", p.warnings);
    if (err == ERR_OK || err == ERR_INVALID)
        *out = json_incref(p.out);
    logic_facts_free(p.facts);
    rule_free(p.rule);
    logic_fields_free(p.fields);
    json_decref(p.context);
    json_decref(p.approved_by);
    json_decref(p.warnings);
    json_decref(p.out);
    return err;
}
