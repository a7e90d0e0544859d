/*
 * Fills an initialised store that no broker has open, through the vault's own credential module: k-00000 and so on, from FROM to below TO in
 * steps of STEP. Syncing is left out, the store is thrown away after the benchmark.     store_fill STATE_DIR FROM TO STEP
 */
#include "base/auto.h"
#include "crypto/keyslot.h"
#include "vault/credential.h"

#include <string.h>
#include <sys/stat.h>

struct fill {
    const struct store_ops *ops;
    struct store *store;
    struct keyheader header;
    struct secret *slot, *master, *previous;
    struct credentials *cs;
    struct why why;
};

/* What the store calls here instead of libc's. */
int fsync(int fd)
{
    return fd < 0 ? -1 : 0;
}

int fdatasync(int fd)
{
    return fd < 0 ? -1 : 0;
}

static void must(err_t e, const struct why *why)
{
    if (e == ERR_OK)
        return;
    fprintf(stderr, "store_fill: %s\n", why->text);
    exit(1);
}

static void open_store(struct fill *f, const char *dir)
{
    AUTO(buf_free) struct buf b = {0};
    f->ops = store_by_name(view_str("file"));
    must(f->ops->open(&f->store, dir, false, &f->why), &f->why);
    must(f->ops->header_read(f->store, &b, &f->why), &f->why);
    must(keyheader_decode(buf_view(&b), &f->header, &f->why), &f->why);
    const struct keyslot *s = &f->header.slot[0];
    const struct keysource *source = keysource_by_name(view_str(s->source));
    const struct keysource_ask ask = {.params = VIEW(s->params, s->params_len)};
    must(source->open(&ask, &f->slot, &f->why), &f->why);
    must(keyheader_open(&f->header, 0, f->slot, &f->master, &f->previous, &f->why), &f->why);
    const struct credentials_env env = {f->ops, f->store, &f->header, f->master, f->previous, NULL};
    must(credentials_open(&env, &f->cs, &f->why), &f->why);
}

static void put(struct fill *f, unsigned i)
{
    AUTO(buf_free) struct buf b = {0};
    struct cred c = {0};
    const struct credential *out = NULL;
    char name[16], secret[64];
    snprintf(name, sizeof(name), "k-%05u", i);
    snprintf(secret, sizeof(secret), "sk-ant-api03-%05u0123456789abcdef0123456789abcdef", i);
    c.f[CF_KIND] = view_str("api_key");
    c.f[CF_SECRET] = view_str(secret);
    must(cred_encode(&c, &b, &f->why), &f->why);
    const struct credential_put p = {.name = view_str(name),
                                     .provider = view_str("anthropic"),
                                     .canonical = buf_view(&b),
                                     .now_ms = 1};
    must(credential_put(f->cs, &p, &out, &f->why), &f->why);
}

int main(int argc, char **argv)
{
    struct fill f = {0};
    unsigned at[3] = {0};
    for (int i = 0; argc == 5 && i < 3; i++)
        at[i] = (unsigned)strtoul(argv[2 + i], NULL, 10);
    if (at[2] == 0) {
        fprintf(stderr, "usage: store_fill STATE_DIR FROM TO STEP\n");
        return 2;
    }
    umask(077);
    must(secret_pool_open(1 << 20, &f.why), &f.why);
    open_store(&f, argv[1]);
    for (unsigned i = at[0]; i < at[1]; i += at[2])
        put(&f, i);
    printf("%u credentials\n", credentials_count(f.cs));
    credentials_close(f.cs);
    f.ops->close(f.store);
    secret_free(f.slot);
    secret_free(f.master);
    secret_free(f.previous);
    return 0;
}
