/*
 * Plays inputs to a fuzz target with any compiler:
 *
 *   fuzz_TARGET_cases FILE|FOLDER...
 *
 * Prints `ok NAME` an argument. The input that ends it is the one named last on
 * standard error.
 */

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/fuzz/fuzz.h"

static int play(const char *path) {
    struct stat info;
    FILE *file = fopen(path, "rb");
    if (file == NULL || fstat(fileno(file), &info) != 0) {
        perror(path);
        return 1;
    }
    const size_t len = (size_t)info.st_size;
    uint8_t *data = malloc(len > 0 ? len : 1); /* so that its end is seen */
    if (data == NULL || fread(data, 1, len, file) != len) abort();
    fclose(file);
    fprintf(stderr, "%s\n", path);
    LLVMFuzzerTestOneInput(data, len);
    free(data);
    return 0;
}

static int play_folder(const char *folder, int n, struct dirent **list) {
    int failed = 0;
    for (int i = 0; i < n; i++) {
        char path[1024];
        snprintf(path, sizeof path, "%s/%s", folder, list[i]->d_name);
        if (list[i]->d_name[0] != '.') failed |= play(path);
        free(list[i]);
    }
    free(list);
    return failed;
}

int main(int argc, char **argv) {
    int failed = 0;
    for (int i = 1; i < argc; i++) {
        struct dirent **list = NULL;
        const int n = scandir(argv[i], &list, NULL, versionsort);
        const int bad = n >= 0 ? play_folder(argv[i], n, list) : play(argv[i]);
        printf("%sok %s\n", bad ? "not " : "", argv[i]);
        failed |= bad;
    }
    return failed;
}
