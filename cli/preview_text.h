/* preview_text: a preview (common/io/preview.h) for people. Colourless; lines are wrapped nowhere, since texts of mails are shown. */
#ifndef CLI_PREVIEW_TEXT_H
#define CLI_PREVIEW_TEXT_H

#include <jansson.h>
#include <stdio.h>

void preview_text_print(const json_t *preview, FILE *f);

/* The errors of a document that is no rule: a line each, "pointer: message". */
void preview_text_errors(const json_t *preview, FILE *f);

/* The condition tree alone (explain_conditions), each line indented by `indent` blanks. */
void preview_text_conditions(const json_t *conditions, int indent, FILE *f);

#endif
