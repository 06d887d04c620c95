/* outcome: see outcome.h. */
#include "common/core/outcome.h"

static const struct {
    const char *word;
    bool final;
} outcomes[OUTCOME_COUNT] = {
#define OUTCOME_ROW(name, code, word, final, meaning) [code] = {word, final},
    OUTCOME_MAP(OUTCOME_ROW)
#undef OUTCOME_ROW
};

const char *outcome_word(enum outcome o)
{
    return outcomes[o].word;
}

bool outcome_final(enum outcome o)
{
    return outcomes[o].final;
}
