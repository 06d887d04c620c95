/* dice: see dice.h. */
#include "cli/season/dice.h"

#include <stdio.h>

#include "common/core/key.h"

struct texts {
    char seed[24];
    char number[16];
};

static void parts_of(const struct dice *d, const char *name, int n, struct texts *t, struct str parts[3])
{
    snprintf(t->seed, sizeof(t->seed), "%llu", (unsigned long long)d->seed);
    snprintf(t->number, sizeof(t->number), "%d", n);
    parts[0] = str_of(t->seed);
    parts[1] = str_of(name);
    parts[2] = str_of(t->number);
}

int dice_roll(const struct dice *d, const char *name, int n, int sides)
{
    struct texts t = {{0}, {0}};
    struct str parts[3];
    parts_of(d, name, n, &t, parts);
    return sides > 0 ? (int)(key_hash64("season", parts, 3) % (uint64_t)sides) : 0;
}

bool dice_chance(const struct dice *d, const char *name, int n, int percent)
{
    return dice_roll(d, name, n, 100) < percent;
}

int dice_weighted(const struct dice *d, const char *name, int n, const int *weights, int count)
{
    int total = 0;
    for (int i = 0; i < count; i++)
        total += weights[i];
    int at = dice_roll(d, name, n, total);
    for (int i = 0; i < count; i++) {
        if (at < weights[i])
            return i;
        at -= weights[i];
    }
    return count - 1;
}

void dice_id(const struct dice *d, const char *name, int n, char out[ID_TEXT_SIZE])
{
    struct texts t = {{0}, {0}};
    struct str parts[3];
    struct id id;
    parts_of(d, name, n, &t, parts);
    key_derive(&id, "season_id", parts, 3);
    id_format(&id, out);
}
