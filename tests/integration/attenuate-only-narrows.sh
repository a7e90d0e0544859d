#!/usr/bin/env bash
# A token can be narrowed by whoever holds it, without the broker, and never widened: every caveat is kept, a caveat taken off or changed is
# found, a narrowed token renews nothing, and one that was narrowed twice is the narrower of both.
. "$(dirname "$0")/promise.bash" || exit 1
init_broker
enroll_key
enroll_claude
consumer gateway key secret
consumer gateway claude access_token
introspect() { call gateway POST /v1/token/introspect "{\"token\":\"$1\"}"; }
holds_for() { introspect "$1" | grep -q '"active":true'; }
narrow() { # TOKEN OPTIONS…
    local token=$1
    shift
    "$CLI" attenuate "$@" <<<"$token"
}
lease=$(call gateway POST /v1/leases '{"credential":"key"}')
id=$(field id <<<"$lease") token=$(field token <<<"$lease")
ends=$(introspect "$token" | field expires_at_ms)
renewed() { [[ $(call gateway POST "/v1/leases/$id/renew" '{}' "$1") == 200* ]]; }

holds "the whole token" holds_for "$token"
short=$(narrow "$token" --ttl 1m)
holds "a narrowed token" holds_for "$short"
holds "its caveat is not seen" is "$(introspect "$short" | field caveats)" 1
soon=$(introspect "$short" | field expires_at_ms)
holds "the end did not come nearer" test "$soon" -lt "$ends"
holds "a token with an end of its own renewed the lease" refused renewed "$short"
# later than what is there already changes nothing
longer=$(narrow "$short" --ttl 10h)
holds "a second end later than the first moved it" is "$(introspect "$longer" | field expires_at_ms)" "$soon"
holds "the end of the lease moved" is "$(introspect "$(narrow "$token" --ttl 365d)" | field expires_at_ms)" "$ends"
past=$(narrow "$token" --ttl 1s)
sleep 1.1
holds "its time is over" refused holds_for "$past"
holds "the whole one ended with it" holds_for "$token"
# to deliveries and uids that are not there
holds "this delivery" holds_for "$(narrow "$token" --deliver secret)"
holds "another delivery" refused holds_for "$(narrow "$token" --deliver access_token)"
holds "two deliveries, then the other" refused holds_for "$(narrow "$(narrow "$token" --deliver secret)" --deliver access_token)"
holds "widened again" refused holds_for "$(narrow "$(narrow "$token" --deliver access_token)" --deliver secret)"
holds "this uid" holds_for "$(narrow "$token" --uid "$EUID")"
holds "another uid" refused holds_for "$(narrow "$token" --uid 4242)"
holds "another uid, then this" refused holds_for "$(narrow "$(narrow "$token" --uid 4242)" --uid "$EUID")"
# every single character of a narrowed token changed, and every cut
narrow "$token" --deliver access_token >"$T/narrowed"
asserts "$(sock gateway)" "$token" "$(<"$T/narrowed")" <<'PY'
import string, sys, unixhttp
sock, token, narrowed = sys.argv[1:4]
s = unixhttp.dial(sock)
def active(t):
    status, body = unixhttp.ask(s, "POST", "/v1/token/introspect", {"token": t})
    assert status in (200, 400), (status, body)
    return status == 200 and body["active"]
assert active(token) and not active(narrowed)
for what in token, narrowed:
    for i, c in enumerate(what):
        for other in ("A" if c != "A" else "B", "_" if c != "_" else "-"):
            assert not active(what[:i] + other + what[i + 1:]), f"active with character {i} changed"
    for i in range(len(what)):
        assert not active(what[:i]), f"active when cut to {i}"
print("ok no changed or cut token is worth anything")
# the caveat taken off: the head of the narrowed one with the tail of the whole one, and the other way round
for i in range(len(token)):
    for t in (narrowed[:i] + token[i:], token[:i] + narrowed[i:], token[:i] + narrowed[len(narrowed) - (len(token) - i):]):
        assert t == token or not active(t), f"a caveat was taken off at {i}"
print("ok a caveat cannot be taken off")
PY
expect_fail 2 . "$CLI" attenuate --ttl 1m "$token"
expect_fail 2 . narrow "$token"
expect_fail 3 . narrow "not a token" --ttl 1m
seen=$((seen + 3))
# offline: no broker is asked
stop_broker
holds "narrowing needs a broker" narrow "$token" --ttl 1m >/dev/null
tally
