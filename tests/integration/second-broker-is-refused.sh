#!/usr/bin/env bash
# One state has one owner. A second broker on it ends at once and says which; the first goes on undisturbed, with its sockets; when it has
# gone, killed or not, the next one starts.
. "$(dirname "$0")/promise.bash" || exit 1
init_broker
enroll_key
consumer gateway key secret
lease=$(call gateway POST /v1/leases '{"credential":"key"}')
second() { # STATE RUN: its output in $T/second; its exit code
    local args=(--state "$1" --run "$2" --config "$CONFIG")
    ((EUID != 0)) || args+=(--user "$SYSTEM_USER")
    timeout 10 "$DAEMON" "${args[@]}" >"$T/second" 2>&1
}
before=$(stat -c %i "$(sock admin)" "$(sock gateway)")
for run in "$RUN" "$T/r2"; do
    code=0
    second "$STATE" "$run" || code=$?
    holds "a second broker runs on the same state: $(<"$T/second")" test "$code" -ne 0
    holds "it did not end by itself" test "$code" -ne 124
    holds "it does not say why: $(<"$T/second")" grep -qiE 'another|already|in use|lock' "$T/second"
done
holds "the sockets of the first were replaced" is "$(stat -c %i "$(sock admin)" "$(sock gateway)" 2>/dev/null)" "$before"
holds "the first does not answer" begins "$(call gateway POST "/v1/leases/$(field id <<<"$lease")/renew" '{}' "$(field token <<<"$lease")")" 200
holds "the first cannot write" enroll_key other

# another state in the same place of sockets would take the first one's away
code=0
second "$T/s2" "$RUN" || code=$?
holds "a broker with another state took over the sockets: $(<"$T/second")" test "$code" -ne 0 -a "$code" -ne 124
holds "it does not say why: $(<"$T/second")" grep -q "another broker has its sockets in $RUN" "$T/second"
holds "the operator's socket was replaced" is "$(stat -c %i "$(sock admin)" "$(sock gateway)" 2>/dev/null)" "$before"
holds "the first is not reached any more" begins "$(call gateway POST /v1/leases '{"credential":"key"}')" 200

kill -9 "$(vault_pid)"
wait "$BROKER" || true
start_broker
holds "after a kill -9 the next does not serve" begins "$(call gateway POST /v1/leases '{"credential":"key"}')" 200
tally
