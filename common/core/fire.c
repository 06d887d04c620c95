/* fire: see fire.h. */
#include "common/core/fire.h"

#include <stdio.h>

#include "common/core/key.h"
#include "common/core/reason.h"
#include "common/core/vocab.h"

int fire_occurrence(const struct rule *rule, int occurrence)
{
    bool again = rule->trigger.yearly > 0 || rule->settings.on_date_change == DATE_CHANGE_REFIRE;

    return again && occurrence > 1 ? occurrence : 1;
}

void fire_run_id(const struct fire *f, const struct rule *rule, struct id *out)
{
    char tenant[ID_TEXT_SIZE], id[ID_TEXT_SIZE], wedding[ID_TEXT_SIZE] = "", ref[ID_TEXT_SIZE], occurrence[16];

    (void)snprintf(occurrence, sizeof(occurrence), "%d", fire_occurrence(rule, f->occurrence));
    if (!id_is_zero(&f->wedding_id))
        id_format(&f->wedding_id, wedding);
    const struct str parts[] = {str_of(id_format(&f->tenant_id, tenant)), str_of(id_format(&f->rule_id, id)),
                                str_of(wedding), str_of(id_format(&f->ref, ref)), str_of(occurrence)};
    key_derive(out, "run", parts, sizeof(parts) / sizeof(parts[0]));
}

bool fire_is_off(struct str wedding_status)
{
    return str_is(wedding_status, vocab_text(VOCAB_WEDDING_STATUS, WEDDING_POSTPONED)) ||
           str_is(wedding_status, vocab_text(VOCAB_WEDDING_STATUS, WEDDING_CANCELLED)) ||
           str_is(wedding_status, vocab_text(VOCAB_WEDDING_STATUS, WEDDING_ARCHIVED));
}

const char *fire_skip(bool outrun, enum logic_truth truth, const char *unknown)
{
    if (outrun)
        return reason_word(REASON_PAST_DUE);
    switch (truth) {
    case LOGIC_TRUE: return NULL;
    case LOGIC_FALSE: return reason_word(REASON_CONDITIONS_NOT_MET);
    case LOGIC_UNKNOWN: return unknown;
    }
    return unknown;
}
