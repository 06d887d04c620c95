/* facts: see facts.h. What a condition sees is made by common/core/context.c, as in the workers.
 *
 * The zone's spans stay empty: without them an instant in UTC has no local date here, and a condition that asks for one is
 * unknown (reason zone_missing) and not guessed. Dates, which is what weddings have, need no spans. */
#include "scheduler/facts.h"

#include <string.h>

enum err facts_init(struct facts *f, struct str document, int64_t now_us, struct err_info *info)
{
    json_error_t why;

    memset(f, 0, sizeof(*f));
    f->root = document.p != NULL ? json_loadb(document.p, document.n, 0, &why) : json_object();
    if (!json_is_object(f->root)) {
        facts_free(f);
        return err_set(info, ERR_MALFORMED, "facts of a wedding are no JSON object");
    }
    context_env(f->root, now_us, f->changes, &f->env);
    return ERR_OK;
}

void facts_set_event(struct facts *f, const json_t *payload, struct str type, struct str id)
{
    context_set_event(f->root, payload, type, id);
    context_env(f->root, f->env.now_us, f->changes, &f->env);
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
