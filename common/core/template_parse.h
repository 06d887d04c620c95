/* template_parse: a template's text as a flat list of tokens (private to template*.c). */
#ifndef COMMON_CORE_TEMPLATE_PARSE_H
#define COMMON_CORE_TEMPLATE_PARSE_H

#include <stddef.h>

#include "common/base/err.h"
#include "common/base/mem.h"
#include "common/base/str.h"

enum token_kind { TOKEN_TEXT, TOKEN_VARIABLE, TOKEN_RAW, TOKEN_SECTION, TOKEN_INVERTED, TOKEN_CLOSE };

struct token {
    enum token_kind kind;
    struct str text; /* TEXT: the bytes; else the name, valid and trimmed; borrowed from the template */
    size_t line;     /* 1-based */
    size_t close;    /* SECTION, INVERTED: index of the matching CLOSE */
};

struct template_tokens {
    struct token *items; /* in the arena */
    size_t n;
};

/* Sections are balanced and at most TEMPLATE_DEPTH_MAX deep afterwards; lines that hold only a section tag or a comment
 * are gone. ERR_INVALID, ERR_LIMIT. */
enum err template_parse(struct str tpl, struct arena *arena, struct template_tokens *out, struct err_info *info) MUST_USE;

#endif
