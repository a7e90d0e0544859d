/*
 * The operator's side of the command line: where the admin socket is, and how its answers are read and shown. Nothing here keeps a
 * secret longer than one call.
 */
#include "cli/admin.h"

#include "base/auto.h"
#include <broker/secret.h>
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

err_t admin_run_dir(char out[ADMIN_PATH_MAX], struct why *why)
{
    const char *run = getenv("CREDENTIAL_BROKER_RUN"), *xdg = getenv("XDG_RUNTIME_DIR");
    int n;
    if (run && run[0])
        n = snprintf(out, ADMIN_PATH_MAX, "%s", run);
    else if (geteuid() == 0 || !xdg || !xdg[0])
        n = snprintf(out, ADMIN_PATH_MAX, "/run/credential-broker");
    else
        n = snprintf(out, ADMIN_PATH_MAX, "%s/credential-broker", xdg);
    return n > 0 && n < ADMIN_PATH_MAX ? ERR_OK : fail(why, ERR_USAGE, "the run directory's path is too long");
}

err_t admin_connect(const struct verb_common *common, struct broker_client **out, struct why *why)
{
    char run[ADMIN_PATH_MAX], path[ADMIN_PATH_MAX + 8];
    if (common->socket)
        return broker_connect(common->socket, 0, out, why);
    TRY(admin_run_dir(run, why));
    (void)snprintf(path, sizeof(path), "%s/admin", run);
    err_t e = broker_connect(path, 0, out, why);
    if (e == ERR_NO_BROKER)
        return fail(why, e, "no broker answers at %s/broker.sock: start one with `brokerd &` (or: systemctl start credential-broker)",
                    path);
    return e;
}

err_t admin_call(const struct verb_common *common, const char *method, const char *path, const struct buf *body,
                 struct buf *text, struct why *why)
{
    struct broker_client *c = NULL;
    const char *reply = NULL;
    size_t n = 0;
    if (body)
        TRY(buf_ok(body, why));
    TRY(admin_connect(common, &c, why));
    struct broker_request rq = {.method = method, .path = path, .body = body ? body->p : NULL,
                                .body_len = body ? body->len : 0};
    err_t e = broker_call_ok(c, &rq, &reply, &n, why);
    if (e == ERR_OK)
        buf_add(text, reply, n);
    broker_close(c);
    TRY(e);
    return buf_ok(text, why);
}

err_t admin_ask(const struct verb_common *common, const char *method, const char *path, const struct buf *body,
                json_t **out, struct why *why)
{
    AUTO(buf_free) struct buf text = {0};
    *out = NULL;
    TRY(admin_call(common, method, path, body, &text, why));
    if (!common->json)
        return json_parse(buf_view(&text), out, why);
    buf_put_u8(&text, '\n');
    return verb_write(&text, why);
}

/* ---- members */

const char *text_of(const json_t *obj, const char *key)
{
    const char *s = json_string_value(json_object_get(obj, key));
    return s ? s : "";
}

int64_t int_of(const json_t *obj, const char *key)
{
    return json_integer_value(json_object_get(obj, key));
}

const char *when_of(const json_t *obj, const char *key, char out[32])
{
    time_t t = (time_t)(int_of(obj, key) / 1000);
    struct tm tm;
    if (t == 0 || !localtime_r(&t, &tm) || strftime(out, 32, "%Y-%m-%d %H:%M", &tm) == 0)
        return "-";
    return out;
}

const char *list_of(const json_t *obj, const char *key, char *out, size_t room)
{
    const json_t *list = json_object_get(obj, key), *item;
    size_t i, at = 0;
    out[0] = '\0';
    json_array_foreach((json_t *)(uintptr_t)list, i, item) {
        const char *s = json_string_value(item);
        int n = s ? snprintf(out + at, room - at, "%s%s", at ? "," : "", s)
                  : snprintf(out + at, room - at, "%s%lld", at ? "," : "", (long long)json_integer_value(item));
        if (n < 0 || (size_t)n >= room - at)
            break;
        at += (size_t)n;
    }
    return out;
}

/* ---- people */

