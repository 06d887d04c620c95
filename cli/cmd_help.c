/* usher help: the list of commands, one command, the commands of a noun, or a topic. */
#include <string.h>

#include "cli/cmd.h"
#include "cli/usage.h"

static void put_json_command(const struct cmd *cmd, struct buf *out)
{
    buf_put_str(out, "{\"command\":");
    buf_put_json(out, cmd->path, strlen(cmd->path));
    buf_put_str(out, ",\"summary\":");
    buf_put_json(out, cmd->summary, strlen(cmd->summary));
    buf_put_char(out, '}');
}

static void put_json(const struct cmd *const *table, struct buf *out)
{
    buf_put_char(out, '[');
    for (size_t i = 0; table[i] != NULL; i++) {
        buf_put_str(out, i > 0 ? ",\n" : "");
        put_json_command(table[i], out);
    }
    buf_put_str(out, "]\n");
}

static int fail_unknown(const struct cmd_run *run)
{
    struct buf typed = {0};

    for (int i = 0; i < run->n_operands; i++)
        buf_printf(&typed, "%s%s", i > 0 ? " " : "", run->operands[i]);
    struct str near = usage_suggest(run->table, buf_text(&typed));
    int code = near.n == 0 ? cmd_fail(run, EXIT_USAGE, "%s: no such command or topic", buf_text(&typed))
                           : cmd_fail(run, EXIT_USAGE, "%s: no such command or topic; did you mean \"%.*s\"?",
                                      buf_text(&typed), (int)near.n, near.p);
    buf_free(&typed);
    return code;
}

static int put_named(const struct cmd_run *run, struct buf *out)
{
    int used = 0;
    const struct cmd *cmd = cmd_find(run->table, run->n_operands, run->operands, &used);
    const char *word = run->operands[0];

    if (cmd != NULL && used == run->n_operands) {
        usage_put_command(cmd, out);
    } else if (run->n_operands == 1 && strcmp(word, "exit-codes") == 0) {
        usage_put_exit_codes(out);
    } else if (run->n_operands == 1 && strcmp(word, "settings") == 0) {
        usage_put_settings(out);
    } else if (run->n_operands == 1 && strcmp(word, "settings-table") == 0) {
        usage_put_settings_table(out);
    } else if (run->n_operands == 1 && usage_is_noun(run->table, word)) {
        usage_put_list(run->table, word, out);
    } else {
        return fail_unknown(run);
    }
    return EXIT_OK;
}

static int run_help(struct cmd_run *run)
{
    struct buf text = {0};
    int code = EXIT_OK;

    if (run->n_operands > 0)
        code = put_named(run, &text);
    else if (run->json)
        put_json(run->table, &text);
    else
        usage_put_list(run->table, NULL, &text);
    (void)fputs(buf_text(&text), stdout);
    buf_free(&text);
    return code;
}

const struct cmd cmd_help = {
    .flags = CMD_NO_SETTINGS,
    .path = "help",
    .summary = "explain a command or a topic (exit-codes, settings, settings-table)",
    .operands = "[COMMAND|TOPIC]",
    .max_operands = 4,
    .examples = "usher help\nusher help migrate up\nusher help exit-codes\n",
    .run = run_help,
};
