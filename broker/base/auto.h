/*
 * Scope-bound cleanup. `AUTO(buf_free) struct buf b = {0};` is freed on every way out of the scope;
 * `TAKE(p)` hands a pointer over and leaves NULL behind, so the cleanup does nothing.
 */
#ifndef BASE_AUTO_H
#define BASE_AUTO_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define AUTO(fn) __attribute__((cleanup(fn)))
#define TAKE(p)                                                                                    \
    __extension__({                                                                                \
        __typeof__(p) take_ = (p);                                                                 \
        (p) = NULL;                                                                                \
        take_;                                                                                     \
    })
#define TAKE_FD(fd)                                                                                \
    __extension__({                                                                                \
        int take_ = (fd);                                                                          \
        (fd) = -1;                                                                                 \
        take_;                                                                                     \
    })
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* for `AUTO(auto_free) char *p` */
static inline void auto_free(void *pp)
{
    free(*(void **)pp);
}
/* for `AUTO(auto_close) int fd = -1` */
static inline void auto_close(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}
static inline void auto_fclose(FILE **f)
{
    if (*f)
        (void)fclose(*f);
}
struct secret;
void secret_free(struct secret *s);
static inline void auto_secret(struct secret **s)
{
    secret_free(*s);
}

/* `TRY(step(…));` returns the step's error from the present function when it is not ERR_OK. */
#define TRY(expr)                                                                                  \
    do {                                                                                           \
        err_t try_ = (expr);                                                                       \
        if (try_ != ERR_OK)                                                                        \
            return try_;                                                                           \
    } while (0)

#endif
