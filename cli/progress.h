/* progress: what a long command is doing, on standard error: a bar on a terminal, otherwise one line for each thing that it begins. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define PROGRESS_LABEL_SIZE 96

/* Zero-initialise ({0}) before use. */
struct progress {
    FILE *f;       /* NULL: standard error */
    bool terminal; /* set by the first progress_show, from f */
    bool begun;
    bool open; /* the cursor stands behind a bar */
    char label[PROGRESS_LABEL_SIZE];
    int64_t drawn_ms;
};

/* What is done of `total` (0: unknown) under this label. A bar is drawn ten times a second at most, and at the end. */
void progress_show(struct progress *p, const char *label, int64_t done, int64_t total);
/* Ends the bar's line, before anything else is printed. */
void progress_end(struct progress *p);

/* "[#####-----]  50 %" of `width` cells, NUL-terminated; size is at least width + 9. */
void progress_bar(char *out, size_t size, int width, int64_t done, int64_t total);

#endif
