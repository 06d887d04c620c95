#include "cli/usage.h"

#include <string.h>

#include "common/base/mem.h"
#include "common/base/str.h"

#define COLUMN 26    /* where the explanation of an option or command begins */
#define MAX_TYPED 64 /* longer words are not compared with commands */

static void put_explained(struct buf *out, size_t line_start, const char *text)
{
    size_t width = out->len - line_start;

    if (width + 2 > COLUMN) {
        buf_put_char(out, '\n');
        width = 0;
    }
    buf_printf(out, "%*s%s", (int)(COLUMN - width), "", text == NULL ? "" : text);
}

static bool begins_with_word(const char *path, const char *word)
{
    size_t n = strlen(word);

    return strncmp(path, word, n) == 0 && path[n] == ' ';
}

bool usage_is_noun(const struct cmd *const *table, const char *noun)
{
    for (; *table != NULL; table++) {
        if (begins_with_word((*table)->path, noun))
            return true;
    }
    return false;
}

void usage_put_list(const struct cmd *const *table, const char *noun, struct buf *out)
{
    if (noun == NULL)
        buf_put_str(out, "usher: operate the wedding automation\n\nUsage: usher COMMAND [options]\n\nCommands:\n");
    else
        buf_printf(out, "Usage: usher %s COMMAND [options]\n\nCommands:\n", noun);
    for (; *table != NULL; table++) {
        const struct cmd *cmd = *table;
        if (noun != NULL && !begins_with_word(cmd->path, noun) && strcmp(cmd->path, noun) != 0)
            continue;
        size_t start = out->len;
        buf_printf(out, "  %s", cmd->path);
        put_explained(out, start, cmd->summary);
        buf_put_char(out, '\n');
    }
    buf_put_str(out,
                "\n`usher help COMMAND` explains one; `usher help exit-codes` and `usher help settings` the rest.\n");
}

void usage_put_line(const struct cmd *cmd, struct buf *out)
{
    buf_printf(out, "Usage: usher %s [options]%s%s\n", cmd->path, cmd->operands == NULL ? "" : " ",
               cmd->operands == NULL ? "" : cmd->operands);
}

static const char *value_form(const struct conf_key *key)
{
    switch (key->type) {
    case CONF_STR: return (key->flags & CONF_URL) != 0 ? " URL" : " TEXT";
    case CONF_INT: return " N";
    case CONF_BOOL: return "";
    case CONF_MS: return " TIME";
    case CONF_BYTES: return " SIZE";
    case CONF_CHOICE: return NULL;
    }
    return NULL;
}

static void put_option(const struct conf_key *key, struct buf *out)
{
    size_t start = out->len;
    const char *form = value_form(key);

    buf_printf(out, "  --%s%s", key->name, form == NULL ? " " : form);
    for (size_t i = 0; form == NULL && key->choices[i] != NULL; i++)
        buf_printf(out, "%s%s", i > 0 ? "|" : "", key->choices[i]);
    put_explained(out, start, key->help);
    if ((key->flags & CMD_MANY) != 0)
        buf_put_str(out, " (may be repeated)");
    if ((key->flags & CONF_REQUIRED) != 0)
        buf_put_str(out, " (required)");
    else if (key->def != NULL && key->type != CONF_BOOL)
        buf_printf(out, " (default %s)", key->def);
    if (key->env != NULL)
        buf_printf(out, " [%s]", key->env);
    buf_put_char(out, '\n');
}

static void put_options(const struct conf_key *keys, struct buf *out)
{
    for (; keys != NULL && keys->name != NULL; keys++)
        put_option(keys, out);
}

static void put_indented(const char *lines, struct buf *out)
{
    while (*lines != '\0') {
        size_t n = strcspn(lines, "\n");
        buf_put_str(out, "  ");
        buf_put(out, lines, n);
        buf_put_char(out, '\n');
        lines += n + (lines[n] == '\n' ? 1 : 0);
    }
}

