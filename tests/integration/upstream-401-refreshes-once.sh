#!/usr/bin/env bash
# An upstream's 401 is not shown to the client: the login is renewed, once, and the request is tried again, once. A login whose renewed token is
# refused too is not renewed for each further request.
. "$(dirname "$0")/refresh.bash"
start_idp --life 3600 --family
idp_config </dev/null
init_broker
enroll_login 3600
consumer gateway claude proxy
eventually 5 test -S "$RUN/gateway/proxy.sock" || die "no proxy.sock"
token=$(call gateway POST /v1/leases '{"credential":"claude","deliver":"proxy"}' | field token)
upstream() { # STATUS: requests that the API has answered so
    python3 -c 'import json, sys
print(sum(1 for l in open(sys.argv[1]) for r in [json.loads(l)] if r.get("event") == "end" and r.get("path") == "/v1/messages" and str(r.get("status")) == sys.argv[2]))' "$RECORD" "$1"
}
holds "a request goes through" is "$(proxy_ask gateway "$token")" 200
idp expire=1
holds "the token ends; the client sees nothing of it" is "$(proxy_ask gateway "$token")" 200
holds "the upstream answered 401 once" is "$(upstream 401)" 1
holds "one refresh" is "$(refreshes)" 1
holds "it is recorded: why, and that the request was tried again" audit_has event=refresh.begin source=rejected credential=claude
holds "with the new version" audit_has event=request.again outcome=ok version=2
idp expire=2
jobs=()
for i in 1 2 3 4 5 6 7 8; do
    proxy_ask gateway "$token" >"$T/answer.$i" &
    jobs+=($!)
done
wait "${jobs[@]}"
holds "eight at once: all are served ($(cat "$T"/answer.*))" is "$(cat "$T"/answer.*)" 200200200200200200200200
holds "by one refresh" is "$(refreshes)" 2

# an upstream that takes no token of this login any more, although its provider renews it
stop_idp
start_idp --life 3600 --port "$PORT" --refresh "claude=$(show claude 'c["name"]')" --fault status=401 >/dev/null
login 3600 claude >"$T/login.json"
"$CLI" replace claude --yes --file "$T/login.json" >/dev/null 2>&1 || die "replace failed"
before=$(refreshes)
for i in 1 2 3 4 5; do
    answer=$(proxy_ask gateway "$token")
    [[ $answer == 401 || $answer == 503 ]] || die "the client got $answer: $(cat "$T"/body.*)"
    seen=$((seen + 1))
done
holds "five refused requests cost one refresh, not five" is "$(($(refreshes) - before))" 1
holds "the operator is told" grep -q "credential.rejected credential=claude" "$T/log"
# and while the provider does not answer, the client is told to come again
idp
stop_idp
start_idp --life 3600 --port "$PORT" --refresh "claude=other" >/dev/null
login 3600 other >"$T/login.json"
"$CLI" replace claude --yes --file "$T/login.json" >/dev/null 2>&1 || die "replace failed"
works() { [[ $(proxy_ask gateway "$token") == 200 ]]; }
eventually 5 works || die "the new login does not work"
version=$(show claude 'c["version"]')
idp "expire=3 token=status=503"
answer=$(proxy_ask gateway "$token")
holds "a refresh that fails for now is an answer that clients try again: $answer" grep -qE "^50[23]\$" <<<"$answer"
holds "and the login stays" is "$(show claude 'c["state"], c["version"]')" "('ok', $version)"
idp "expire=3"
eventually 10 works || die "it does not come back by itself"
holds "until it works again" is "$(show claude 'c["version"]')" "$((version + 1))"
tally
