/* wedding: one generated wedding: its record and the script of what happens to it. */
#ifndef CLI_SEASON_WEDDING_H
#define CLI_SEASON_WEDDING_H

#include <jansson.h>
#include <stdint.h>

struct dice;

#define WEDDING_VENDORS 6 /* per tenant, one of each kind */
const char *wedding_vendor_kind(int n);

struct wedding_script {
    const struct dice *dice;
    int tenants;
    int weddings;  /* of the season */
    int32_t start; /* days since 1970: the season's first day */
    json_t *lines; /* of events.jsonl, in any order until wedding_sort */
};

/* The n-th wedding, on that day. Returns its record when it exists before the season begins (new reference);
 * otherwise NULL, and the script
 * creates it at its inquiry. */
json_t *wedding_write(struct wedding_script *script, int n, int32_t day);

/* By time, then as written. */
void wedding_sort(struct wedding_script *script);

#endif
