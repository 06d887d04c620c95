/* usher rule check: the full validator on files, with the place of every error and warning. */
#include <stdio.h>

#include "cli/cmd.h"
#include "cli/out.h"
#include "common/base/buf.h"
#include "common/core/rule.h"

static enum err read_all(const char *path, struct buf *out)
{
    char chunk[4096];
    size_t n;
    FILE *f = path[0] == '-' && path[1] == '\0' ? stdin : fopen(path, "rbe");
    if (!f)
        return ERR_IO;
    while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0 && out->len <= RULE_JSON_MAX_BYTES * 4)
        buf_put(out, chunk, n);
    enum err err = ferror(f) ? ERR_IO : ERR_OK;
    if (f != stdin)
        (void)fclose(f);
    return err;
}

static void add_rows(struct out *rows, const char *path, const char *level, const struct rule_error *items, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        out_text(rows, path);
        out_text(rows, level);
        out_text(rows, items[i].pointer);
        out_text(rows, items[i].message);
    }
}

/* Adds a row per error and warning; false when the rule is not valid. */
static bool check_file(const char *path, struct out *rows)
{
    struct buf text = {0};
    struct rule_errors errors = {0};
    struct logic_fields *fields = logic_fields_new();
    struct rule *rule = NULL;
    if (read_all(path, &text) != ERR_OK)
        rule_errors_add(&errors, "", "the file can not be read");
    else
        rule = rule_parse_text((struct str){buf_text(&text), text.len}, fields, &errors);
    add_rows(rows, path, "error", errors.items, errors.n);
    add_rows(rows, path, "warning", errors.warnings, errors.n_warnings);
    bool good = rule != NULL;
    rule_free(rule);
    logic_fields_free(fields);
    rule_errors_free(&errors);
    buf_free(&text);
    return good;
}

static int run_check(struct cmd_run *run)
{
    static const struct out_column columns[] = {
        {"file", OUT_TEXT}, {"level", OUT_TEXT}, {"pointer", OUT_TEXT}, {"message", OUT_TEXT}};
    struct out *rows = out_new(columns, 4);
    int bad = 0;
    for (int i = 0; i < run->n_operands; i++)
        if (!check_file(run->operands[i], rows))
            bad++;
    out_print(rows, run->json, stdout);
    out_free(rows);
    if (!run->json)
        printf("%d of %d rules are valid\n", run->n_operands - bad, run->n_operands);
    return bad ? EXIT_FAILED : EXIT_OK;
}

const struct cmd cmd_rule_check = {
    .flags = CMD_NO_SETTINGS,
    .path = "rule check",
    .summary = "check rule files as the engine will",
    .operands = "FILE...",
    .min_operands = 1,
    .max_operands = -1,
    .details =
        "Every error and warning is shown with its JSON pointer. \"-\" is standard input. Exit code 1 when a rule is\n"
        "not valid; warnings are what is likely a mistake and change nothing.",
    .examples = "usher rule check examples/season/rules/*.json\n",
    .run = run_check,
};
