/* offsets: offsets as the engine reads them and applies them to dates, for tests against other people's calendars. */
#ifndef TESTS_CONFORMANCE_OFFSETS_H
#define TESTS_CONFORMANCE_OFFSETS_H

#include <stdbool.h>
#include <stdio.h>

/* Each line of `in` is "DATE OFFSET", like "2028-02-29 -P1M2DT3H"; for each prints one to `out`: the offset's months, days and
 * seconds, 1 when it is exact, and the date that its months and days lead to. False, with a line on stderr, at the first that
 * is none. */
bool offsets_print(FILE *in, FILE *out);

#endif
