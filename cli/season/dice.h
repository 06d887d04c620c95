/* dice: repeatable random numbers for generated seasons: each draw is a hash of the seed and a name, so that adding a
 * draw changes no other. */
#ifndef CLI_SEASON_DICE_H
#define CLI_SEASON_DICE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/id.h"

struct dice {
    uint64_t seed;
};

int dice_roll(const struct dice *d, const char *name, int n,
              int sides); /* 0 … sides - 1 for the n-th thing of that name */
bool dice_chance(const struct dice *d, const char *name, int n, int percent);
int dice_weighted(const struct dice *d, const char *name, int n, const int *weights, int count);
void dice_id(const struct dice *d, const char *name, int n, char out[ID_TEXT_SIZE]);

#endif
