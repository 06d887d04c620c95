/* offsets: see offsets.h. */
#include "tests/conformance/offsets.h"

#include <inttypes.h>
#include <string.h>

#include "common/core/civil.h"
#include "common/core/offset.h"

#define LINE_SIZE 128

static bool print_one(struct str date, struct str text, FILE *out)
{
    char shown[CIVIL_DATE_SIZE];
    struct civil from, to;
    struct offset o;

    if (civil_parse_date(date, &from) != ERR_OK || offset_parse(text, &o, NULL) != ERR_OK ||
        civil_add(from, o.months, o.days, &to) != ERR_OK)
        return false;
    fprintf(out, "%d %d %" PRId64 " %d %s\n", o.months, o.days, o.seconds, o.exact, civil_format_date(to, shown));
    return true;
}

bool offsets_print(FILE *in, FILE *out)
{
    char line[LINE_SIZE];

    while (fgets(line, sizeof(line), in) != NULL) {
        char *space = strchr(line, ' ');

        line[strcspn(line, "\n")] = '\0';
        if (space == NULL || !print_one((struct str){line, (size_t)(space - line)}, str_of(space + 1), out)) {
            fprintf(stderr, "usher-conformance: not a date and an offset: %s\n", line);
            return false;
        }
    }
    return true;
}
