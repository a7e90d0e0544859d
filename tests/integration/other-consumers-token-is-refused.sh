#!/usr/bin/env bash
# A token stolen from one consumer's container is worth nothing on another consumer's socket, and nothing is told about its lease.
. "$(dirname "$0")/lib.bash"
init_broker
"$CLI" enroll key --provider anthropic <"$LOGINS/anthropic.txt" >/dev/null
consumer alpha key secret
consumer beta key secret
lease=$(call alpha POST /v1/leases '{"credential":"key"}')
[[ $lease == 20[01]* ]] || die "no lease: $lease"
id=$(field id <<<"$lease") token=$(field token <<<"$lease")
[[ $(call alpha POST "/v1/leases/$id/renew" '{}' "$token") == 200* ]] || die "the owner itself is refused"
[[ $(call beta POST "/v1/leases/$id/renew" '{}' "$token") == 401* ]] || die "another consumer renewed with a stolen token"
[[ $(call beta GET "/v1/leases/$id") == 404* ]] || die "another consumer sees the lease"
[[ $(call beta DELETE "/v1/leases/$id") == 404* ]] || die "another consumer ended the lease"
[[ $(call beta POST /v1/token/introspect "{\"token\":\"$token\"}") == '200 {"active":false}' ]] || die "introspection tells"
[[ $(call alpha POST /v1/token/introspect "{\"token\":\"$token\"}" | field active) == True ]] || die "the owner's introspection fails"
"$CLI" audit show --json | grep -q '"event":"token.refused"' || die "the refusal is not in the log"
