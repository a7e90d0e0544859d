#!/usr/bin/env bash
# kill -9 of a worker (api, admin, audit writer) is recorded, the worker is started again, and nothing is lost but the connections it
# held: leases live on and can be renewed, a line that was answered is in the log, and the log still verifies.
. "$(dirname "$0")/promise.bash" || exit 1
init_broker
enroll_key
enroll_claude
consumer gateway key secret
consumer gateway claude file
lease=$(call gateway POST /v1/leases '{"credential":"key"}')
begins "$lease" 200 || die "no lease"
call gateway POST /v1/leases '{"credential":"claude"}' >/dev/null
id=$(field id <<<"$lease") token=$(field token <<<"$lease")
vault=$(vault_pid)
restarted() { # ROLE OLD-PID
    local now
    now=$(worker_pid "$1") && [[ $now != "$2" ]] && kill -0 "$now" 2>/dev/null
}
renews() { begins "$(call gateway POST "/v1/leases/$id/renew" '{}' "$token" 2>/dev/null)" 200; }
for role in api admin audit; do
    pid=$(worker_pid $role)
    kill -9 "$pid"
    holds "$role was not started again" eventually 5 restarted $role "$pid"
    holds "after the death of $role the lease cannot be renewed" eventually 3 renews
    holds "after the death of $role the lease is not listed" is "$(call gateway GET "/v1/leases/$id" | field state)" live
    holds "its end is not recorded" audit_has event=worker.exit "role=$role" status=9
    holds "new leases are not issued" begins "$(call gateway POST /v1/leases '{"credential":"key"}')" 200
    holds "the projected file went" test -e "$RUN/gateway/files/claude/.credentials.json"
    holds "the restart is not counted" is "$("$CLI" status --json | grep -o "\"role\":\"$role\",\"pid\":[0-9]*,\"restarts\":[0-9]*" | grep -o '[0-9]*$')" 1
done
is "$(vault_pid)" "$vault" || die "the vault was started anew"
# under load, and again and again: every lease that was answered is there afterwards, and recorded
asserts "$(sock gateway)" "$(sock admin)" <<'PY'
import os, signal, sys, time, unixhttp
sock, admin = sys.argv[1:3]
issued, refused = [], 0
until = time.monotonic() + 3
kills = [until - 2.7, until - 2.0, until - 1.3]
while time.monotonic() < until:
    try:
        status, body = unixhttp.ask(sock, "POST", "/v1/leases", {"credential": "key"})
        if status == 200:
            issued.append(body)
        else:
            refused += 1
            assert status == 503, (status, body)
            time.sleep(0.02)
    except (ConnectionError, IndexError):
        refused += 1
        time.sleep(0.02)
    if len(issued) > 900:
        unixhttp.ask(admin, "POST", "/v1/revoke", {"consumer": "gateway"})
        issued.clear()
    if kills and time.monotonic() > kills[0]:
        role = {3: "audit", 2: "api", 1: "audit"}[len(kills)]
        kills.pop(0)
        workers = unixhttp.ask(admin, "GET", "/v1/status")[1]["workers"]
        os.kill(next(w["pid"] for w in workers if w["role"] == role), signal.SIGKILL)
live, cursor = set(), 0
while cursor is not None:
    page = unixhttp.ask(sock, "GET", f"/v1/leases?cursor={cursor}")[1]
    live |= {l["id"] for l in page["leases"]}
    cursor = page["cursor"]
lost = [l["id"] for l in issued if l["id"] not in live]
assert not lost, f"{len(lost)} of {len(issued)} leases that were answered are gone"
assert len(issued) > 20, len(issued)
print(f"ok {len(issued)} leases answered, none lost ({refused} requests refused meanwhile)")
time.sleep(0.3)
lines, after = [], 0
while True:
    page = unixhttp.ask(admin, "GET", f"/v1/audit?after={after}&limit=1000")[1]
    page = [page] if isinstance(page, dict) else [__import__("json").loads(l) for l in page.splitlines() if l]
    if not page:
        break
    lines += page
    after = page[-1]["seq"]
recorded = {l["lease"] for l in lines if l["event"] == "lease.issue" and l["outcome"] == "ok"}
assert all(l["id"] in recorded for l in issued), "a lease was answered and is not in the log"
assert [l["seq"] for l in lines] == list(range(1, len(lines) + 1)), "the log has gaps"
print(f"ok each is in the log of {len(lines)} lines")
PY
stop_broker
holds "the log does not verify" "$CLI" audit verify --dir "$STATE/log" --key "$STATE/log/auditor.key"
tally
