#!/usr/bin/env bash
# A configuration that cannot be read changes nothing, by `broker-cli reload` and by SIGHUP alike: the error names file, line and key, grants
# and leases stay, and it is recorded. A good one takes effect: new consumers get sockets, removed ones lose theirs and their leases.
. "$(dirname "$0")/promise.bash" || exit 1
good() {
    cat <<'YAML'
audit: { sync: release }
consumers:
  - name: gateway
    grants:
      - credential: key
        deliver: [secret]
        ttl: 15m
  - name: second
    grants:
      - credential: key
        deliver: [secret]
YAML
}
good >"$CONFIG"
init_broker
enroll_key
lease=$(call gateway POST /v1/leases '{"credential":"key"}')
second=$(call second POST /v1/leases '{"credential":"key"}')
begins "$lease" 200 || die "the configuration is not read"
active() { call "$1" POST /v1/token/introspect "{\"token\":\"$(field token <<<"$2")\"}" | grep -q '"active":true'; }
unchanged() { active gateway "$lease" && active second "$second" && begins "$(call gateway GET /v1/grants)" 200; }
bad() { # LINE KEY WHAT: a configuration on standard input
    cat >"$CONFIG"
    expect_fail 3 "broker.yaml:$1: .*$2" "$CLI" reload
    holds "$3: something changed" unchanged
    : >"$T/log"
    kill -HUP "$BROKER"
    holds "$3: SIGHUP does not say $1: $2: $(<"$T/log")" eventually 3 grep -qE "config.refused .*broker.yaml:$1: .*$2" "$T/log"
    holds "$3: SIGHUP changed something" unchanged
}
good | sed 's/ttl: 15m/ttl: soon/' | bad 7 ttl "a time that is none"
good | sed 's/deliver: \[secret\]/deliver: [sekret]/' | bad 6 deliver "an unknown delivery"
good | sed 's/        ttl:/        tll:/' | bad 7 tll "an unknown key"
good | sed 's/name: second/name: gateway/' | bad 8 name "a consumer twice"
good | sed 's/name: second/name: ..\/evil/' | bad 8 name "a name that is a path"
good | sed 's/name: second/name: admin/' | bad 8 name "the operator's name"
{ good && printf 'x: [\n'; } | bad '[0-9]+' . "broken YAML"
{ good && printf 'x: &a [1]\ny: *a\n'; } | bad '[0-9]+' . "an alias"
head -c 3000000 /dev/zero | tr '\0' '#' >"$CONFIG"
expect_fail 12 . "$CLI" reload
holds "a huge file" unchanged
printf 'consumers:\n  - name: "gate\0way"\n' | bad '[0-9]+' . "a NUL byte"
holds "the refusal is not recorded" audit_has event=config.reload outcome=error

# ---- a good one
good | sed '/name: second/,$d' >"$CONFIG"
printf '  - name: third\n    grants:\n      - { credential: key, deliver: [secret] }\n' >>"$CONFIG"
"$CLI" reload >/dev/null
holds "the removed consumer's socket is there" test ! -e "$(sock second)"
holds "the lease of the one who stays" active gateway "$lease"
holds "the new consumer" begins "$(call third POST /v1/leases '{"credential":"key"}')" 200
good >"$CONFIG"
kill -HUP "$BROKER"
holds "SIGHUP is not heard" eventually 3 test -S "$(sock second)"
holds "a lease came back with its consumer" refused active second "$second"
# a grant taken back ends its leases
good | sed 's/credential: key/credential: other/' >"$CONFIG"
"$CLI" reload >/dev/null
holds "a lease outlived its grant" refused active gateway "$lease"

# ---- who may pass follows the configuration
if ((EUID == 0)); then
    printf 'consumers:\n  - name: gateway\n    peer: { uid: [1000] }\n' >"$CONFIG"
    "$CLI" reload >/dev/null
    holds "the new uid cannot pass" grep -q 'user:1000:--x' <(getfacl -npc "$RUN/gateway")
    holds "the new uid cannot connect" grep -q 'user:1000:rw-' <(getfacl -npc "$(sock gateway)")
    printf 'admin: { uid: [1002] }\nconsumers:\n  - name: gateway\n    peer: { uid: [1001] }\n' >"$CONFIG"
    "$CLI" reload >/dev/null
    holds "the old uid still passes" refused grep -q 'user:1000' <(getfacl -npc "$RUN/gateway" "$(sock gateway)")
    holds "the next uid cannot pass" grep -q 'user:1001:--x' <(getfacl -npc "$RUN/gateway")
    holds "an administrator cannot pass" grep -q 'user:1002:--x' <(getfacl -npc "$RUN/admin")
    printf 'consumers:\n  - name: gateway\n' >"$CONFIG"
    "$CLI" reload >/dev/null
    # an entry that is left counts for nothing: the mask, which shows as the mode's group bits, is empty
    holds "without uids the directory stays open" is "$(stat -c %a "$RUN/gateway" "$(sock gateway)" "$RUN/admin" | tr '\n' ' ')" "700 600 700 "
else
    leave_out 6 "uids of others need root"
fi
tally
