/*
 * Looks for secrets where they must not be: `scan [-p PID]… [PATH]… <needles`, a needle a line as "NAME VALUE". Each is looked for in all
 * its 12-byte windows: as it is, in base64 (both alphabets, three alignments), in hex (both cases), in UTF-16. Memory is every mapping
 * of the process that can be read; memfd_secret, which the kernel lets nobody read, is counted. Paths are walked, files read
 * whole. Prints each find once; exit 1 when there was one, 2 when something could not be looked at.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WINDOW = 12, NEEDLES = 64, FORMS_BYTES = 1 << 20, TABLE = 1 << 19, CHUNK = 1 << 20, LINE = 8192 };

struct window {
    const uint8_t *at; /* in `forms`; NULL: free */
    uint8_t needle, form;
    uint8_t size; /* hex and UTF-16 need twice the bytes to say as much */
};
static uint8_t forms[FORMS_BYTES];
static size_t forms_used;
static struct window table[TABLE];
static unsigned windows, finds, blind, secret_mappings, processes, files;
static char names[NEEDLES][64];
static unsigned n_needles;
static bool told[NEEDLES];
static const char *const form_name[] = {"raw", "base64", "base64url", "hex", "HEX", "UTF-16"};
enum { RAW, BASE64, BASE64URL, HEX, HEX_UPPER, UTF16 };

static uint32_t hash(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof(v));
    return (uint32_t)((v * 0x9e3779b97f4a7c15u) >> 45) % TABLE;
}

static void die(const char *what)
{
    fprintf(stderr, "scan: %s: %s\n", what, strerror(errno));
    exit(2);
}

/* ---- needles */

static void add_windows(const uint8_t *form, size_t n, uint8_t needle, uint8_t kind)
{
    uint8_t size = kind >= HEX ? 2 * WINDOW : WINDOW;
    for (size_t i = 0; i + size <= n; i++) {
        uint32_t h = hash(form + i);
        while (table[h].at)
            h = (h + 1) % TABLE;
        table[h] = (struct window){form + i, needle, kind, size};
        if (++windows > TABLE / 2)
            die("too many needles");
    }
}

static uint8_t *room(size_t n)
{
    if (n > FORMS_BYTES - forms_used)
        die("too many bytes of needles");
    forms_used += n;
    return forms + forms_used - n;
}

/* From `skip` on, whole groups of three: what stands there whatever comes before and after. */
static void add_base64(const uint8_t *p, size_t n, uint8_t needle, uint8_t kind)
{
    const char *abc = kind == BASE64 ? "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
                                     : "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for (size_t skip = 0; skip < 3; skip++) {
        size_t groups = (n - skip) / 3;
        uint8_t *out = room(groups * 4);
        for (size_t g = 0; g < groups; g++) {
            const uint8_t *q = p + skip + 3 * g;
            uint32_t v = (uint32_t)q[0] << 16 | (uint32_t)q[1] << 8 | q[2];
            for (unsigned k = 0; k < 4; k++)
                out[4 * g + k] = (uint8_t)abc[v >> (18 - 6 * k) & 63];
        }
        add_windows(out, groups * 4, needle, kind);
    }
}

static void add_doubled(const uint8_t *p, size_t n, uint8_t needle, uint8_t kind)
{
    const char *digits = kind == HEX ? "0123456789abcdef" : "0123456789ABCDEF";
    uint8_t *out = room(2 * n);
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = kind == UTF16 ? p[i] : (uint8_t)digits[p[i] >> 4];
        out[2 * i + 1] = kind == UTF16 ? 0 : (uint8_t)digits[p[i] & 15];
    }
    add_windows(out, 2 * n, needle, kind);
}

static void add_needle(char *line)
{
    char *value = strchr(line, ' ');
    line[strcspn(line, "\n")] = '\0';
    if (!value || strlen(value + 1) < WINDOW || n_needles == NEEDLES) {
        fprintf(stderr, "scan: a needle is NAME and at least %d bytes, and there are at most %d\n", WINDOW, NEEDLES);
        exit(2);
    }
    *value++ = '\0';
    uint8_t needle = (uint8_t)n_needles++;
    snprintf(names[needle], sizeof(names[0]), "%.63s", line);
    size_t n = strlen(value);
    uint8_t *raw = room(n);
    memcpy(raw, value, n);
    add_windows(raw, n, needle, RAW);
    add_base64(raw, n, needle, BASE64);
    add_base64(raw, n, needle, BASE64URL);
    add_doubled(raw, n, needle, HEX);
    add_doubled(raw, n, needle, HEX_UPPER);
    add_doubled(raw, n, needle, UTF16);
}

/* ---- haystacks */

static void look(const uint8_t *p, size_t n, const char *where)
{
    for (size_t i = 0; i + WINDOW <= n; i++)
        for (uint32_t h = hash(p + i); table[h].at; h = (h + 1) % TABLE) {
            const struct window *w = &table[h];
            if (i + w->size > n || memcmp(w->at, p + i, w->size) != 0 || told[w->needle])
                continue;
            char around[65] = "";
            size_t from = i > 24 ? i - 24 : 0;
            for (size_t k = 0; k < 64 && from + k < n; k++)
                around[k] = isprint(p[from + k]) ? (char)p[from + k] : '.';
            printf("%s (%s) in %s at %zu: %s\n", names[w->needle], form_name[w->form], where, i, around);
            told[w->needle] = true;
            finds++;
        }
}

