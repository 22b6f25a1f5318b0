/* Write one valid message of each type into a folder: a corpus. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "tests/fuzz/samples.h"

static int write_one(const char *folder, const struct wire_message *message) {
    char path[512];
    snprintf(path, sizeof(path), "%s/%02d", folder, (int)message->type);
    void *data;
    size_t len;
    if (wire_pack(message, &data, &len) != 0) return 1;
    FILE *file = fopen(path, "wb");
    int failed = file == NULL || fwrite(data, 1, len, file) != len;
    if (file != NULL) failed |= fclose(file) != 0;
    if (failed) perror(path);
    free(data);
    return failed;
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: wire_samples FOLDER\n");
        return 2;
    }
    struct wire_message messages[SAMPLES];
    samples_fill(messages);
    mkdir(argv[1], 0777);
    int failed = 0;
    for (int i = 0; i < SAMPLES; i++)
        failed |= write_one(argv[1], &messages[i]);
    return failed;
}
