#!/usr/bin/env bash
# Mixed load for SOAK seconds (15; 3600 for the record) while leases are revoked, credentials replaced, the configuration read again, and the worker
# killed: nothing fails that should not, the descriptors of the broker's processes stay flat and their memory bounded, and every request
# that began in the log has its end there.
. "$(dirname "$0")/proxy.bash" || exit 1
SOAK=${SOAK:-15}
start_provider --fault chunk-delay=0.002
upstream_config </dev/null
init_broker
printf %s "$KEY" >"$T/key"
"$CLI" enroll k --provider anthropic <"$T/key" >/dev/null 2>&1
for c in one two three; do grant_proxy "$c" k --ttl 12h; done
proxy() { pgrep -P "$BROKER" -f -- '--role=proxy'; }
fds() { find "/proc/$1/fd" -mindepth 1 2>/dev/null | wc -l; }
# of its own: the audit ring is shared, and becomes resident as it is first gone round
anon() { awk '/^RssAnon/ {print $2}' "/proc/$1/status"; }
coproc LOAD { exec python3 "$ROOT/tests/hostile/load.py" "$RUN" "$SOAK" 2>&1; }
PIDS+=("$LOAD_PID")
exec {TO}>&"${LOAD[1]}" {FROM}<&"${LOAD[0]}"
LOADER=$LOAD_PID
new_lease() { local t; t=$(proxy_token "$1" k) && echo "$1 $t" >&"$TO"; }
for c in one two three; do new_lease "$c"; done
until_=$((SECONDS + SOAK - 1)) turn=0
while ((SECONDS < until_)) && kill -0 "$LOADER" 2>/dev/null; do
    sleep 0.5
    turn=$((turn + 1))
    case $((turn % 8)) in
    1) "$CLI" reload >/dev/null ;;
    2) # a consumer changes its lease: first the new one, then the old one ends
        old=$("$CLI" lease list --json | python3 -c 'import json, sys
l = json.load(sys.stdin)
print(next(x["id"] for x in (l["leases"] if isinstance(l, dict) else l) if x["consumer"] == "two"))')
        new_lease two
        sleep 0.3
        "$CLI" lease revoke "$old" >/dev/null
        ;;
    4) "$CLI" replace k <"$T/key" >/dev/null 2>&1 ;; # streams in flight go on with what they have
    6)
        if ((turn % 16 == 6)); then
            echo kill >&"$TO"
            kill -9 "$(proxy)"
            eventually 5 proxy || die "no new worker"
            sleep 1
            base_proxy_fds=
        fi
        ;;
    esac
    if ((turn >= 8)) && [[ -n $(proxy) ]]; then
        : "${base_proxy_fds:=$(fds "$(proxy)")}" "${base_anon:=$(anon "$(proxy)")}" "${base_vault_fds:=$(fds "$(vault_pid)")}" "${base_vault_anon:=$(anon "$(vault_pid)")}"
    fi
done
read -r -t 30 -u "$FROM" counts || die "the load did not end"
echo "$counts"
python3 -c 'import json, sys
d = json.loads(sys.argv[1])
sys.exit(d.get("failed", 0) or min(d.get(k, 0) for k in ("small", "stream", "large", "gone")) < 20)' "$counts" || die "requests failed: $counts"
ended() { cat "$STATE"/log/* | python3 -c 'import json, sys
open_ = set()
for line in sys.stdin:
    if "request.begin" in line or "request.end" in line:
        e = json.loads(line)
        (open_.add if e["event"] == "request.begin" else open_.discard)(e["serial"])
print(len(open_), "without an end")
sys.exit(len(open_) > 0)'; }
eventually 10 ended || die "$(ended)"
echo "proxy: $base_anon KB, at the end $(anon "$(proxy)") KB, $(fds "$(proxy)") descriptors; vault: $base_vault_anon KB, at the end $(anon "$(vault_pid)") KB, $(fds "$(vault_pid)") descriptors"
# 18 clients and their upstreams at most, and idle ones (64 an origin)
flat() { (($(fds "$(proxy)") < 100 && $(fds "$(vault_pid)") <= base_vault_fds + 10)); }
eventually 5 flat || die "descriptors: proxy $(fds "$(proxy)"), vault $(fds "$(vault_pid)")"
(($(anon "$(proxy)") < base_anon + 4096)) || die "the worker's memory grew from $base_anon KB to $(anon "$(proxy)") KB"
(($(anon "$(vault_pid)") < base_vault_anon + 1024)) || die "the vault's memory grew from $base_vault_anon KB to $(anon "$(vault_pid)") KB"
