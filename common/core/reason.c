/* reason: see reason.h. */
#include "common/core/reason.h"

#include <stddef.h>

struct row {
    const char *word;
    const char *label;
};

#define REASON_ROW(name, word, label) [name] = {word, label},
static const struct row rows[] = {REASON_MAP(REASON_ROW)};

const char *reason_word(enum reason r)
{
    return rows[r].word;
}

const char *reason_label(struct str stored)
{
    struct str word = {stored.p, 0};

    while (word.n < stored.n && stored.p[word.n] != ':')
        word.n++;
    for (size_t i = 0; i < REASON_COUNT; i++) {
        if (str_is(word, rows[i].word))
            return rows[i].label;
    }
    return "";
}
