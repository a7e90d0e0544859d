#!/usr/bin/env bash
# A revoked lease is dead at once: its token proves nothing, it is not listed, its file is gone, it is recorded, and it stays dead after a
# restart. By lease, by consumer, by credential, by both, all; others live on.
. "$(dirname "$0")/promise.bash" || exit 1
init_broker
enroll_key
enroll_claude
for name in alpha beta; do
    consumer $name key secret
    consumer $name claude file
done
declare -A TOKEN ID
lease() { # CONSUMER CREDENTIAL
    local answer
    answer=$(call "$1" POST /v1/leases "{\"credential\":\"$2\"}")
    begins "$answer" 200 || die "no lease of $2 for $1"
    TOKEN[$1/$2]=$(field token <<<"$answer") ID[$1/$2]=$(field id <<<"$answer")
}
all_four() {
    local c
    for c in alpha/key alpha/claude beta/key beta/claude; do lease "${c%/*}" "${c#*/}"; done
}
alive() { # those of the four that live
    local c out=()
    for c in alpha/key alpha/claude beta/key beta/claude; do
        ! call "${c%/*}" POST /v1/token/introspect "{\"token\":\"${TOKEN[$c]}\"}" | grep -q '"active":true' || out+=("$c")
    done
    echo "${out[*]}"
}
file() { [[ -e $RUN/$1/files/claude/.credentials.json ]]; }
revokes() { # WHO-IS-LEFT HOW-MANY ARGUMENTS…
    local left=$1 n=$2
    shift 2
    all_four
    holds "revoke $*: says $("$CLI" lease list --json | head -c 0)" grep -qw "$n" <<<"$("$CLI" revoke "$@" --json)"
    holds "revoke $*: left are" is "$(alive)" "$left"
    holds "revoke $*: listed" is "$(live_leases)" "$(wc -w <<<"$left")"
    local c
    for c in alpha beta; do
        if [[ " $left " == *" $c/claude "* ]]; then holds "the file of $c went" file $c; else holds "the file of $c is there" refused file $c; fi
    done
    "$CLI" revoke --all --yes >/dev/null
}
all_four
id=${ID[alpha/key]} token=${TOKEN[alpha/key]}
"$CLI" revoke "$id" >/dev/null
holds "by lease: left are" is "$(alive)" "alpha/claude beta/key beta/claude"
begins "$(call alpha POST "/v1/leases/$id/renew" '{}' "$token")" 401 || die "a revoked lease was renewed"
begins "$(call alpha GET "/v1/leases/$id")" 404 || die "a revoked lease is shown"
begins "$(call alpha DELETE "/v1/leases/$id")" 404 || die "a revoked lease was ended once more"
expect_fail 6 . "$CLI" revoke "$id"
expect_fail 6 . "$CLI" lease revoke 00000000000000000000000000000000
seen=$((seen + 5))
holds "it is not recorded" audit_has event=lease.end outcome=ok "lease=$id"
"$CLI" revoke --all --yes >/dev/null
revokes "beta/key beta/claude" 2 --consumer alpha --yes
revokes "alpha/claude beta/claude" 2 --credential key --yes
revokes "alpha/key beta/key beta/claude" 1 --consumer alpha --credential claude --yes
revokes "" 4 --all --yes
expect_fail 2 . "$CLI" revoke
# the consumer's own end, and the end of what it rests on
all_four
begins "$(call alpha DELETE "/v1/leases/${ID[alpha/key]}")" 200 || die "a consumer cannot end its lease"
holds "left are" is "$(alive)" "alpha/claude beta/key beta/claude"
"$CLI" revoke-grant alpha claude >/dev/null
holds "a grant taken back leaves" is "$(alive)" "beta/key beta/claude"
"$CLI" remove key --yes >/dev/null
holds "a credential removed leaves" is "$(alive)" "beta/claude"
# dead is dead
id=${ID[beta/claude]} dead=${TOKEN[beta/claude]}
"$CLI" revoke --all --yes >/dev/null
kill -9 "$(vault_pid)"
wait "$BROKER" || true
start_broker
holds "a revoked lease came back after kill -9" is "$(call beta POST /v1/token/introspect "{\"token\":\"$dead\"}")" '200 {"active":false}'
holds "leases after the restart" is "$(live_leases)" 0
tally
