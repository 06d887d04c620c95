/* log: a line is built in memory and written at once.
 *
 * Limits: a value is cut after 2 KiB, and fields that would take the line past 4 KiB are left out, the line then ending with
 * cut=true; it stays well-formed in both formats.
 *
 * Failure: a line that standard error does not take is lost; there is nowhere to report that. */
#include "common/base/log.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/clock.h"

#define MAX_LINE_BYTES ((size_t)4096)
#define MAX_VALUE_BYTES ((size_t)2048)

static const char *role_name = "";
static enum log_level least_level = LOG_INFO;
static bool as_json;

void log_init(const char *role, enum log_level least, enum log_format format)
{
    role_name = role == NULL ? "" : role;
    least_level = least;
    as_json = format == LOG_JSON || (format == LOG_AUTO && isatty(STDERR_FILENO) == 0);
}

bool log_enabled(enum log_level level)
{
    return level >= least_level;
}

static const char *level_text(enum log_level level)
{
    switch (level) {
    case LOG_DEBUG: return "debug";
    case LOG_INFO: return "info";
    case LOG_WARN: return "warn";
    case LOG_ERROR: return "error";
    }
    return "error";
}

/* At most MAX_VALUE_BYTES, not inside a UTF-8 sequence. */
static struct str bounded(struct str s)
{
    if (s.n <= MAX_VALUE_BYTES)
        return s;
    s.n = MAX_VALUE_BYTES;
    for (int i = 0; i < 3 && ((unsigned char)s.p[s.n] & 0xc0) == 0x80; i++)
        s.n--;
    return s;
}

static bool is_plain(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c <= ' ' || c == '"' || c == '=' || c == '\\' || c >= 0x7f)
            return false;
    }
    return s.n > 0;
}

static void put_text(struct buf *b, struct str s)
{
    s = bounded(s);
    if (!as_json && is_plain(s))
        buf_put(b, s.p, s.n);
    else
        buf_put_json(b, s.p, s.n);
}

static void put_key(struct buf *b, const char *key)
{
    if (as_json)
        buf_printf(b, "%s\"%s\":", b->len > 1 ? "," : "", key);
    else
        buf_printf(b, "%s%s=", b->len > 0 ? " " : "", key);
}

static void put_pair(struct buf *b, const char *key, const char *text)
{
    put_key(b, key);
    put_text(b, str_of(text));
}

static void put_value(struct buf *b, const struct log_field *f)
{
    char text[ID_TEXT_SIZE];

    switch (f->type) {
    case LOG_T_STR: put_text(b, str_of(f->v.s)); break;
    case LOG_T_BYTES: put_text(b, f->v.bytes); break;
    case LOG_T_ID: put_text(b, str_of(f->v.id == NULL ? "" : id_format(f->v.id, text))); break;
    case LOG_T_SECRET: put_text(b, str_of("***")); break;
    case LOG_T_INT: buf_printf(b, "%lld", (long long)f->v.i); break;
    case LOG_T_DOUBLE:
        if (isfinite(f->v.d))
            buf_printf(b, "%.9g", f->v.d);
        else
            buf_put_str(b, "null"); /* JSON has no other word for it */
        break;
    case LOG_T_BOOL: buf_put_str(b, f->v.i != 0 ? "true" : "false"); break;
    }
}

static void put_fields(struct buf *b, const struct log_field *fields, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        size_t before = b->len;
        put_key(b, fields[i].key);
        put_value(b, &fields[i]);
        if (b->len <= MAX_LINE_BYTES)
            continue;
        b->len = before;
        put_pair(b, "cut", "true");
        return;
    }
}

static void write_out(const char *p, size_t n)
{
    while (n > 0) {
        ssize_t done = write(STDERR_FILENO, p, n);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return;
        p += done;
        n -= (size_t)done;
    }
}

void log_write(enum log_level level, const char *event, const struct log_field *fields, size_t n)
{
    struct buf line = {0};
    char time[STR_TIME_SIZE];
    int saved_errno = errno;

    str_from_time(time, clock_wall_us());
    if (as_json)
        buf_put_char(&line, '{');
    put_pair(&line, "ts", time);
    put_pair(&line, "level", level_text(level));
    if (role_name[0] != '\0')
        put_pair(&line, "role", role_name);
    put_pair(&line, "event", event);
    put_fields(&line, fields, n);
    buf_put_str(&line, as_json ? "}\n" : "\n");
    write_out(line.data, line.len);
    buf_free(&line);
    errno = saved_errno;
}
