/* progress: see progress.h. */
#include "cli/progress.h"

#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/str.h"

#define WIDTH 30
#define EVERY_MS 100
#define LINE_SIZE 160

void progress_bar(char *out, size_t size, int width, int64_t done, int64_t total)
{
    const int64_t part = done < 0 ? 0 : done > total ? total : done;
    const int cells = total > 0 ? (int)((double)part / (double)total * width) : 0;
    size_t n = 0;

    out[n++] = '[';
    for (int i = 0; i < width && n + 1 < size; i++)
        out[n++] = i < cells ? '#' : '-';
    (void)snprintf(out + n, size - n, "] %3d %%", total > 0 ? (int)((double)part / (double)total * 100) : 0);
}

void progress_end(struct progress *p)
{
    if (p->open)
        (void)fputc('\n', p->f);
    p->open = false;
}

static void draw(struct progress *p, int64_t done, int64_t total)
{
    char bar[LINE_SIZE] = "";

    if (total > 0)
        progress_bar(bar, sizeof(bar), WIDTH, done, total);
    (void)fprintf(p->f, "\r%-40s %s\033[K", p->label, bar);
    (void)fflush(p->f);
    p->open = true;
}

void progress_show(struct progress *p, const char *label, int64_t done, int64_t total)
{
    const int64_t now_ms = clock_mono_ms();
    const bool other = !p->begun || strcmp(label, p->label) != 0;

    if (!p->begun) {
        p->f = p->f != NULL ? p->f : stderr;
        p->terminal = isatty(fileno(p->f)) == 1;
        p->begun = true;
    }
    if (other) {
        progress_end(p);
        (void)str_copy(p->label, sizeof(p->label), label);
    }
    if (other && !p->terminal)
        (void)fprintf(p->f, "%s\n", label);
    if (p->terminal && (other || now_ms - p->drawn_ms >= EVERY_MS || (total > 0 && done >= total))) {
        p->drawn_ms = now_ms;
        draw(p, done, total);
    }
}
