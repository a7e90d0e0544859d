#!/usr/bin/env bash
# The vault alone, or every process of the broker, is killed at random instants while credentials are enrolled, replaced, removed and
# rekeyed: after each restart every acknowledged change is there, none is torn, the log verifies, and no file is left over.
#   crash-during-commit.sh [KILLS]     default 120
. "$(dirname "$0")/lib.bash" || exit 1
. "$(dirname "$0")/faults.bash"
KILLS=${1:-120}
init_broker
for name in c0 c1 c2 c3; do consumer gateway "$name" secret --ttl 1h; done
changes_in_turns enroll,enroll,replace,replace,remove,rekey
for ((i = 1; i <= KILLS; i++)); do # each turn begins with a look at what the last one left
    # shellcheck disable=SC2034 # faults.bash says it
    TURN="kill $i"
    begin_changes
    sleep "0.0$((RANDOM % 60 + 10))"
    if ((RANDOM % 2)); then kill_vault; else kill_all; fi
    end_changes
    start_broker
    state_is ready || die "kill $i: the store is not ready: $("$CLI" status)"
done
# a rekey that was cut short is finished, records that nothing names are swept, and temporary files do not pile up
settled() {
    local records
    records=$(find "$STATE/records" -type f | wc -l)
    ((records == $("$CLI" status --json | python3 -c 'import json,sys; print(json.load(sys.stdin)["credentials"])')))
}
eventually 5 settled || die "records are left over: $(find "$STATE" -type f)"
[[ -z $(find "$STATE" -name '*.tmp-*') ]] || die "temporary files are left over: $(find "$STATE" -name '*.tmp-*')"
changes check
end_broker
verify_log
echo "$KILLS kills, $(changes count)"
