#!/usr/bin/env bash
# A program started by broker-exec cannot renew its lease: while it lives the broker does, past the lease's own ttl and up to the grant's
# max_ttl, and the projected file stays; a lease that no process owns ends at its ttl.
. "$(dirname "$0")/lib.bash"
init_broker
"$CLI" enroll claude --provider claude <"$LOGINS/claude.json" >/dev/null 2>&1
consumer agent claude file,access_token --ttl 1s --max-ttl 4s
mkdir "$T/home"
HOME=$T/home "$EXEC" --socket "$RUN/agent" --profile claude-code --credential claude=file -- sleep 20 &
PIDS+=($!)
file=$RUN/agent/files/claude/.credentials.json
eventually 3 test -s "$file" || die "no projected file"
loose=$(call agent POST /v1/leases '{"credential":"claude","deliver":"access_token"}')
sleep 2.4
[[ -s $file ]] || die "the file went while its program lives"
[[ $(call agent GET "/v1/leases/$(field id <<<"$loose")") == 404* ]] || die "a lease that nobody owns outlived its ttl"
"$CLI" audit show --event lease.renew --json | grep -q lease.renew || die "the renewals are not recorded"
sleep 2.4
[[ ! -e $file ]] || die "the lease outlived the grant's max_ttl"
