/*
 * Tells. The vault runs nothing itself: it says to the supervisor what happened to which credential, in words that are names and codes.
 */
#include "vault/alert.h"

#include "base/auto.h"
#include "base/log.h"

#include <stdio.h>

const char *login_end_name(enum login_end how)
{
    static const char *const name[] = {"", "revoked", "rotated", "lost"};
    return (unsigned)how < COUNT(name) ? name[how] : "unknown";
}

void alert_needs_login(struct vault *v, const struct credential *c, enum login_end how,
                       const char *text)
{
    AUTO(buf_free) struct buf b = {.max = 1024};
    struct why why = {0};
    char remedy[128];
    (void)snprintf(remedy, sizeof(remedy), "log in again: broker-cli login %s", c->name);
    log_event(LOG_LVL_ERROR, "credential.needs_login", "credential", c->name, "provider",
              c->provider->name, "code", login_end_name(how), "why", text, "remedy", remedy, NULL);
    if (!v->config->notify)
        return;
    msg_begin(&b, MSG_ALERT, 0, 0);
    msg_put_str(&b, F_CREDENTIAL, c->name);
    msg_put_str(&b, F_PROVIDER, c->provider->name);
    msg_put_str(&b, F_PATH, v->config->notify);
    msg_put_str(&b, F_OP, "needs_login");
    msg_put_str(&b, F_CODE, login_end_name(how));
    if (b.bad || ipc_send(v->supervisor, buf_view(&b), -1, &why) != ERR_OK)
        log_event(LOG_LVL_WARN, "notify.failed", "why", why.text, NULL);
}
