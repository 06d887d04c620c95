/* usher rule check: the full validator on files, with the place of every error and warning; then what the rules that are good do to
 * each other. */
#include <stdio.h>

#include "cli/cmd.h"
#include "cli/out.h"
#include "common/base/buf.h"
#include "common/base/mem.h"
#include "common/core/rule.h"
#include "common/core/rule_lint_chain.h"

struct checked {
    struct rule_errors errors;
    struct rule *rule; /* NULL: not valid */
};

static enum err read_all(const char *path, struct buf *out)
{
    char chunk[4096];
    size_t n;
    FILE *f = path[0] == '-' && path[1] == '\0' ? stdin : fopen(path, "rbe");
    if (!f)
        return ERR_IO;
    while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0 && out->len <= RULE_TEXT_MAX_BYTES)
        buf_put(out, chunk, n);
    enum err err = ferror(f) ? ERR_IO : ERR_OK;
    if (f != stdin)
        (void)fclose(f);
    return err;
}

static void check_file(const char *path, struct logic_fields *fields, struct checked *out)
{
    struct buf text = {0};
    if (read_all(path, &text) != ERR_OK)
        rule_errors_add(&out->errors, "", "the file can not be read");
    else
        out->rule = rule_parse_text((struct str){buf_text(&text), text.len}, fields, &out->errors);
    buf_free(&text);
}

/* Files have no ids, so rules that name each other are not followed. */
static void check_chains(struct checked *all, size_t n, const struct logic_fields *fields)
{
    struct rule_lint_peer *peers = mem_zalloc(n * sizeof(*peers));
    size_t *owner = mem_zalloc(n * sizeof(*owner)), good = 0;
    for (size_t i = 0; i < n; i++) {
        if (!all[i].rule)
            continue;
        peers[good].rule = all[i].rule;
        owner[good++] = i;
    }
    for (size_t i = 0; i < good; i++)
        rule_lint_chain(peers, good, i, fields, &all[owner[i]].errors);
    mem_free(owner);
    mem_free(peers);
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

static int run_check(struct cmd_run *run)
{
    static const struct out_column columns[] = {
        {"file", OUT_TEXT}, {"level", OUT_TEXT}, {"pointer", OUT_TEXT}, {"message", OUT_TEXT}};
    struct out *rows = out_new(columns, 4);
    struct logic_fields *fields = logic_fields_new();
    size_t n = (size_t)run->n_operands;
    struct checked *all = mem_zalloc(n * sizeof(*all));
    int bad = 0;
    for (size_t i = 0; i < n; i++)
        check_file(run->operands[i], fields, &all[i]);
    check_chains(all, n, fields);
    for (size_t i = 0; i < n; i++) {
        struct rule_errors *e = &all[i].errors;
        add_rows(rows, run->operands[i], "error", e->items, e->n);
        add_rows(rows, run->operands[i], "warning", e->warnings, e->n_warnings);
        bad += all[i].rule ? 0 : 1;
        rule_free(all[i].rule);
        rule_errors_free(e);
    }
    out_print(rows, run->json, stdout);
    out_free(rows);
    mem_free(all);
    logic_fields_free(fields);
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
        "Every error and warning is shown with its JSON pointer. \"-\" is standard input. Rules given together are "
        "also\n"
        "followed from one to the other: a chain of events that leads back is a warning. Exit code 1 when a rule is\n"
        "not valid; warnings are what is likely a mistake and change nothing.",
    .examples = "usher rule check examples/season/rules/*.json\n",
    .run = run_check,
};
