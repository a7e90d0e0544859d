#!/usr/bin/env bash
# An upstream that sends the credential back, raw or encoded, in a body, an error or a header: it never comes down, and it is recorded.
. "$(dirname "$0")/proxy.bash" || exit 1
for form in raw base64 base64+1 base64+2 base64url hex HEX url json; do
    start_provider --fault "echo=$form" --fault write=7
    if [[ $form == raw ]]; then
        upstream_config </dev/null
        init_broker
        "$CLI" enroll k --provider anthropic <<<"$KEY" >/dev/null 2>&1
        grant_proxy gw k
        token=$(proxy_token gw k)
    else
        upstream_config </dev/null
        "$CLI" reload >/dev/null
    fi
    ask gw "$token" >"$T/out.$form" 2>&1
    python3 - "$KEY" "$T/out.$form" "$form" <<'PY'
import base64, sys
key, out = sys.argv[1].encode(), open(sys.argv[2], "rb").read()
forms = [key, key.hex().encode(), key.hex().upper().encode(), base64.b64encode(key), base64.urlsafe_b64encode(key)]
forms += [base64.b64encode(b"x" * i + key)[4:-4] for i in (1, 2)]
for f in forms:
    for at in range(0, len(f) - 20):
        if f[at:at + 20] in out:
            sys.exit("20 bytes of the credential came down as %s: %r" % (sys.argv[3], out))
PY
    stop_provider
done
start_provider --fault echo-header=raw
upstream_config </dev/null
"$CLI" reload >/dev/null
answer=$(ask gw "$token" -i)
begins "$answer" 502 || die "a credential in a header: $answer"
if grep -qF "$KEY" <<<"$answer"; then die "it came down in a header"; fi
eventually 5 audit_has "request.end .*reason=corrupt" || die "it is not recorded: $("$CLI" audit tail | tail -4)"
