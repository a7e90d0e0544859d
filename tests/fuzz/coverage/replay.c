/*
 * A fuzz target's inputs, each once: what libFuzzer does with -runs=0, in a program that any compiler builds, so that the lines it reaches
 * can be counted.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerInitialize(int *argc, char ***argv) __attribute__((weak));

enum { INPUT_MAX = 1 << 20 };

static void replay(const char *directory, const char *name)
{
    char path[4096];
    (void)snprintf(path, sizeof(path), "%s/%s", directory, name);
    FILE *f = fopen(path, "rb");
    uint8_t *data = malloc(INPUT_MAX);
    if (!f || !data)
        abort();
    size_t n = fread(data, 1, INPUT_MAX, f);
    (void)fclose(f);
    uint8_t *exact = malloc(n ? n : 1);
    if (!exact)
        abort();
    for (size_t i = 0; i < n; i++)
        exact[i] = data[i];
    (void)LLVMFuzzerTestOneInput(exact, n);
    free(exact);
    free(data);
}

int main(int argc, char **argv)
{
    unsigned files = 0;
    if (LLVMFuzzerInitialize)
        (void)LLVMFuzzerInitialize(&argc, &argv);
    for (int i = 1; i < argc; i++) {
        DIR *d = opendir(argv[i]);
        for (struct dirent *e; d && (e = readdir(d)) != NULL;)
            if (e->d_name[0] != '.') {
                replay(argv[i], e->d_name);
                files++;
            }
        if (d)
            (void)closedir(d);
    }
    printf("%u\n", files);
    return files == 0;
}
