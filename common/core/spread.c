/* spread: see spread.h. */
#include "common/core/spread.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

#include "common/core/advance.h"
#include "common/core/key.h"

#define DAY_END_MINUTE (24 * 60)

uint32_t spread_share(const struct id *tenant, const struct id *wedding, int64_t due_us)
{
    char tenant_text[ID_TEXT_SIZE], wedding_text[ID_TEXT_SIZE], due[24];

    (void)snprintf(due, sizeof(due), "%" PRId64, due_us);
    const struct str parts[] = {str_of(id_format(tenant, tenant_text)), str_of(id_format(wedding, wedding_text)),
                                str_of(due)};
    return (uint32_t)(key_hash64("spread", parts, sizeof(parts) / sizeof(parts[0])) % SPREAD_PARTS);
}

static bool is_urgent(const struct program *p)
{
    for (int i = 0; i < p->n; i++) {
        if (p->steps[i].urgent)
            return true;
    }
    return false;
}

json_t *spread_spec(const struct rule *rule, const struct id *tenant, const struct id *wedding, int64_t due_us,
                    int64_t herd_s)
{
    const struct rule_settings *s = &rule->settings;

    if (s->no_smear || is_urgent(&rule->program))
        herd_s = 0;
    if (rule->trigger.type != TRIGGER_MILESTONE || rule->program.steps[0].type == ACTION_WAIT ||
        (s->jitter_s == 0 && herd_s == 0))
        return NULL;
    json_t *spec = json_pack("{s:i,s:i,s:I,s:i,s:s}", "share", (int)spread_share(tenant, wedding, due_us), "seconds",
                             (int)s->jitter_s, "herd", (json_int_t)herd_s, "until",
                             s->window.set ? (int)s->window.to_minute : DAY_END_MINUTE, "zone", rule->trigger.zone);
    advance_put_limit(&rule->trigger, spec);
    return spec;
}
