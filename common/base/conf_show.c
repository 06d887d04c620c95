/* conf_show: settings as text for people: allowed values, help, the Markdown table, and what is in force with passwords
 * masked. */
#include <ctype.h>
#include <string.h>

#include "common/base/conf.h"
#include "common/base/conf_priv.h"
#include "common/base/str.h"

#define HELP_COLUMN 30

const char *conf_env_name(const struct conf_key *key, char out[CONF_ENV_SIZE])
{
    struct buf b = {0};

    if (key->env != NULL) {
        buf_put_str(&b, key->env);
    } else {
        buf_put_str(&b, "USHER_");
        for (const char *p = key->name; *p != '\0'; p++)
            buf_put_char(&b, *p == '-' ? '_' : (char)toupper((unsigned char)*p));
    }
    (void)str_copy(out, CONF_ENV_SIZE, buf_text(&b));
    buf_free(&b);
    return out;
}

static void put_choices(const struct conf_key *key, const char *separator, struct buf *out)
{
    for (size_t i = 0; key->choices[i] != NULL; i++)
        buf_printf(out, "%s%s", i > 0 ? separator : "", key->choices[i]);
}

static void put_ms(int64_t ms, struct buf *out)
{
    static const struct {
        int64_t factor;
        const char *unit;
    } units[] = {{86400000, "d"}, {3600000, "h"}, {60000, "m"}, {1000, "s"}, {1, "ms"}};
    size_t i = 0;

    while (ms % units[i].factor != 0 || (ms == 0 && i < 3))
        i++;
    buf_printf(out, "%lld%s", (long long)(ms / units[i].factor), units[i].unit);
}

static void put_bytes(int64_t bytes, struct buf *out)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB"};
    size_t i = 0;

    while (i < 3 && bytes != 0 && bytes % 1024 == 0) {
        bytes /= 1024;
        i++;
    }
    buf_printf(out, "%lld%s", (long long)bytes, units[i]);
}

void conf_put_allowed(const struct conf_key *key, struct buf *out)
{
    switch (key->type) {
    case CONF_STR: buf_put_str(out, "UTF-8 text"); break;
    case CONF_INT: buf_printf(out, "an integer from %lld to %lld", (long long)key->min, (long long)key->max); break;
    case CONF_BOOL: buf_put_str(out, "true or false"); break;
    case CONF_MS:
        buf_put_str(out, "a duration (250ms 30s 5m 2h 1d) from ");
        put_ms(key->min, out);
        buf_put_str(out, " to ");
        put_ms(key->max, out);
        break;
    case CONF_BYTES:
        buf_put_str(out, "a size (500kB 64KiB 1MiB 2GiB) from ");
        put_bytes(key->min, out);
        buf_put_str(out, " to ");
        put_bytes(key->max, out);
        break;
    case CONF_CHOICE:
        buf_put_str(out, "one of ");
        put_choices(key, ", ", out);
        break;
    }
}

/* The password of scheme://user:password@host: from behind the colon to the last @ of the authority. */
static struct str url_password(const char *text)
{
    const char *authority = strstr(text, "://");
    const char *at = NULL;
    const char *p = NULL;

    if (authority == NULL)
        return (struct str){NULL, 0};
    authority += 3;
    /* An @ behind the first slash belongs to an unescaped password more often than to a path: mask too much, never less. */
    for (p = authority; *p != '\0' && *p != '?'; p++) {
        if (*p == '@')
            at = p;
    }
    const char *colon = at == NULL ? NULL : memchr(authority, ':', (size_t)(at - authority));
    if (colon == NULL)
        return (struct str){NULL, 0};
    return (struct str){colon + 1, (size_t)(at - colon - 1)};
}

/* password=…, in a URL's query or in libpq's key=value text; quotes hold blanks together there. */
static size_t parameter_value_length(const char *p)
{
    size_t n = 0;

    if (*p != '\'')
        return strcspn(p, "& \t\n");
    for (n = 1; p[n] != '\0' && p[n] != '\''; n++) {
        if (p[n] == '\\' && p[n + 1] != '\0')
            n++;
    }
    return p[n] == '\'' ? n + 1 : n;
}

static void put_masked(const char *text, struct buf *out)
{
    struct str password = url_password(text);
    const char *p = text;

    while (*p != '\0') {
        if (password.p != NULL && p == password.p && password.n > 0) {
            buf_put_str(out, "***");
            p += password.n;
        } else if (strncmp(p, "password", 8) == 0 && p[8 + strspn(p + 8, " ")] == '=') {
            size_t head = 8 + strspn(p + 8, " ") + 1;
            head += strspn(p + head, " ");
            buf_put(out, p, head);
            buf_put_str(out, "***");
            p += head + parameter_value_length(p + head);
        } else {
            buf_put_char(out, *p++);
        }
    }
}

