/* template: messages with holes, in the logic-less language everybody knows (Mustache, mustache(5)).
 *
 *   {{a.b}}   the value, escaped in html mode          {{{a.b}}} {{&a.b}}  the value as it is
 *   {{#a}}…{{/a}}  once per element of a list, with the element as context; once with the object; once for any other true value
 *   {{^a}}…{{/a}}  when a is missing, null, false, "" , 0 or an empty list     {{! … }}  comment     {{.}}  the context itself
 *
 * A dotted name's first part is looked for from the innermost context outwards, its other parts only inside what was found. A
 * line that holds nothing but a section tag or a comment vanishes whole. There are no partials, lambdas or changes of
 * delimiters: `{{>`, `{{=` are errors.
 *
 * Strict: a variable that is missing, null, a list or an object is an error naming it, so that no mail goes out with a hole.
 * Sections ask whether something is there, so a missing name is simply false in them. */
#ifndef COMMON_CORE_TEMPLATE_H
#define COMMON_CORE_TEMPLATE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/str.h"

#define TEMPLATE_MAX_BYTES ((size_t)64 * 1024)
#define TEMPLATE_OUTPUT_MAX_BYTES ((size_t)256 * 1024)
#define TEMPLATE_DEPTH_MAX 16       /* sections within sections, and levels of a rendered tree */
#define TEMPLATE_NAME_MAX_BYTES 128 /* of a dotted name */
#define TEMPLATE_OPS_MAX 200000     /* tags passed while rendering: nested lists multiply */

enum template_mode {
    TEMPLATE_TEXT,
    TEMPLATE_HTML /* & < > " ' become entities */
};

/* Syntax only. ERR_INVALID with line and tag, ERR_LIMIT. */
enum err template_check(struct str tpl, struct err_info *info) MUST_USE;

/* Appends the result to `out`; on error `out` is as it was. ERR_INVALID: syntax; ERR_NOTFOUND: a variable is missing (named); ERR_LIMIT.
 * Numbers print without an exponent where they fit and without trailing zeros; true and false as words. */
enum err template_render(struct str tpl, const json_t *context, enum template_mode mode, struct buf *out,
                         struct err_info *info) MUST_USE;

#endif
