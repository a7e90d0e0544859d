/*
 * As many executions of a fuzz target as a processor can do, without a fuzzer's watching: inputs are the committed corpus, changed at random.
 * Linked with one target, built with -O2 and UBSan that traps; the target's own conditions are what can fail. libFuzzer finds new paths; this
 * goes over the known ones in numbers.
 *     blast N SEED CORPUS-DIRECTORY           prints how many and how fast; the input that fails is written to ./blast-SEED.input
 */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { SEEDS = 4096, ROOM = 2048, CHANGES = 6 };
static struct {
    uint8_t *at;
    size_t n;
} seed[SEEDS];
static size_t seeds;
static uint64_t state;
static uint8_t input[ROOM + 1];
static size_t input_n;
static char failed[64];

static uint64_t rnd(void) /* xorshift64*, Vigna 2016 */
{
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return state * 2685821657736338717u;
}

static size_t below(size_t n)
{
    return n ? (size_t)(rnd() >> 11) % n : 0;
}

static void on_fault(int sig)
{
    int fd = open(failed, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (fd >= 0)
        (void)!write(fd, input, input_n);
    (void)!write(2, "blast: FAILED\n", 14);
    signal(sig, SIG_DFL);
    raise(sig);
}

static void read_corpus(const char *dir)
{
    DIR *d = opendir(dir);
    for (struct dirent *e; d && seeds < SEEDS && (e = readdir(d)) != NULL;) {
        char path[4096];
        snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
        FILE *f = e->d_name[0] == '.' ? NULL : fopen(path, "rb");
        uint8_t *p = f ? malloc(ROOM) : NULL;
        size_t n = p ? fread(p, 1, ROOM, f) : 0;
        if (f)
            fclose(f);
        if (p) {
            seed[seeds].at = p;
            seed[seeds++].n = n;
        }
    }
    if (d)
        closedir(d);
}

static void insert(size_t at, const uint8_t *p, size_t n)
{
    n = n < ROOM - input_n ? n : ROOM - input_n;
    memmove(input + at + n, input + at, input_n - at);
    memmove(input + at, p, n);
    input_n += n;
}

static void change(void)
{
    static const char special[] = "\r\n\t :;,\"\\{}[]%/.?&=#0123456789\x00\x7f\xff";
    size_t at = below(input_n + 1), n;
    uint8_t byte;
    switch (below(7)) {
    case 0:
        if (at < input_n)
            input[at] ^= (uint8_t)(1u << below(8));
        return;
    case 1:
        if (at < input_n)
            input[at] = (uint8_t)special[below(sizeof(special))];
        return;
    case 2:
        byte = (uint8_t)special[below(sizeof(special))];
        insert(at, &byte, 1);
        return;
    case 3: /* a piece less */
        n = below(input_n - at < 16 ? input_n - at + 1 : 16);
        memmove(input + at, input + at + n, input_n - at - n);
        input_n -= n;
        return;
    case 4: { /* a piece again */
        uint8_t piece[64];
        size_t from = below(input_n + 1);
        n = below(input_n - from < sizeof(piece) ? input_n - from + 1 : sizeof(piece));
        memcpy(piece, input + from, n);
        insert(at, piece, n);
        return;
    }
    case 5: { /* a piece of another one */
        size_t other = below(seeds), from = below(seed[other].n + 1);
        n = below(seed[other].n - from < 64 ? seed[other].n - from + 1 : 64);
        insert(at, seed[other].at + from, n);
        return;
    }
    default: /* the end is cut off */
        input_n = at;
    }
}

int main(int argc, char **argv)
{
    uint64_t n = argc == 4 ? strtoull(argv[1], NULL, 10) : 0, first;
    struct timespec a, b;
    if (n == 0) {
        fprintf(stderr, "usage: blast N SEED CORPUS-DIRECTORY\n");
        return 2;
    }
    first = strtoull(argv[2], NULL, 10);
    state = first * 0x9e3779b97f4a7c15u + 1;
    snprintf(failed, sizeof(failed), "blast-%" PRIu64 ".input", first);
    read_corpus(argv[3]);
    if (seeds == 0) {
        fprintf(stderr, "blast: no corpus in %s\n", argv[3]);
        return 2;
    }
    const int faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGABRT, SIGFPE};
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
        signal(faults[i], on_fault);
    clock_gettime(CLOCK_MONOTONIC, &a);
    for (uint64_t i = 0; i < n; i++) {
        size_t s = below(seeds);
        memcpy(input, seed[s].at, seed[s].n);
        input_n = seed[s].n;
        for (size_t k = below(CHANGES); k > 0; k--)
            change();
        (void)LLVMFuzzerTestOneInput(input, input_n);
    }
    clock_gettime(CLOCK_MONOTONIC, &b);
    double s = (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9;
    printf("%" PRIu64 " executions, %zu inputs to begin with, seed %" PRIu64 ": nothing found in %.0f s\n", n, seeds, first, s);
    return 0;
}
