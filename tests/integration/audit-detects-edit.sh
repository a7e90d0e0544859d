#!/usr/bin/env bash
# A changed, cut, reordered or missing line of the audit log is found offline, and a broker that restarts on such a log refuses to release.
. "$(dirname "$0")/lib.bash"
init_broker
"$CLI" enroll key --provider anthropic <"$LOGINS/anthropic.txt" >/dev/null
consumer gateway key secret
for _ in 1 2 3 4 5; do call gateway POST /v1/leases '{"credential":"key"}' >/dev/null; done
stop_broker
"$CLI" audit verify --dir "$STATE/log" --key "$STATE/log/auditor.key" >/dev/null || die "an untouched log does not verify"
good=$T/good
cp -a "$STATE/log" "$good"
try() { # what, sed or awk command on the segment
    rm -rf "$T/bad"
    cp -a "$good" "$T/bad"
    local seg
    seg=$(find "$T/bad" -name 'audit-*.jsonl' | sort | head -n 1)
    "${@:2}" <"$seg" >"$T/seg"
    cmp -s "$T/seg" "$seg" && die "the edit \"$1\" changed nothing"
    cat "$T/seg" >"$seg"
    ! "$CLI" audit verify --dir "$T/bad" --key "$good/auditor.key" >"$T/out" 2>&1 || die "not found: $1"
}
try "a changed value" sed '4s/"outcome":"ok"/"outcome":"no"/'
try "a changed number" sed '3s/"seq":3/"seq":9/'
try "a missing line" sed 4d
try "the first line gone" sed 1d
try "two lines swapped" awk 'NR==3{h=$0;next} {print} NR==4{print h}'
try "an old line once more" awk '{print} NR==2{h=$0} NR==5{print h}'
try "a changed mac" sed '5s/"mac":"[0-9a-f]/"mac":"z/'
# the same on the broker's own log, behind its last checkpoint (it forgot the keys of what is before): no release until an operator accepts
start_broker
for _ in 1 2 3; do call gateway POST /v1/leases '{"credential":"key"}' >/dev/null; done
crash_broker
seg=$(find "$STATE/log" -name 'audit-*.jsonl' | sort | tail -n 1)
sed -i '$s/"outcome":"ok"/"outcome":"no"/' "$seg"
start_broker
[[ $(call gateway POST /v1/leases '{"credential":"key"}') == 503* ]] || die "released on a log that does not verify"
"$CLI" status | grep -q rollback || die "status does not tell"
"$CLI" store accept --yes >/dev/null
[[ $(call gateway POST /v1/leases '{"credential":"key"}') == 20[01]* ]] || die "no service after the acceptance"
