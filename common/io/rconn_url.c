/* A URL is cut up from its ends: the scheme, then "user:password@" up to the last '@' (a password may
 * contain one), then "?query", and what is left is a path, or host, port and database. */
#include "common/io/rconn_url.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "common/base/str.h"

#define DEFAULT_PORT 6379
#define MAX_DB 1000000 /* far above any `databases` setting; only keeps the number an int */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static enum err decode(char *dst, size_t size, struct str s, const char *what, struct err_info *info)
{
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '%') {
            int hi = i + 2 < s.n ? hex_digit(s.p[i + 1]) : -1;
            int lo = i + 2 < s.n ? hex_digit(s.p[i + 2]) : -1;
            if (hi < 0 || lo < 0 || (hi == 0 && lo == 0))
                return err_set(info, ERR_INVALID, "Redis URL: bad %%-escape in the %s", what);
            c = (char)(hi * 16 + lo);
            i += 2;
        }
        if (n + 1 >= size)
            return err_set(info, ERR_INVALID, "Redis URL: the %s is longer than %zu bytes", what, size - 1);
        dst[n++] = c;
    }
    dst[n] = '\0';
    return ERR_OK;
}

/* Takes `sep` and what stands before its last occurrence off the front of `s`. */
static bool cut_front_last(struct str *s, char sep, struct str *front)
{
    for (size_t i = s->n; i-- > 0;) {
        if (s->p[i] != sep)
            continue;
        *front = (struct str){s->p, i};
        *s = (struct str){s->p + i + 1, s->n - i - 1};
        return true;
    }
    return false;
}

/* Takes `sep` and what stands after its first occurrence off the end of `s`. */
static bool cut_back(struct str *s, char sep, struct str *back)
{
    const char *at = s->n > 0 ? memchr(s->p, sep, s->n) : NULL;

    if (at == NULL)
        return false;
    *back = (struct str){at + 1, s->n - (size_t)(at - s->p) - 1};
    s->n = (size_t)(at - s->p);
    return true;
}

static enum err parse_login(struct str login, struct rconn_url *out, struct err_info *info)
{
    struct str password = {NULL, 0};
    enum err err;

    if (!cut_back(&login, ':', &password))
        return err_set(info, ERR_INVALID, "Redis URL: a user without a password; write user:password@ or :password@");
    if (password.n == 0)
        return err_set(info, ERR_INVALID, "Redis URL: the password is empty");
    err = decode(out->user, sizeof(out->user), login, "user", info);
    if (err == ERR_OK)
        err = decode(out->password, sizeof(out->password), password, "password", info);
    return err;
}

static enum err parse_db(struct str s, struct rconn_url *out, struct err_info *info)
{
    uint64_t db;

    if (s.n == 0)
        return ERR_OK;
    if (str_to_u64(s, &db) != ERR_OK || db > MAX_DB)
        return err_set(info, ERR_INVALID, "Redis URL: \"%.*s\" is not a database number", (int)s.n, s.p);
    out->db = (int)db;
    return ERR_OK;
}

static enum err parse_port(struct str s, struct rconn_url *out, struct err_info *info)
{
    uint64_t port;

    if (str_to_u64(s, &port) != ERR_OK || port < 1 || port > UINT16_MAX)
        return err_set(info, ERR_INVALID, "Redis URL: \"%.*s\" is not a port (1 to 65535)", (int)s.n, s.p);
    out->port = (int)port;
    return ERR_OK;
}

/* host, host:port, [v6], [v6]:port */
static enum err parse_host(struct str s, struct rconn_url *out, struct err_info *info)
{
    struct str port = {NULL, 0};
    bool has_port;

    out->port = DEFAULT_PORT;
    if (s.n > 0 && s.p[0] == '[') {
        struct str rest = {NULL, 0};
        s = (struct str){s.p + 1, s.n - 1};
        if (!cut_back(&s, ']', &rest) || (rest.n > 0 && rest.p[0] != ':'))
            return err_set(info, ERR_INVALID, "Redis URL: an IPv6 address is written [address]:port");
        has_port = rest.n > 0;
        port = (struct str){rest.p + has_port, rest.n - has_port};
    } else {
        has_port = cut_back(&s, ':', &port);
    }
    if (s.n == 0)
        return err_set(info, ERR_INVALID, "Redis URL: no host");
    if (!str_copy_n(out->host, sizeof(out->host), s.p, s.n))
        return err_set(info, ERR_INVALID, "Redis URL: the host is too long");
    return has_port ? parse_port(port, out, info) : ERR_OK;
}

static enum err parse_query(struct str s, struct rconn_url *out, struct err_info *info)
{
    if (!str_starts(s, "db="))
        return err_set(info, ERR_INVALID, "Redis URL: \"%.*s\" is not known; the only option is db=<number>", (int)s.n,
                       s.p);
    return parse_db((struct str){s.p + 3, s.n - 3}, out, info);
}

static enum err parse_tcp(struct str s, struct rconn_url *out, struct err_info *info)
{
    struct str db = {NULL, 0};
    enum err err = ERR_OK;

    if (cut_back(&s, '/', &db))
        err = parse_db(db, out, info);
    return err != ERR_OK ? err : parse_host(s, out, info);
}

static enum err parse_unix(struct str s, struct rconn_url *out, struct err_info *info)
{
    if (s.n < 2 || s.p[0] != '/')
        return err_set(info, ERR_INVALID,
                       "Redis URL: a unix socket needs an absolute path, such as unix:///run/redis.sock");
    return decode(out->path, sizeof(out->path), s, "path", info);
}

enum err rconn_url_parse(const char *url, struct rconn_url *out, struct err_info *info)
{
    struct str s = str_of(url), query = {NULL, 0}, login = {NULL, 0};
    const char *const schemes[] = {"redis://", "unix://", "redis+unix://"};
    size_t scheme = 0;
    enum err err = ERR_OK;

    *out = (struct rconn_url){.port = 0};
    if (str_starts(s, "rediss://"))
        return err_set(info, ERR_INVALID,
                       "Redis URL: TLS (rediss://) is not supported; use redis:// over a trusted network or a "
                       "TLS tunnel such as stunnel");
    while (scheme < 3 && !str_starts(s, schemes[scheme]))
        scheme++;
    if (scheme == 3)
        return err_set(info, ERR_INVALID, "Redis URL: must begin with redis://, unix:// or redis+unix://");
    s = (struct str){s.p + strlen(schemes[scheme]), s.n - strlen(schemes[scheme])};
    if (memchr(s.p, '\n', s.n) != NULL || memchr(s.p, '\r', s.n) != NULL)
        return err_set(info, ERR_INVALID, "Redis URL: contains a line break");

    /* A path may contain an '@' of its own. */
    if (!str_starts(s, "/") && cut_front_last(&s, '@', &login))
        err = parse_login(login, out, info);
    if (err == ERR_OK && cut_back(&s, '?', &query))
        err = parse_query(query, out, info);
    if (err == ERR_OK)
        err = scheme == 0 ? parse_tcp(s, out, info) : parse_unix(s, out, info);
    return err;
}