err_t ask_yes(bool yes, const char *question, struct why *why)
{
    char answer[8] = "";
    if (yes)
        return ERR_OK;
    AUTO(auto_fclose) FILE *tty = isatty(STDIN_FILENO) ? fopen("/dev/tty", "r+e") : NULL;
    if (!tty)
        return fail(why, ERR_USAGE, "%s There is no terminal to ask on: say --yes", question);
    (void)fprintf(tty, "%s [y/N] ", question);
    (void)fflush(tty);
    if (!fgets(answer, sizeof(answer), tty) || (answer[0] != 'y' && answer[0] != 'Y'))
        return fail(why, ERR_DENIED, "not done");
    return ERR_OK;
}

/* the first line, without its end */
static err_t cut_line(struct buf *b, struct why *why)
{
    const uint8_t *nl = b->len ? memchr(b->p, '\n', b->len) : NULL;
    if (nl)
        b->len = (size_t)(nl - b->p);
    if (b->len && b->p[b->len - 1] == '\r')
        b->len--;
    return b->len ? ERR_OK : fail(why, ERR_USAGE, "the passphrase is empty");
}

static err_t type_once(FILE *tty, const char *prompt, struct buf *out, struct why *why)
{
    struct termios was, quiet;
    uint8_t c;
    if (tcgetattr(fileno(tty), &was) != 0)
        return fail_errno(why, errno, "the terminal");
    quiet = was;
    quiet.c_lflag &= ~(tcflag_t)ECHO;
    (void)fprintf(tty, "%s: ", prompt);
    (void)fflush(tty);
    (void)tcsetattr(fileno(tty), TCSAFLUSH, &quiet);
    while (out->len < 1024 && read(fileno(tty), &c, 1) == 1 && c != '\n')
        buf_put_u8(out, c);
    (void)tcsetattr(fileno(tty), TCSAFLUSH, &was);
    (void)fputc('\n', tty);
    wipe(&c, 1);
    return cut_line(out, why);
}

err_t ask_passphrase(const char *file, bool twice, struct buf *out, struct why *why)
{
    AUTO(buf_free) struct buf again = {.max = 2048};
    out->max = 2048;
    if (file) {
        /* "-" is /dev/stdin, which may be a pipe: file_read_at takes regular files only */
        AUTO(auto_close) int fd = strcmp(file, "-") == 0 ? dup(STDIN_FILENO) : open(file, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            return fail_errno(why, errno, "%s", file);
        uint8_t c;
        while (read(fd, &c, 1) == 1 && c != '\n' && out->len < 1024)
            buf_put_u8(out, c);
        wipe(&c, 1);
        return cut_line(out, why);
    }
    AUTO(auto_fclose) FILE *tty = fopen("/dev/tty", "r+e");
    if (!tty)
        return fail(why, ERR_USAGE, "a passphrase is needed and there is no terminal: give --passphrase-file FILE (or - for standard input)");
    TRY(type_once(tty, "Passphrase", out, why));
    if (!twice)
        return ERR_OK;
    TRY(type_once(tty, "Again", &again, why));
    if (again.len != out->len || !equal_ct(again.p, out->p, out->len))
        return fail(why, ERR_INVALID, "the two passphrases differ");
    return ERR_OK;
}

bool colour_wanted(void)
{
    const char *no = getenv("NO_COLOR");
    return isatty(STDOUT_FILENO) && (!no || !no[0]);
}

err_t path_add(struct buf *path, const char *word, const char *what, struct why *why)
{
    size_t n = strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");
    if (n == 0 || word[n] != '\0')
        return fail(why, ERR_INVALID, "\"%.64s\" is no %s: a-z 0-9 . _ - only", word, what);
    buf_add_str(path, word);
    return ERR_OK;
}

int subverb_run(const struct subverb *table, const char *usage, int argc, char **argv)
{
    const char *word = argc > 1 ? argv[1] : NULL;
    for (const struct subverb *s = table; word && s->name; s++)
        if (strcmp(s->name, word) == 0) {
            argv[1] = argv[0]; /* errors and help name the verb */
            return s->run(argc - 1, argv + 1);
        }
    bool asked = word && (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0);
    (void)fprintf(asked ? stdout : stderr, "Usage: broker-cli %s", usage);
    return asked ? 0 : err_exit(ERR_USAGE);
}
