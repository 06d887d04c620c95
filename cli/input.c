/* input: see input.h. */
#include "cli/input.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/str.h"

#define US_PER_MS 1000
#define HOST_SIZE 256

static bool is_empty(const char *text)
{
    return text == NULL || text[0] == '\0';
}

enum err input_id(const char *name, const char *text, struct id *out, struct err_info *info)
{
    *out = ID_ZERO;
    if (is_empty(text) || id_parse(str_of(text), out) == ERR_OK)
        return ERR_OK;
    return err_set(info, ERR_INVALID, "%s: \"%.60s\" is no UUID", name, text);
}

enum err input_when(const char *name, const char *text, struct input_when *out, struct err_info *info)
{
    *out = (struct input_when){.given = !is_empty(text)};
    if (!out->given || str_to_time(str_of(text), &out->us) == ERR_OK)
        return ERR_OK;
    out->relative = true;
    if (str_to_ms(str_of(text), &out->us) != ERR_OK || out->us < 0 || out->us > INT64_MAX / US_PER_MS)
        return err_set(info, ERR_INVALID, "%s: \"%.60s\" is neither a time (2027-05-02T09:00:00Z) nor a duration (10m)",
                       name, text);
    out->us *= US_PER_MS;
    return ERR_OK;
}

void input_check_id(const char *name, const char *text, struct buf *errors)
{
    struct err_info info = {0};
    struct id id;

    if (input_id(name, text, &id, &info) != ERR_OK)
        buf_printf(errors, "%s\n", info.text);
}

void input_check_when(const char *name, const char *text, struct buf *errors)
{
    struct err_info info = {0};
    struct input_when when;

    if (input_when(name, text, &when, &info) != ERR_OK)
        buf_printf(errors, "%s\n", info.text);
}

static enum err read_stream(FILE *f, const char *name, size_t most_bytes, struct buf *out, struct err_info *info)
{
    char chunk[4096];
    size_t n = 0;

    while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0) {
        if (n > most_bytes - out->len)
            return err_set(info, ERR_LIMIT, "%s: more than %zu bytes", name, most_bytes);
        buf_put(out, chunk, n);
    }
    return ferror(f) ? err_set(info, ERR_IO, "%s: %s", name, strerror(errno)) : ERR_OK;
}

enum err input_text(const char *operand, size_t most_bytes, struct buf *out, struct err_info *info)
{
    FILE *f = NULL;
    enum err err = ERR_OK;

    if (strcmp(operand, "-") == 0)
        return read_stream(stdin, "standard input", most_bytes, out, info);
    if (operand[0] != '@') {
        if (strlen(operand) > most_bytes)
            return err_set(info, ERR_LIMIT, "more than %zu bytes", most_bytes);
        buf_put_str(out, operand);
        return ERR_OK;
    }
    f = fopen(operand + 1, "rbe");
    if (f == NULL)
        return err_set(info, ERR_INVALID, "%s: %s", operand + 1, strerror(errno));
    err = read_stream(f, operand + 1, most_bytes, out, info);
    (void)fclose(f);
    return err;
}

void input_user(struct buf *out)
{
    const struct passwd *pw = getpwuid(geteuid());
    char host[HOST_SIZE] = "?";

    (void)gethostname(host, sizeof(host) - 1);
    if (pw != NULL)
        buf_printf(out, "%s@%s", pw->pw_name, host);
    else
        buf_printf(out, "%ld@%s", (long)geteuid(), host);
}
