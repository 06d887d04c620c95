/* folder: temporary folders of tests and benchmarks, named after the process that made them, so that what a killed one could not remove
 * goes when the next one of its kind is made. The servers in them end with their process by themselves (parent-death signal). */
#ifndef TESTS_SUPPORT_FOLDER_H
#define TESTS_SUPPORT_FOLDER_H

#include <stdbool.h>
#include <stddef.h>

/* Makes BASE/KIND.<pid>.XXXXXX, after removing those of the same kind whose process is gone. base: NULL: /tmp. `out` is at least
 * 32 bytes. False, with errno, where that is not possible. */
bool folder_make(const char *base, const char *kind, char *out, size_t size);

/* With all that is in it; an empty path does nothing, and is what `dir` is afterwards. */
void folder_remove(char *dir);

#endif
