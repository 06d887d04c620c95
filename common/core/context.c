/* context: see context.h. */
#include "common/core/context.h"

#include <string.h>

#include "common/core/civil.h"

#define MAY 5
#define OCTOBER 10

json_t *context_new(struct str facts)
{
    json_t *context = facts.p ? json_loadb(facts.p, facts.n, 0, NULL) : NULL;
    if (json_is_object(context))
        return context;
    json_decref(context);
    return json_object();
}

void context_set_event(json_t *context, const json_t *payload, struct str type, struct str id)
{
    json_t *event = json_is_object(payload) ? json_copy((json_t *)(uintptr_t)payload) : json_object();
    if (type.p)
        json_object_set_new(event, "type", json_stringn(type.p, type.n));
    if (id.p)
        json_object_set_new(event, "id", json_stringn(id.p, id.n));
    json_object_set_new(context, "event", event);
}

static uint16_t season_of(const json_t *context)
{
    const json_t *months = json_object_get(json_object_get(context, "tenant"), "season_months");
    uint16_t season = 0;
    json_t *month;
    size_t i;
    json_array_foreach(months, i, month)
    {
        json_int_t m = json_integer_value(month);
        if (m >= 1 && m <= 12)
            season = (uint16_t)(season | 1u << m);
    }
    if (season)
        return season;
    for (unsigned m = MAY; m <= OCTOBER; m++)
        season = (uint16_t)(season | 1u << m);
    return season;
}

void context_env(const json_t *context, int64_t now_us, struct logic_change changes[CONTEXT_CHANGES_MAX],
                 struct logic_env *env)
{
    const json_t *event = json_object_get(context, "event");
    const json_t *old = json_object_get(event, "old");
    const char *today = json_string_value(json_object_get(context, "today"));
    json_t *path;
    size_t i;
    *env = (struct logic_env){.now_us = now_us, .season_months = season_of(context), .changes = changes};
    if (today && civil_parse_date(str_of(today), &env->today) != ERR_OK)
        env->today = (struct civil){0};
    json_array_foreach(json_object_get(event, "changed"), i, path)
    {
        const char *text = json_string_value(path);
        if (!text || env->n_changes == CONTEXT_CHANGES_MAX)
            continue;
        changes[env->n_changes++] = (struct logic_change){text, json_object_get(old, text)};
    }
}

static const char *const part_names[CONTEXT_PARTS] = {
    [CONTEXT_WEDDING] = "wedding",   [CONTEXT_VENUE] = "venue",   [CONTEXT_PROJECT] = "project",
    [CONTEXT_CLIENT] = "client",     [CONTEXT_TENANT] = "tenant", [CONTEXT_VENDORS] = "vendors",
    [CONTEXT_TIMELINE] = "timeline", [CONTEXT_TODAY] = "today",   [CONTEXT_ATTRIBUTES] = "attributes",
};

const char *context_part_name(enum context_part part)
{
    return part_names[part];
}

static unsigned part_of(const char *path)
{
    const size_t n = strcspn(path, ".");

    if (*path == '\0')
        return CONTEXT_ALL_PARTS;
    if (strcmp(path, "now") == 0)
        return 1U << CONTEXT_TODAY;
    for (unsigned i = 0; i < CONTEXT_ATTRIBUTES; i++) {
        if (strncmp(part_names[i], path, n) == 0 && part_names[i][n] == '\0')
            return 1U << i;
    }
    return 1U << CONTEXT_ATTRIBUTES;
}

unsigned context_parts_read(const struct logic *condition, const struct logic_fields *fields)
{
    const uint32_t *slots;
    size_t n;
    unsigned parts = 0;

    if (condition == NULL)
        return 0;
    if (logic_needs(condition) & LOGIC_NEEDS_ANY_FIELD)
        return CONTEXT_ALL_PARTS;
    if (logic_needs(condition) & LOGIC_NEEDS_TODAY) /* and with it the season's months */
        parts |= 1U << CONTEXT_TODAY | 1U << CONTEXT_TENANT;
    slots = logic_slots(condition, &n);
    for (size_t i = 0; i < n; i++)
        parts |= part_of(logic_fields_path(fields, slots[i]));
    return parts;
}
