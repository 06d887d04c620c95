/* replay: runs a fuzz target once over every file of the folders given, so that what fuzzing found stays found. Linked with
 * each tests/fuzz/fuzz_<name>.c in place of libFuzzer's main. A folder that is missing or empty is an error: every target
 * has at least one seed. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    uint8_t *data = NULL;
    size_t size = 0;
    size_t got = 0;

    if (f == NULL) {
        perror(path);
        return 1;
    }
    do {
        data = realloc(data, size + 65536);
        if (data == NULL)
            abort();
        got = fread(data + size, 1, 65536, f);
        size += got;
    } while (got > 0);
    (void)fclose(f);
    /* An exact copy, so that AddressSanitizer sees a read past the end. */
    uint8_t *exact = malloc(size > 0 ? size : 1);
    if (exact == NULL)
        abort();
    memcpy(exact, data, size);
    (void)LLVMFuzzerTestOneInput(exact, size);
    free(exact);
    free(data);
    return 0;
}

static int replay_folder(const char *folder, int *n)
{
    DIR *dir = opendir(folder);
    struct dirent *entry = NULL;
    char path[4096];
    int rc = 0;

    if (dir == NULL) {
        perror(folder);
        return 1;
    }
    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        (void)snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        rc |= replay_file(path);
        (*n)++;
    }
    (void)closedir(dir);
    return rc;
}

int main(int argc, char **argv)
{
    int rc = argc > 1 ? 0 : 1;
    int n = 0;

    for (int i = 1; i < argc; i++)
        rc |= replay_folder(argv[i], &n);
    printf("%s: %d inputs replayed\n", argv[0], n);
    return rc != 0 || n == 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
