#!/usr/bin/env bash
# A log that was cut is found: offline where the cut is before its last checkpoint or in the middle, by the broker at its next start however
# little is missing at the end; so is a segment that is gone, and a log whose sealed state was deleted. Nothing is released until an
# operator accepts, and the acceptance is in the log.
. "$(dirname "$0")/lib.bash" || exit 1
. "$(dirname "$0")/faults.bash"
printf 'audit: { max_bytes: 1M }\n' >"$CONFIG"
init_broker
"$CLI" enroll key --provider anthropic <"$LOGINS/anthropic.txt" >/dev/null 2>&1
consumer gateway key secret --ttl 1h
for name in c0 c1 c2 c3; do consumer gateway "$name" secret --ttl 1h; done
changes drive enroll,replace,lease,revoke 100
changes drive deny 7500 # 2 MiB of lines
end_broker
mapfile -t segments < <(cd "$STATE/log" && ls audit-*.jsonl)
((${#segments[@]} >= 3)) || die "only ${segments[*]}: the log did not roll at 1 MiB"
verify_log
good=$T/good
cp -a "$STATE" "$good"
auditor=$good/log/auditor.key public=$good/log/audit.pub
last=${segments[-1]} middle=${segments[1]}
fresh() { rm -rf "$STATE" && cp -a "$good" "$STATE"; }
cut_lines() { head -n "-$2" "$STATE/log/$1" >"$T/cut" && cat "$T/cut" >"$STATE/log/$1"; }

offline() { # WHAT pattern, with both keys
    local key
    for key in "--key $auditor" "--public-key $public"; do
        # shellcheck disable=SC2086
        ! "$CLI" audit verify --dir "$STATE/log" $key >"$T/out" 2>&1 || die "not found offline with ${key%% *}: $1"
        grep -qE "$2" "$T/out" || die "$1: the verdict with ${key%% *} is: $(cat "$T/out")"
    done
}
at_start() { # WHAT pattern: refused until accepted, then served again, and the acceptance is kept over a restart
    start_broker
    state_is rollback || die "a broker started on a log with $1"
    "$CLI" status | grep -qE "$2" || die "$1: status says: $("$CLI" status | head -n 1)"
    [[ $(lease gateway key) == '503 {"error":"rollback"'* ]] || die "released on a log with $1"
    "$CLI" store accept --yes >/dev/null
    released gateway key || die "$1: no service after the acceptance"
    end_broker
    start_broker
    state_is ready || die "$1: the acceptance was forgotten"
    end_broker
    grep -hq '"event":"store.accept","outcome":"ok"' "$STATE"/log/audit-*.jsonl || die "$1: the acceptance is not in the log"
}

for lines in 1 2 7; do
    fresh
    cut_lines "$last" "$lines"
    at_start "its last $lines lines cut" 'was cut before line'
done
fresh
cut_lines "$middle" 3
offline "3 lines cut in the middle" 'line [0-9]+ is missing'
fresh
rm "$STATE/log/$middle"
offline "a segment gone from the middle" 'line [0-9]+ is missing'
fresh
rm "$STATE/log/${segments[0]}"
offline "the first segment gone" 'line 1 is missing|begins with line'
fresh
rm "$STATE/log/$last"
at_start "its last segment gone" 'was cut before line'
fresh
rm "$STATE"/log/audit-*.jsonl
at_start "no line left" 'was cut before line'
fresh
rm "$STATE/log/audit.state"
at_start "its state deleted" 'audit.state.*new chain begins'
[[ -n $(find "$STATE/log" -name 'auditor-*.key') ]] || die "a new chain without a key for its auditor"
! "$CLI" audit verify --dir "$STATE/log" --key "$auditor" >/dev/null 2>&1 || die "the old key verifies the new chain"
fresh
head -c 100 "$STATE/log/audit.state" >"$T/cut" && cat "$T/cut" >"$STATE/log/audit.state"
at_start "half a state" 'does not open|damaged'
# the piece of a line that a crash leaves is no cut: it is dropped, and that is recorded
fresh
printf '{"seq":' >>"$STATE/log/$last"
start_broker
state_is ready || die "a torn last line stops the service: $("$CLI" status | head -n 1)"
released gateway key || die "no service after a torn last line"
end_broker
verify_log
grep -hq '"event":"audit.recovered","outcome":"ok","count":7' "$STATE"/log/audit-*.jsonl || die "the torn piece is not recorded"
