/* input: operands and options that commands take in the same form: ids, instants, payloads. */
#ifndef CLI_INPUT_H
#define CLI_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/id.h"

/* NULL or "": ID_ZERO. ERR_INVALID when the text is no UUID; `name` is the option or operand that `info` names. */
enum err input_id(const char *name, const char *text, struct id *out, struct err_info *info) MUST_USE;

/* An instant as RFC 3339, or a duration ("10m"), which counts from a clock that the caller knows. */
struct input_when {
    bool given;
    bool relative;
    int64_t us; /* since 1970; the duration when relative */
};
/* NULL or "": not given. */
enum err input_when(const char *name, const char *text, struct input_when *out, struct err_info *info) MUST_USE;

/* The operand's text itself, or what "-" (standard input) or "@FILE" holds. ERR_LIMIT beyond most_bytes. */
enum err input_text(const char *operand, size_t most_bytes, struct buf *out, struct err_info *info) MUST_USE;

/* Appends user@host of the operating system: who acted, for the audit trail. */
void input_user(struct buf *out);

/* The check of commands: a line per error. */
void input_check_id(const char *name, const char *text, struct buf *errors);
void input_check_when(const char *name, const char *text, struct buf *errors);

#endif
