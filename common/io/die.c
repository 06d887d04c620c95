/* die: see die.h. */
#include "common/io/die.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/str.h"

#define POINT_SIZE 48

static char wanted[POINT_SIZE];
static atomic_llong passes_left;

void die_init(bool development)
{
    const char *text = getenv("USHER_TEST_DIE");
    const char *colon = text ? strchr(text, ':') : NULL;
    size_t n = colon ? (size_t)(colon - text) : text ? strlen(text) : 0;
    int64_t passes = 1;

    wanted[0] = '\0';
    if (!development || n == 0)
        return;
    if (!str_copy_n(wanted, sizeof(wanted), text, n) ||
        (colon && (str_to_i64(str_of(colon + 1), &passes) != ERR_OK || passes < 1))) {
        wanted[0] = '\0';
        log_warn("die.ignored", L_STR("value", text));
        return;
    }
    atomic_store(&passes_left, passes);
}

void die_at(const char *point)
{
    if (wanted[0] != '\0' && strcmp(wanted, point) == 0 && atomic_fetch_sub(&passes_left, 1) == 1)
        _exit(DIE_STATUS);
}
