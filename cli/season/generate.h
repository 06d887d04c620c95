/* generate: a season of weddings from a seed: the same seed and size give the same files, byte for byte. */
#ifndef CLI_SEASON_GENERATE_H
#define CLI_SEASON_GENERATE_H

#include <stdint.h>

#include "common/base/err.h"

struct season_plan {
    uint64_t seed;
    int weddings;      /* over 14 months from the month after next of `start` */
    int tenants;       /* at least 3: photographers, planners and venues in turn */
    const char *start; /* first day, YYYY-MM-DD */
};

/* Writes season.json, tenants.jsonl, vendors.jsonl, rules.jsonl, weddings.jsonl and events.jsonl into `dir`, which is
 * made; `home` holds the
 * rules' documents, which are copied when `dir` is another folder. */
enum err season_generate(const struct season_plan *plan, const char *home, const char *dir,
                         struct err_info *info) MUST_USE;

#endif
