/* Progress of long commands: the bar, and plain lines where there is no terminal. */
#include "cli/progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

Test(progress, bars)
{
    static const struct {
        int64_t done, total;
        const char *bar;
    } cases[] = {
        {0, 10, "[----------]   0 %"},
        {5, 10, "[#####-----]  50 %"},
        {10, 10, "[##########] 100 %"},
        {99, 10, "[##########] 100 %"},
        {-1, 10, "[----------]   0 %"},
        {3, 0, "[----------]   0 %"},
        {INT64_MAX, INT64_MAX, "[##########] 100 %"},
        {999, 1000, "[#########-]  99 %"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char out[32];
        progress_bar(out, sizeof(out), 10, cases[i].done, cases[i].total);
        cr_expect_str_eq(out, cases[i].bar, "case %zu: %s", i, out);
    }
}

Test(progress, is_one_line_for_each_label_without_a_terminal)
{
    char *text = NULL;
    size_t n = 0;
    FILE *f = tmpfile();
    struct progress p = {.f = f};

    for (int i = 0; i < 1000; i++)
        progress_show(&p, i < 500 ? "a export" : "a load", i, 1000);
    progress_end(&p);
    rewind(f);
    char lines[128] = "";
    n = fread(lines, 1, sizeof(lines) - 1, f);
    cr_expect_str_eq(lines, "a export\na load\n");
    cr_expect_eq(n, 16);
    free(text);
    (void)fclose(f);
}
