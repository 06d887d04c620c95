/* die: see die.h. */
#include "common/io/die.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/str.h"

#define POINT_SIZE 48

struct place {
    char point[POINT_SIZE]; /* "": none */
    atomic_llong passes_left;
};
static struct place end, halt;

static void init(struct place *p, const char *variable, bool development)
{
    const char *text = getenv(variable);
    const char *colon = text ? strchr(text, ':') : NULL;
    size_t n = colon ? (size_t)(colon - text) : text ? strlen(text) : 0;
    int64_t passes = 1;

    p->point[0] = '\0';
    if (!development || n == 0)
        return;
    if (!str_copy_n(p->point, sizeof(p->point), text, n) ||
        (colon && (str_to_i64(str_of(colon + 1), &passes) != ERR_OK || passes < 1))) {
        p->point[0] = '\0';
        log_warn("die.ignored", L_STR("value", text));
        return;
    }
    atomic_store(&p->passes_left, passes);
}

void die_init(bool development)
{
    init(&end, "USHER_TEST_DIE", development);
    init(&halt, "USHER_TEST_STOP", development);
}

static bool reached(struct place *p, const char *point)
{
    return p->point[0] != '\0' && strcmp(p->point, point) == 0 && atomic_fetch_sub(&p->passes_left, 1) == 1;
}

void die_at(const char *point)
{
    if (reached(&halt, point))
        (void)kill(getpid(), SIGSTOP); /* the whole process, not this thread alone */
    if (reached(&end, point))
        _exit(DIE_STATUS);
}
