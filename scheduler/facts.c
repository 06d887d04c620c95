/* facts: see facts.h.
 *
 * The zone's spans stay empty: without them an instant in UTC has no local date here, and a condition that asks for one is
 * unknown (reason zone_missing) and not guessed. Dates, which is what weddings have, need no spans. */
#include "scheduler/facts.h"

#include <string.h>

#define MONTHS 12

static uint16_t season_months(const json_t *root)
{
    const json_t *list = json_object_get(json_object_get(root, "tenant"), "season_months");
    unsigned months = 0;

    for (size_t i = 0; i < json_array_size(list); i++) {
        json_int_t m = json_integer_value(json_array_get(list, i));
        if (m >= 1 && m <= MONTHS)
            months |= 1u << m;
    }
    return months != 0 ? (uint16_t)months : FACTS_SEASON_DEFAULT;
}

static struct civil today(const json_t *root)
{
    struct civil day = {0};
    const char *text = json_string_value(json_object_get(root, "today"));

    if (text == NULL || civil_parse_date(str_of(text), &day) != ERR_OK)
        day = (struct civil){0};
    return day;
}

enum err facts_init(struct facts *f, struct str document, int64_t now_us, struct err_info *info)
{
    json_error_t why;

    memset(f, 0, sizeof(*f));
    f->root = document.p != NULL ? json_loadb(document.p, document.n, 0, &why) : json_object();
    if (!json_is_object(f->root)) {
        facts_free(f);
        return err_set(info, ERR_MALFORMED, "facts of a wedding are no JSON object");
    }
    f->env.now_us = now_us;
    f->env.today = today(f->root);
    f->env.season_months = season_months(f->root);
    f->env.changes = f->changes;
    return ERR_OK;
}

static void read_changes(struct facts *f, const json_t *event)
{
    const json_t *changed = json_object_get(event, "changed");
    const json_t *old = json_object_get(event, "old");

    f->env.n_changes = 0;
    for (size_t i = 0; i < json_array_size(changed) && f->env.n_changes < FACTS_CHANGES_MAX; i++) {
        const char *path = json_string_value(json_array_get(changed, i));
        if (path != NULL)
            f->changes[f->env.n_changes++] = (struct logic_change){path, json_object_get(old, path)};
    }
}

void facts_set_event(struct facts *f, const json_t *payload, struct str type, struct str id)
{
    json_t *event = json_copy((json_t *)(uintptr_t)payload); /* shallow: the items are shared */

    if (event == NULL)
        event = json_object();
    json_object_set_new(event, "type", json_stringn(type.p, type.n));
    json_object_set_new(event, "id", json_stringn(id.p, id.n));
    json_object_set_new(f->root, "event", event);
    read_changes(f, event);
}

const json_t *facts_event(const struct facts *f)
{
    return json_object_get(f->root, "event");
}

void facts_free(struct facts *f)
{
    json_decref(f->root);
    memset(f, 0, sizeof(*f));
}
