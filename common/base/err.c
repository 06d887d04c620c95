/* err: texts and names come from the one table in the header, so that none can be missing. */
#include "common/base/err.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

struct row {
    const char *name;
    const char *text;
    bool retryable;
};

#define ERR_ROW(code, text, retryable) {#code, text, retryable},
static const struct row rows[] = {ERR_MAP(ERR_ROW)};
#undef ERR_ROW

static const struct row unknown = {"ERR_UNKNOWN", "unknown error", false};

static const struct row *row_of(enum err code)
{
    size_t i = (size_t)code;

    return i < sizeof(rows) / sizeof(rows[0]) ? &rows[i] : &unknown;
}

const char *err_text(enum err code)
{
    return row_of(code)->text;
}

const char *err_name(enum err code)
{
    return row_of(code)->name;
}

bool err_retryable(enum err code)
{
    return row_of(code)->retryable;
}

enum err err_set(struct err_info *info, enum err code, const char *fmt, ...)
{
    va_list ap;

    if (info == NULL)
        return code;
    info->code = code;
    va_start(ap, fmt);
    (void)vsnprintf(info->text, sizeof(info->text), fmt, ap);
    va_end(ap);
    return code;
}
