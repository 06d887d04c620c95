#include "common/io/queue_id.h"

#include <string.h>

enum err queue_id_parse(struct str s, struct queue_id *out)
{
    const char *dash = s.n > 0 ? memchr(s.p, '-', s.n) : NULL;
    struct queue_id id;
    size_t ms_n;

    if (dash == NULL)
        return ERR_INVALID;
    ms_n = (size_t)(dash - s.p);
    if (str_to_u64((struct str){s.p, ms_n}, &id.ms) != ERR_OK)
        return ERR_INVALID;
    if (str_to_u64((struct str){dash + 1, s.n - ms_n - 1}, &id.seq) != ERR_OK)
        return ERR_INVALID;
    *out = id;
    return ERR_OK;
}

/* Before `end`; one for each entry of a batch, where snprintf would show. */
static char *put_number(char *end, uint64_t v)
{
    do {
        *--end = (char)('0' + v % 10);
        v /= 10;
    } while (v > 0);
    return end;
}

const char *queue_id_format(const struct queue_id *id, char out[QUEUE_ID_SIZE])
{
    char digits[QUEUE_ID_SIZE];
    char *at = put_number(digits + sizeof(digits), id->seq);
    *--at = '-';
    at = put_number(at, id->ms);
    size_t n = (size_t)(digits + sizeof(digits) - at);
    memcpy(out, at, n);
    out[n] = '\0';
    return out;
}

int queue_id_cmp(const struct queue_id *a, const struct queue_id *b)
{
    if (a->ms != b->ms)
        return a->ms < b->ms ? -1 : 1;
    if (a->seq != b->seq)
        return a->seq < b->seq ? -1 : 1;
    return 0;
}

bool queue_id_is_zero(const struct queue_id *id)
{
    return id->ms == 0 && id->seq == 0;
}