void usage_put_command(const struct cmd *cmd, struct buf *out)
{
    buf_printf(out, "usher %s: %s\n\n", cmd->path, cmd->summary);
    if (cmd->examples != NULL) {
        buf_put_str(out, "Examples:\n");
        put_indented(cmd->examples, out);
        buf_put_char(out, '\n');
    }
    usage_put_line(cmd, out);
    if (cmd->details != NULL)
        buf_printf(out, "\n%s\n", cmd->details);
    if (cmd->options != NULL) {
        buf_put_str(out, "\nOptions:\n");
        put_options(cmd->options, out);
    }
    buf_put_str(out, "\nOptions of every command:\n");
    put_options(cmd_common_keys, out);
    buf_put_str(out, "  --config TEXT           settings file [USHER_CONFIG]\n");
    put_options(settings_common_keys, out);
}

void usage_put_exit_codes(struct buf *out)
{
#define EXIT_LINE(name, code, meaning) {code, meaning},
    static const struct {
        int code;
        const char *meaning;
    } lines[] = {EXIT_MAP(EXIT_LINE)};
#undef EXIT_LINE

    buf_put_str(out, "Exit codes:\n");
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        buf_printf(out, "  %3d  %s\n", lines[i].code, lines[i].meaning);
}

void usage_put_settings(struct buf *out)
{
    const struct settings_program *const programs[] = {&settings_worker, &settings_scheduler};

    buf_put_str(
        out,
        "A setting is a flag, else a variable (NAME, or NAME_FILE naming a file that holds the value), else a line\n"
        "\"name = value\" of the file that --config or USHER_CONFIG names, else its default.\n");
    for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
        buf_printf(out, "\n%s:\n", programs[i]->name);
        conf_help(programs[i]->keys, out);
    }
}

static bool is_common(const struct conf_key *key)
{
    for (const struct conf_key *k = settings_common_keys; k->name != NULL; k++) {
        if (strcmp(k->name, key->name) == 0)
            return true;
    }
    return false;
}

static void put_table(const char *title, const struct conf_key *keys, bool common, struct buf *out)
{
    buf_printf(out, "\n### %s\n\n| flag | variable | allowed | default | |\n|---|---|---|---|---|\n", title);
    for (; keys->name != NULL; keys++) {
        struct conf_key one[] = {*keys, {.name = NULL}};
        bool is_setting = strcmp(keys->name, "help") != 0 && strcmp(keys->name, "version") != 0 &&
                          strcmp(keys->name, "check-config") != 0;
        if (is_setting && is_common(keys) == common)
            conf_markdown(one, out);
    }
}

void usage_put_settings_table(struct buf *out)
{
    put_table("All programs", settings_common_keys, true, out);
    put_table(settings_scheduler.name, settings_scheduler.keys, false, out);
    put_table(settings_worker.name, settings_worker.keys, false, out);
}

static size_t min3(size_t a, size_t b, size_t c)
{
    size_t m = a < b ? a : b;

    return m < c ? m : c;
}

/* Edits between two words, two neighbours swapped counting as one (Damerau, "A technique for computer detection and
 * correction of spelling errors", 1964; the restricted form). Both are at most MAX_TYPED bytes long. */
static size_t distance(struct str a, struct str b)
{
    size_t rows[3][MAX_TYPED + 1] = {{0}};

    for (size_t j = 0; j <= b.n; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a.n; i++) {
        size_t *now = rows[i % 3], *up = rows[(i + 2) % 3], *up2 = rows[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= b.n; j++) {
            now[j] = min3(up[j] + 1, now[j - 1] + 1, up[j - 1] + (a.p[i - 1] != b.p[j - 1]));
            bool swapped = i > 1 && j > 1 && a.p[i - 1] == b.p[j - 2] && a.p[i - 2] == b.p[j - 1];
            if (swapped && up2[j - 2] + 1 < now[j])
                now[j] = up2[j - 2] + 1;
        }
    }
    return rows[a.n % 3][b.n];
}

static void consider(struct str typed, struct str candidate, size_t *least, struct str *best)
{
    size_t d = candidate.n > MAX_TYPED ? *least : distance(typed, candidate);

    if (d < *least) {
        *least = d;
        *best = candidate;
    }
}

struct str usage_suggest(const struct cmd *const *table, const char *typed)
{
    struct str best = {"", 0};
    struct str word = str_of(typed);
    size_t least = word.n / 3 + 2; /* farther names are no help */

    for (; word.n <= MAX_TYPED && *table != NULL; table++) {
        struct str path = str_of((*table)->path);
        struct str noun = {path.p, strcspn(path.p, " ")};
        consider(word, path, &least, &best);
        consider(word, noun, &least, &best);
    }
    return best;
}
