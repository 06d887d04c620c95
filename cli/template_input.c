/* template_input: see template_input.h. */
#include "cli/template_input.h"

#include <jansson.h>

#include "cli/input.h"

#define PARAMS_MAX_BYTES ((size_t)64 * 1024)

void template_input_check(const void *opts, struct buf *errors)
{
    input_check_id("--tenant", ((const struct template_options *)opts)->tenant, errors);
}

enum err template_input(const struct cmd_run *run, struct store_template *out, struct buf *text, struct err_info *info)
{
    const struct template_options *o = run->options;
    json_error_t why = {0};
    json_t *params;
    enum err err = input_id("--tenant", o->tenant, &out->tenant, info);

    if (err == ERR_OK)
        err = input_text(o->params != NULL ? o->params : "{}", PARAMS_MAX_BYTES, text, info);
    if (err != ERR_OK)
        return err;
    params = json_loadb(buf_text(text), text->len, JSON_REJECT_DUPLICATES, &why);
    if (!json_is_object(params))
        err = err_set(info, ERR_INVALID, "--params: expected a JSON object %s", why.text);
    json_decref(params);
    out->key = run->operands[0];
    out->params = (struct str){buf_text(text), text->len};
    out->version = o->version;
    return err;
}
