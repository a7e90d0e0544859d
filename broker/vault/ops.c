/*
 * THE table of operations: message, whether the store must be open, the audit event of a refusal, and the handler's steps. Who may
 * send each message, and how large, stands in base/msg.h; which HTTP route becomes which message in api/routes.c.
 */
#include "vault/ops.h"

#include <string.h>

#define READY true
#define ANY   false
#define QUIET AUDIT__COUNT

/* clang-format off */
const struct op ops[] = {
    /* message            state  refusal is             decide              finish                undo */
    {MSG_WHOAMI,          ANY,   QUIET,                 op_whoami,          NULL,                 NULL},
    {MSG_GRANTS,          READY, QUIET,                 op_grants,          NULL,                 NULL},
    {MSG_LEASE_ISSUE,     READY, AUDIT_LEASE_DENIED,    op_lease_issue,     op_lease_release,     op_lease_undo},
    {MSG_LEASE_RENEW,     READY, AUDIT_LEASE_DENIED,    op_lease_renew,     op_lease_release,     NULL},
    {MSG_LEASE_END,       READY, AUDIT_LEASE_END,       op_lease_end,       op_ended,             NULL},
    {MSG_LEASE_SHOW,      READY, QUIET,                 op_lease_show,      NULL,                 NULL},
    {MSG_LEASES,          READY, QUIET,                 op_leases,          NULL,                 NULL},
    {MSG_INTROSPECT,      READY, QUIET,                 op_introspect,      NULL,                 NULL},
    {MSG_PROXY_BEGIN,     READY, AUDIT_REQUEST_DENIED,  op_proxy_begin,     op_proxy_begun,       op_proxy_undo},
    {MSG_PROXY_AGAIN,     READY, AUDIT_REQUEST_AGAIN,   op_proxy_again,     op_proxy_renewed,     NULL},
    {MSG_PROXY_TOKEN,     READY, AUDIT_LEASE_DENIED,    op_proxy_token,     op_proxy_tokened,     NULL},
    {MSG_STATUS,          ANY,   QUIET,                 op_status,          NULL,                 NULL},
    {MSG_METRICS,         ANY,   QUIET,                 op_metrics,         NULL,                 NULL},
    {MSG_INIT,            ANY,   AUDIT_STORE_INIT,      op_init,            op_state,             NULL},
    {MSG_UNLOCK,          ANY,   AUDIT_STORE_UNLOCK,    op_unlock,          op_state,             NULL},
    {MSG_LOCK,            ANY,   AUDIT_STORE_LOCK,      op_lock,            op_lock_finish,       NULL},
    {MSG_KEY_ADD,         READY, AUDIT_KEY_ADD,         op_key_add,         op_key_add_finish,    op_key_add_undo},
    {MSG_KEY_LIST,        ANY,   QUIET,                 op_key_list,        NULL,                 NULL},
    {MSG_KEY_REMOVE,      READY, AUDIT_KEY_REMOVE,      op_key_remove,      op_key_remove_finish, NULL},
    {MSG_REKEY,           READY, AUDIT_REKEY_BEGIN,     op_rekey,           op_rekey_finish,      NULL},
    {MSG_ACCEPT_STORE,    ANY,   AUDIT_STORE_ACCEPT,    op_accept,          op_accept_finish,     NULL},
    {MSG_CRED_PUT,        READY, AUDIT_CRED_ENROLL,     op_cred_put,        op_cred_put_finish,   NULL},
    {MSG_CRED_LIST,       READY, QUIET,                 op_cred_list,       NULL,                 NULL},
    {MSG_CRED_SHOW,       READY, QUIET,                 op_cred_show,       NULL,                 NULL},
    {MSG_CRED_REMOVE,     READY, AUDIT_CRED_REMOVE,     op_cred_remove,     op_cred_remove_finish, NULL},
    {MSG_CRED_RELEASE,    READY, AUDIT_CRED_RELEASE,    op_cred_release,    op_cred_released,     NULL},
    {MSG_CRED_RESUME,     READY, AUDIT_CRED_RESUME,     op_cred_resume,     op_cred_resumed,      NULL},
    {MSG_CONSUMER_ADD,    READY, AUDIT_CONSUMER_ADD,    op_consumer_add,    op_policy_finish,     NULL},
    {MSG_CONSUMER_LIST,   ANY,   QUIET,                 op_consumer_list,   NULL,                 NULL},
    {MSG_CONSUMER_SHOW,   ANY,   QUIET,                 op_consumer_show,   NULL,                 NULL},
    {MSG_CONSUMER_REMOVE, READY, AUDIT_CONSUMER_REMOVE, op_consumer_remove, op_policy_finish,     NULL},
    {MSG_GRANT_ADD,       READY, AUDIT_GRANT_ADD,       op_grant_add,       op_policy_finish,     NULL},
    {MSG_GRANT_REMOVE,    READY, AUDIT_GRANT_REMOVE,    op_grant_remove,    op_policy_finish,     NULL},
    {MSG_ADMIN_LEASES,    READY, QUIET,                 op_admin_leases,    NULL,                 NULL},
    {MSG_ADMIN_REVOKE,    READY, AUDIT_LEASE_END,       op_admin_revoke,    op_ended,             NULL},
    {MSG_RELOAD,          ANY,   AUDIT_RELOAD,          op_reload,          op_policy_finish,     NULL},
    {MSG_BUDGETS,         READY, QUIET,                 op_budgets,         NULL,                 NULL},
    {MSG_LOGIN_BEGIN,     READY, AUDIT_LOGIN_BEGIN,     op_login_begin,     op_login_begun,       op_login_undo},
    {MSG_LOGIN_CODE,      READY, AUDIT_LOGIN_DENIED,    op_login_code,      op_login_shown,       NULL},
    {MSG_LOGIN_SHOW,      READY, QUIET,                 op_login_show,      op_login_shown,       NULL},
    {MSG_LOGIN_CANCEL,    READY, AUDIT_LOGIN_DENIED,    op_login_cancel,    NULL,                 NULL},
    {MSG_REFRESH,         READY, AUDIT_REFRESH_BEGIN,   op_refresh,         NULL,                 NULL},
    {MSG_AUDIT_READ,      READY, QUIET,                 op_audit_read,      NULL,                 NULL},
    {MSG_NONE,            ANY,   QUIET,                 NULL,               NULL,                 NULL},
};
/* clang-format on */

