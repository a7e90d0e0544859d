/*
 * aws credential_process (AWS SDKs and Tools Reference, "Process credential provider"): one JSON
 * document, Version 1. The user name of the credential is the access key id. Expiration is the
 * lease's end: then the SDK asks again.
 */
#include "base/auto.h"
#include "base/clock.h"
#include "base/jsonw.h"
#include "cli/helper.h"

err_t helper_aws(const struct helper_ask *ask, struct buf *out, struct why *why)
{
    AUTO(broker_lease_free) struct broker_lease lease = {0};
    struct jsonw w = jsonw_to(out);
    char ends[CLOCK_RFC3339_LEN + 1];
    if (ask->n_names != 1)
        return fail(why, ERR_USAGE, "which credential? broker-cli helper aws NAME");
    TRY(helper_lease(ask, NULL, &lease, why));
    if (!lease.username)
        return fail(why, ERR_INVALID,
                    "aws wants an access key id with %.64s: enroll it with --username",
                    lease.credential);
    clock_rfc3339(helper_ends_ms(&lease), ends);
    jsonw_open(&w, NULL, '{');
    jsonw_int(&w, "Version", 1);
    jsonw_str(&w, "AccessKeyId", lease.username);
    jsonw_str(&w, "SecretAccessKey", lease.secret);
    jsonw_str(&w, "Expiration", ends);
    jsonw_close(&w, '}');
    buf_add_str(out, "\n");
    return ERR_OK;
}
