/* usher rule preview: what a rule would do for a wedding, and why, without doing anything. */
#include <stdlib.h>

#include "cli/cmd.h"
#include "cli/connect.h"
#include "cli/input.h"
#include "cli/preview_text.h"
#include "common/core/rule.h"
#include "common/io/preview.h"

struct preview_options {
    char *tenant;
    char *wedding;
    char *as_of;
    char *event;
};

#define AT(field) offsetof(struct preview_options, field)
static const struct conf_key options[] = {
    SETTING_STR("tenant", AT(tenant), NULL, NULL, 0, "whose rule and wedding"),
    SETTING_STR("wedding", AT(wedding), NULL, NULL, 0, "the wedding it is tried on"),
    SETTING_STR("as-of", AT(as_of), NULL, NULL, 0, "the present of the preview (2027-05-01T12:00:00Z); unset: now"),
    SETTING_STR("event", AT(event), NULL, NULL, 0, "payload of the event that starts it: JSON, @FILE or -"),
    {.name = NULL},
};

static void check(const void *opts, struct buf *errors)
{
    const struct preview_options *o = opts;
    struct input_when when;

    input_check_id("--tenant", o->tenant, errors);
    input_check_id("--wedding", o->wedding, errors);
    input_check_when("--as-of", o->as_of, errors);
    if (o->tenant == NULL || o->wedding == NULL)
        buf_put_str(errors, "--tenant and --wedding are required\n");
    if (input_when("--as-of", o->as_of, &when, NULL) == ERR_OK && when.relative)
        buf_put_str(errors, "--as-of: expected a time such as 2027-05-01T12:00:00Z\n");
}

/* FILE or RULE_ID. */
static enum err read_rule(const char *operand, struct buf *text, struct preview_request *q, struct err_info *info)
{
    struct arena arena = {0};
    enum err err;

    if (id_parse(str_of(operand), &q->rule_id) == ERR_OK)
        return ERR_OK;
    const char *source = operand[0] == '-' && operand[1] == '\0' ? operand : arena_printf(&arena, "@%s", operand);
    err = input_text(source, RULE_TEXT_MAX_BYTES, text, info);
    q->document = (struct str){buf_text(text), text->len};
    arena_free(&arena);
    return err;
}

static enum err read_event(const char *given, json_t **out, struct err_info *info)
{
    struct buf text = {0};
    json_error_t why = {0};
    enum err err = ERR_OK;

    if (given == NULL)
        return ERR_OK;
    err = input_text(given, RULE_JSON_MAX_BYTES, &text, info);
    if (err == ERR_OK) {
        *out = json_loadb(buf_text(&text), text.len, JSON_REJECT_DUPLICATES, &why);
        if (!json_is_object(*out))
            err = err_set(info, ERR_INVALID, "--event: expected a JSON object %s", why.text);
    }
    buf_free(&text);
    return err;
}

static enum err read_request(const struct cmd_run *run, struct preview_request *q, struct buf *text, json_t **event,
                             struct err_info *info)
{
    const struct preview_options *o = run->options;
    struct input_when when = {0};
    enum err err = input_id("--tenant", o->tenant, &q->tenant_id, info);

    if (err == ERR_OK)
        err = input_id("--wedding", o->wedding, &q->wedding_id, info);
    if (err == ERR_OK)
        err = input_when("--as-of", o->as_of, &when, info);
    if (err == ERR_OK)
        err = read_rule(run->operands[0], text, q, info);
    if (err == ERR_OK)
        err = read_event(o->event, event, info);
    q->as_of_us = when.given ? when.us : DB_NULL_TIME;
    q->event = *event;
    return err;
}

static int print(const struct cmd_run *run, enum err err, const json_t *preview, const struct err_info *info)
{
    if (preview != NULL && run->json) {
        (void)json_dumpf(preview, stdout, JSON_INDENT(2));
        (void)putchar('\n');
    } else if (preview != NULL && err == ERR_OK) {
        preview_text_print(preview, stdout);
    } else if (preview != NULL) {
        preview_text_errors(preview, stdout);
    }
    return err == ERR_OK ? EXIT_OK : cmd_fail(run, preview != NULL ? EXIT_FAILED : cmd_exit_code(err), "%s", info->text);
}

static int run_preview(struct cmd_run *run)
{
    struct preview_request q = {.as_of_us = DB_NULL_TIME};
    struct db_session *db = NULL;
    struct buf text = {0};
    struct err_info info = {0};
    json_t *event = NULL, *preview = NULL;
    enum err err = read_request(run, &q, &text, &event, &info);
    int code = err == ERR_OK ? connect_db(run, &db) : cmd_fail(run, EXIT_USAGE, "%s", info.text);

    if (code == EXIT_OK) {
        err = preview_rule(db, &q, &preview, &info);
        code = print(run, err, preview, &info);
    }
    db_close(db);
    json_decref(preview);
    json_decref(event);
    buf_free(&text);
    return code;
}

const struct cmd cmd_rule_preview = {
    .path = "rule preview",
    .summary = "show what a rule would do for a wedding, without doing it",
    .operands = "FILE|RULE_ID",
    .min_operands = 1,
    .max_operands = 1,
    .options = options,
    .options_size = sizeof(struct preview_options),
    .details =
        "Shows the instant it fires and how that is derived, every condition with its values, the actions as they\n"
        "would be rendered, other rules within 24 hours, and how many weddings of the next 12 months match. Nothing\n"
        "is written. \"-\" is standard input. Exit code 1 when the file is no valid rule, 3 when there is no such\n"
        "rule or wedding.",
    .examples = "usher rule preview rule.json --tenant ID --wedding ID --as-of 2027-05-01T12:00:00Z\n",
    .check = check,
    .run = run_preview,
};