/* Chunks overlap by a window, so that none is cut in two. */
static void look_at_range(int fd, uint64_t from, uint64_t to, const char *where)
{
    static uint8_t buf[CHUNK];
    size_t kept = 0;
    while (from < to) {
        size_t want = to - from < CHUNK - kept ? (size_t)(to - from) : CHUNK - kept;
        ssize_t n = pread(fd, buf + kept, want, (off_t)from);
        if (n <= 0) {
            if (n < 0) {
                fprintf(stderr, "scan: %s: %s\n", where, strerror(errno));
                blind++;
            }
            return;
        }
        from += (uint64_t)n;
        look(buf, kept + (size_t)n, where);
        size_t keep = kept + (size_t)n < 2 * WINDOW ? kept + (size_t)n : 2 * WINDOW - 1;
        memmove(buf, buf + kept + (size_t)n - keep, keep);
        kept = keep;
    }
}

static void forget(void)
{
    memset(told, 0, sizeof(told));
}

static void look_at_file(const char *path)
{
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    forget();
    look((const uint8_t *)path, strlen(path), path);
    if (fd < 0) {
        fprintf(stderr, "scan: %s: %s\n", path, strerror(errno));
        blind++;
        return;
    }
    look_at_range(fd, 0, UINT64_MAX, path);
    close(fd);
    files++;
}

static int on_path(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)ftw;
    if (type == FTW_F && S_ISREG(st->st_mode))
        look_at_file(path);
    else
        look((const uint8_t *)path, strlen(path), path);
    return 0;
}

/* Of private anonymous memory only the pages that exist (Documentation/admin-guide/mm/pagemap.rst: bit 63 present, 62 swapped): JavaScript
 * engines map gigabytes that they never touch. */
static void look_at_touched(int mem, int pagemap, const uint64_t range[2], const char *where)
{
    static uint64_t entry[8192];
    const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t begin = range[1]; /* of a run of pages that exist */
    for (uint64_t at = range[0]; at < range[1];) {
        uint64_t left = (range[1] - at) / page, want = left < 8192 ? left : 8192;
        ssize_t got = pread(pagemap, entry, want * sizeof(entry[0]), (off_t)(at / page * sizeof(entry[0])));
        if (got <= 0) { /* not told: all of it */
            begin = begin < at ? begin : at;
            break;
        }
        for (size_t i = 0; i < (size_t)got / sizeof(entry[0]); i++, at += page) {
            bool there = entry[i] >> 62;
            if (there && begin == range[1])
                begin = at;
            if (!there && begin != range[1]) {
                look_at_range(mem, begin, at, where);
                begin = range[1];
            }
        }
    }
    if (begin < range[1])
        look_at_range(mem, begin, range[1], where);
}

static void look_at_process(const char *pid)
{
    char path[64], line[512], where[640];
    static const char *const also[] = {"cmdline", "environ"};
    for (unsigned i = 0; i < 2; i++) {
        snprintf(path, sizeof(path), "/proc/%s/%s", pid, also[i]);
        look_at_file(path);
        files--;
    }
    snprintf(path, sizeof(path), "/proc/%s/mem", pid);
    int mem = open(path, O_RDONLY);
    snprintf(path, sizeof(path), "/proc/%s/maps", pid);
    FILE *maps = fopen(path, "r");
    snprintf(path, sizeof(path), "/proc/%s/pagemap", pid);
    int pagemap = open(path, O_RDONLY);
    if (mem < 0 || !maps)
        die(path);
    forget();
    while (fgets(line, sizeof(line), maps)) {
        unsigned long long from, to, inode;
        char mode[8] = "";
        if (sscanf(line, "%llx-%llx %7s %*x %*s %llu", &from, &to, mode, &inode) != 4)
            die("maps");
        line[strcspn(line, "\n")] = '\0';
        snprintf(where, sizeof(where), "%s %s", pid, line);
        if (strstr(line, "secretmem")) /* memfd_secret(2) */
            secret_mappings++;
        else if (mode[0] == 'r' && mode[3] == 'p' && inode == 0 && pagemap >= 0 && !strstr(line, "[v"))
            look_at_touched(mem, pagemap, (const uint64_t[]){from, to}, where);
        else if (mode[0] == 'r' && !strstr(line, "[vvar") && !strstr(line, "[vsyscall]"))
            look_at_range(mem, from, to, where);
    }
    fclose(maps);
    close(mem);
    if (pagemap >= 0)
        close(pagemap);
    processes++;
}

int main(int argc, char **argv)
{
    static char line[LINE];
    while (fgets(line, sizeof(line), stdin))
        add_needle(line);
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "-p") == 0 && i + 1 < argc)
            look_at_process(argv[++i]);
        else if (nftw(argv[i], on_path, 32, FTW_PHYS) != 0)
            die(argv[i]);
    }
    printf("scan: %u needles, %u windows, %u processes (%u mappings of memfd_secret), %u files: %u found\n", n_needles, windows,
           processes, secret_mappings, files, finds);
    return finds ? 1 : blind || n_needles == 0 ? 2 : 0;
}
