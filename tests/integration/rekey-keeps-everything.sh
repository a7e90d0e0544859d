#!/usr/bin/env bash
# A rekey changes the key of everything and nothing else: leases, tokens and credentials go on, during it too; the old epoch's records and
# header are gone at its end; killed at any moment, it resumes by itself at the next start and ends.
. "$(dirname "$0")/lib.bash" || exit 1
. "$(dirname "$0")/faults.bash"
init_broker
for name in c0 c1 c2 c3; do consumer gateway "$name" secret --ttl 1h; done
# more than a step of a rekey re-seals, so that there is a middle
for ((i = 0; i < 200; i++)); do echo "POST /v1/credentials {\"name\":\"more-$i\",\"provider\":\"generic\",\"data\":\"m$i\"}"; done >"$T/many"
admin_all() { # requests on stdin, one a line, on one connection
    "$PYTHON" -IS - "$(sock admin)" "$T/many" <<'PY'
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
f = s.makefile("rb")
for line in open(sys.argv[2]):
    method, path, body = line.rstrip("\n").split(" ", 2)
    s.sendall(f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
    status, n = f.readline(), 0
    while (h := f.readline().strip()):
        if h.lower().startswith(b"content-length:"):
            n = int(h.split(b":")[1])
    text = f.read(n)
    assert b" 20" in status, text
PY
}
admin_all
changes drive enroll,lease,renew 30
changes check
many() { [[ $(lease_of more-7) == m7 && $(lease_of more-199) == m199 ]]; }
lease_of() { consumer gateway "$1" secret && lease gateway "$1" | field secret; }
epoch() { "$CLI" status --json | python3 -c 'import json,sys; print(json.load(sys.stdin)["epoch"])'; }
settled() { # every record is of this epoch, and none is left over
    [[ -z $(find "$STATE/records" -type f ! -name "*-$1") ]] && (($(find "$STATE/records" -type f | wc -l) == $(credentials)))
}
credentials() { "$CLI" status --json | python3 -c 'import json,sys; print(json.load(sys.stdin)["credentials"])'; }
rekeyed() { (($(od -An -j 7 -N 1 -t u1 "$STATE/keys") == 0)); } # the flag of a header that holds two keys
ended() { [[ $(cat "$STATE"/log/audit-*.jsonl | grep -c '"event":"rekey.end"') -ge $1 ]]; }

# ---- undisturbed, but with changes and leases all the time
cp "$STATE/keys" "$T/keys.1"
"$CLI" rekey --yes >/dev/null
changes drive enroll,replace,remove,lease,renew,revoke 200
changes check || die "during the rekey"
eventually 10 ended 1 || die "the rekey does not end"
[[ $(epoch) == 2 ]] || die "the epoch is $(epoch)"
eventually 5 settled 2 || die "records of the old epoch are left: $(find "$STATE/records" -type f ! -name '*-2' | head)"
changes check || die "after the rekey"
many || die "a credential is lost by the rekey"
end_broker
start_broker
changes check || die "after a restart"
many || die "a credential is lost by the restart"

# ---- a header of before the rekey opens nothing
end_broker
cp -p "$STATE/keys" "$T/keys.2"
cat "$T/keys.1" >"$STATE/keys"
start_broker
! state_is ready || die "a header of the old epoch opens the store"
end_broker
cat "$T/keys.2" >"$STATE/keys"
start_broker
state_is ready || die "the store does not open any more: $("$CLI" status | head -n 1)"

# ---- killed in the middle, again and again
for ((i = 3; i <= 8; i++)); do
    "$CLI" rekey --yes >/dev/null
    sleep "$((RANDOM % 2)).$((RANDOM % 10))$((RANDOM % 10))"
    if ((RANDOM % 2)); then kill_vault; else kill_all; fi
    start_broker
    state_is ready || die "killed in a rekey: $("$CLI" status | head -n 1)"
    changes check || die "killed in a rekey"
    changes drive replace,lease,renew 10
    eventually 10 settled "$i" || die "the rekey to epoch $i does not resume: $(find "$STATE/records" -type f ! -name "*-$i" | wc -l) left"
    [[ $(epoch) == "$i" ]] || die "the epoch is $(epoch), not $i"
    eventually 5 rekeyed || die "the header still holds the old key"
done
many || die "a credential is lost"
end_broker
verify_log
changes count
