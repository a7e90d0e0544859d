#!/usr/bin/env bash
# Revocation, expiry and an exhausted budget end running streams within half a second, other leases' go on, and the upstream is let go.
. "$(dirname "$0")/proxy.bash" || exit 1
start_provider --fault chunk-delay=0.2 --fault repeat=300
upstream_config </dev/null
init_broker
"$CLI" enroll k --provider anthropic <<<"$KEY" >/dev/null 2>&1
grant_proxy gw k --ttl 1h
grant_proxy short k --ttl 2s
ended_within() { # MS PID: waits for the stream's end
    local from=${EPOCHREALTIME/./} took
    timeout 20 tail -s 0.02 --pid="$2" -f /dev/null || die "the stream did not end"
    took=$(((${EPOCHREALTIME/./} - from) / 1000))
    ((took <= $1)) || die "the stream went on for $took ms"
}
token=$(proxy_token gw k) other=$(proxy_token gw k)
stream gw "$other" "$T/other"
survivor=$STREAM
stream gw "$token" "$T/s1"
id=$("$CLI" lease list --json | python3 -c 'import json, sys
l = json.load(sys.stdin)
print(sorted(l["leases"] if isinstance(l, dict) else l, key=lambda x: x["issued_at_ms"])[0]["id"])')
"$CLI" lease revoke "$id" >/dev/null
ended_within 500 "$STREAM"
answer=$(ask gw "$token")
begins "$answer" 403 || die "a revoked lease was answered: $answer"
kill -0 "$survivor" 2>/dev/null || die "another lease's stream was cut too"
size=$(stat -c %s "$T/other")
eventually 5 test "$(stat -c %s "$T/other")" -ge "$size"

# expiry, by itself
token=$(proxy_token short k)
stream short "$token" "$T/s2"
from=${EPOCHREALTIME/./}
timeout 20 tail -s 0.02 --pid="$STREAM" -f /dev/null || die "the stream outlived its lease"
took=$(((${EPOCHREALTIME/./} - from) / 1000))
((took <= 2600)) || die "the stream went on for $took ms of a lease of 2 s"

# the upstream was let go each time
let_go() { [[ $(upstream_saw 'r.get("gone")') -ge 2 ]]; }
eventually 5 let_go || die "the upstream was not let go: $(tail -3 "$RECORD")"
kill "$survivor" 2>/dev/null || true
