#!/usr/bin/env bash
# A place whose sockets would not fit into sun_path is refused at the start, with the number of bytes that would fit; a consumer with a
# long name is refused in that place, or its socket works: nothing is cut short.
. "$(dirname "$0")/promise.bash" || exit 1
run_at() { # LENGTH: a place of so many bytes
    local path=$T/
    while ((${#path} < $1)); do path+=x; done
    echo "$path"
}
RUN=$(run_at 120)
args=(--state "$STATE" --run "$RUN" --config "$CONFIG")
((EUID != 0)) || args+=(--user "$SYSTEM_USER")
code=0
timeout 5 "$DAEMON" "${args[@]}" >"$T/said" 2>&1 || code=$?
holds "a place of 120 bytes: exit $code" is "$code" 3
holds "it does not say what would fit: $(<"$T/said")" grep -qE -- '--run .* has 120 bytes, .* at most [0-9]+' "$T/said"
holds "something was made: $(ls "$T")" test ! -e "$RUN" -a ! -e "$STATE"
most=$(grep -oE 'at most [0-9]+' "$T/said" | grep -oE '[0-9]+')
RUN=$(run_at "$((most + 1))")
args[3]=$RUN
code=0
timeout 5 "$DAEMON" "${args[@]}" >"$T/said" 2>&1 || code=$?
holds "one byte more than fits: exit $code" is "$code" 3
RUN=$(run_at "$most")
export CREDENTIAL_BROKER_RUN=$RUN
init_broker
enroll_key
short=gateway long=$(printf 'n%.0s' {1..64})
consumer $short key secret
holds "the longest place does not work" begins "$(call $short POST /v1/leases '{"credential":"key"}')" 200
"$CLI" consumer add "$long" >"$T/said" 2>&1 || true
if [[ -S $(sock "$long") ]]; then
    "$CLI" grant "$long" key --deliver secret >/dev/null
    holds "the longest name in the longest place" begins "$(call "$long" POST /v1/leases '{"credential":"key"}')" 200
else
    holds "it is not said that the socket has no room: $(<"$T/said") $(tail -n 3 "$T/log")" grep -q 'over 107 bytes' "$T/said" "$T/log"
fi
holds "a socket has another name than asked for" is "$(find "$RUN" -type s ! -name broker.sock | wc -l)" 0
expect_fail 3 '64 (bytes|char)' "$CLI" consumer add "${long}n"
seen=$((seen + 1))
# the client's side
expect_fail 2 '10[78]' "$CLI" status --socket "$(run_at 130)"
seen=$((seen + 1))
tally