void conf_put_shown(const struct conf_key *key, const char *text, struct buf *out)
{
    if ((key->flags & CONF_SECRET) != 0)
        buf_put_str(out, "***");
    else if ((key->flags & CONF_URL) != 0)
        put_masked(text, out);
    else
        buf_put_str(out, text);
}

static void put_value_form(const struct conf_key *key, struct buf *out)
{
    switch (key->type) {
    case CONF_STR: buf_put_str(out, (key->flags & CONF_URL) != 0 ? "URL" : "TEXT"); break;
    case CONF_INT: buf_put_char(out, 'N'); break;
    case CONF_BOOL: buf_put_str(out, "true|false"); break;
    case CONF_MS: buf_put_str(out, "TIME"); break;
    case CONF_BYTES: buf_put_str(out, "SIZE"); break;
    case CONF_CHOICE: put_choices(key, "|", out); break;
    }
}

void conf_help(const struct conf_key *keys, struct buf *out)
{
    char env[CONF_ENV_SIZE];

    for (const struct conf_key *k = keys; k->name != NULL; k++) {
        size_t start = out->len;
        buf_printf(out, "  --%s", k->name);
        if (k->type != CONF_BOOL) {
            buf_put_char(out, ' ');
            put_value_form(k, out);
        }
        size_t width = out->len - start;
        int pad = width < HELP_COLUMN ? (int)(HELP_COLUMN - width) : 0;
        buf_printf(out, "%s%*s%s", pad == 0 ? "\n" : "", pad == 0 ? HELP_COLUMN : pad, "",
                   k->help == NULL ? "" : k->help);
        buf_printf(out, " [%s", conf_env_name(k, env));
        if ((k->flags & CONF_REQUIRED) != 0)
            buf_put_str(out, "; required");
        else if (k->def != NULL)
            buf_printf(out, "; default %s", k->def);
        buf_put_str(out, "]\n");
    }
}

static void put_cell(const char *text, struct buf *out)
{
    for (const char *p = text; *p != '\0'; p++) {
        if (*p == '|')
            buf_put_char(out, '\\');
        buf_put_char(out, *p);
    }
}

void conf_markdown(const struct conf_key *keys, struct buf *out)
{
    char env[CONF_ENV_SIZE];
    struct buf allowed = {0};

    for (const struct conf_key *k = keys; k->name != NULL; k++) {
        buf_reset(&allowed);
        conf_put_allowed(k, &allowed);
        buf_printf(out, "| `--%s` | `%s` | ", k->name, conf_env_name(k, env));
        put_cell(buf_text(&allowed), out);
        buf_put_str(out, " | ");
        if ((k->flags & CONF_REQUIRED) != 0)
            buf_put_str(out, "required");
        else if (k->def != NULL)
            buf_printf(out, "`%s`", k->def);
        buf_put_str(out, " | ");
        put_cell(k->help == NULL ? "" : k->help, out);
        buf_put_str(out, " |\n");
    }
    buf_free(&allowed);
}

static void put_current(const struct conf_key *key, const void *settings, struct buf *out)
{
    const char *field = (const char *)settings + key->offset;
    int64_t v = 0;
    bool yes = false;
    const char *text = NULL;

    switch (key->type) {
    case CONF_STR:
        memcpy(&text, field, sizeof(text));
        if (text != NULL)
            conf_put_shown(key, text, out);
        return;
    case CONF_BOOL:
        memcpy(&yes, field, sizeof(yes));
        buf_put_str(out, yes ? "true" : "false");
        return;
    case CONF_INT:
    case CONF_MS:
    case CONF_BYTES:
    case CONF_CHOICE: memcpy(&v, field, sizeof(v)); break;
    }
    if ((key->flags & CONF_SECRET) != 0)
        buf_put_str(out, "***");
    else if (key->type == CONF_MS)
        put_ms(v, out);
    else if (key->type == CONF_BYTES)
        put_bytes(v, out);
    else if (key->type == CONF_CHOICE)
        buf_put_str(out, key->choices[v]);
    else
        buf_printf(out, "%lld", (long long)v);
}

void conf_show(const struct conf_key *keys, const void *settings, struct buf *out)
{
    for (size_t i = 0; keys[i].name != NULL; i++) {
        const char *origin = conf_origin(settings, i);
        buf_printf(out, "%s = ", keys[i].name);
        put_current(&keys[i], settings, out);
        if (origin[0] != '\0')
            buf_printf(out, "   # from %s", origin);
        buf_put_char(out, '\n');
    }
}