err_t read_owner(const struct msg *m, bool *process, struct why *why)
{
    struct view owner = msg_view(m, F_OWNER);
    if (m->has[F_OWNER] && !view_is(owner, "process") && !view_is(owner, "none"))
        return fail(why, ERR_INVALID, "owner is process or none");
    *process = view_is(owner, "process");
    return ERR_OK;
}

void write_deliveries(struct jsonw *w, const char *key, unsigned mask)
{
    jsonw_open(w, key, '[');
    for (unsigned d = 0; d < DELIVER__COUNT; d++)
        if (mask & 1u << d)
            jsonw_str(w, NULL, delivery_name((enum delivery)d));
    jsonw_close(w, ']');
}

err_t read_deliveries(struct view list, unsigned *mask, struct why *why)
{
    unsigned found = 0;
    while (list.n) {
        const uint8_t *comma = memchr(list.p, ',', list.n);
        struct view item = VIEW(list.p, comma ? (size_t)(comma - list.p) : list.n);
        enum delivery d;
        if (!delivery_from_name(item, &d))
            return fail(why, ERR_INVALID,
                        "no such delivery; there are proxy, access_token, file, helper, secret");
        found |= 1u << d;
        if (comma && item.n + 1 == list.n)
            return fail(why, ERR_INVALID, "a list of deliveries ends in a comma");
        list = comma ? VIEW(comma + 1, list.n - item.n - 1) : VIEW(NULL, 0);
    }
    *mask = found;
    return ERR_OK;
}
