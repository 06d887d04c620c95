/* template_tree: templates inside a JSON tree, such as the payload of a webhook or an event (template.h says what a template is). */
#ifndef COMMON_CORE_TEMPLATE_TREE_H
#define COMMON_CORE_TEMPLATE_TREE_H

#include <jansson.h>

#include "common/base/err.h"

/* Checks or renders (in text mode) every string value inside `tree`, at any depth; keys and other values are copied. The error
 * names the place inside the tree as a JSON pointer. The total output obeys TEMPLATE_OUTPUT_MAX_BYTES. `*out` is a new
 * reference, NULL on error. */
enum err template_tree_check(const json_t *tree, struct err_info *info) MUST_USE;
enum err template_tree_render(const json_t *tree, const json_t *context, json_t **out, struct err_info *info) MUST_USE;

#endif
