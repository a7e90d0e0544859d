#!/usr/bin/env bash
# A uid that a consumer does not name gets nothing: the directories keep it out, and where they do not, the kernel's facts about the peer
# do, and the refusal is recorded. The same for the operator's socket; root of a user namespace is not root.
. "$(dirname "$0")/promise.bash" || exit 1
mode() { stat -c %a "$1"; }
init_broker
enroll_key

# ---- the directories
"$CLI" consumer add closed >/dev/null
for dir in "$STATE" "$RUN/admin" "$RUN/closed"; do holds "$dir is open to others" is "$(mode "$dir")" 700; done
holds "$RUN must be passable, and no more" is "$(mode "$RUN")" 755
for name in admin closed; do holds "the socket of $name is open to others" is "$(mode "$(sock $name)")" 600; done

# ---- a condition refuses whoever does not meet it, even the one who runs the broker
"$CLI" consumer add foreign --uid 4242 >/dev/null
"$CLI" grant foreign key --deliver secret >/dev/null
"$CLI" consumer add group --gid 4242 >/dev/null
"$CLI" grant group key --deliver secret >/dev/null
for name in foreign group; do
    for ask in 'POST /v1/leases {"credential":"key"}' 'GET /v1/grants' 'GET /v1/whoami'; do
        read -r -a part <<<"$ask"
        holds "$name answered to another id" begins "$(call $name "${part[@]}")" '403 {"error":"denied"'
    done
    holds "the refusal by $name is not recorded" audit_has event=peer.refused "consumer=$name" reason=denied
done
holds "no lease came of it" is "$(live_leases)" 0

if ((EUID != 0)); then
    leave_out 15 "other uids need root"
    tally
    exit
fi

# ---- other uids for real: 1000 is named, 1001 is not
"$CLI" consumer add gateway --uid 1000 >/dev/null
"$CLI" grant gateway key --deliver secret >/dev/null
holds "the directory has no entry for its consumer" grep -qx 'user:1000:--x' <(getfacl -npc "$RUN/gateway")
holds "the socket has no entry for its consumer" grep -qx 'user:1000:rw-' <(getfacl -npc "$(sock gateway)")
holds "others are let in" grep -qx 'other::---' <(getfacl -npc "$RUN/gateway")
cat >"$T/knock.py" <<'PY'
import sys, unixhttp
method, path = ("POST", "/v1/leases") if sys.argv[2] == "lease" else ("GET", "/v1/status")
try:
    status, body = unixhttp.ask(sys.argv[1], method, path, {"credential": "key"} if method == "POST" else None)
    print(status, "" if status == 200 else body["message"])
except PermissionError:
    print("closed")
PY
knock() { as_uid "$1" "$PYTHON" "$T/knock.py" "$(sock "$2")" "$3"; } # UID SOCKET lease|status
holds "the consumer's own uid is refused" begins "$(knock 1000 gateway lease)" 200
holds "another uid passed the directory" is "$(knock 1001 gateway lease)" closed
holds "the consumer passed the operator's directory" is "$(knock 1000 admin status)" closed
holds "a consumer without uids was open to another uid" is "$(knock 1000 closed lease)" closed
# the path gives way (no ACLs on this file system, or somebody's chmod): the kernel's facts are left
chmod 777 "$RUN/gateway" "$RUN/admin" "$(sock gateway)" "$(sock admin)"
holds "another uid was served" begins "$(knock 1001 gateway lease)" "403 uid 1001"
holds "the refusal is not recorded" audit_has event=peer.refused consumer=gateway reason=denied uid=1001
holds "another uid was taken for an operator" begins "$(knock 1000 admin status)" "403 uid 1000"
holds "the refusal is not recorded" audit_has event=admin.denied uid=1000

# ---- uid 0 of a user namespace is still the uid that it is outside
as_nobodys_root() { # SOCKET lease|status
    as_uid 1001 unshare -Ur "$PYTHON" -c 'import os, sys; assert os.getuid() == 0; exec(open(sys.argv.pop(1)).read())' \
        "$T/knock.py" "$(sock "$1")" "$2"
}
if as_uid 1001 unshare -Ur true 2>/dev/null; then
    holds "root of a namespace was taken for an operator" begins "$(as_nobodys_root admin status)" "403 uid 1001"
    holds "root of a namespace was served" begins "$(as_nobodys_root gateway lease)" "403 uid 1001"
    "$CLI" consumer add roots --uid 0 >/dev/null
    chmod 777 "$RUN/roots" "$(sock roots)"
    holds "root of a namespace was taken for root" begins "$(as_nobodys_root roots lease)" "403 uid 1001"
else
    leave_out 3 "this kernel lets no user make a user namespace"
fi
holds "somebody got a lease who should not" is "$(live_leases)" 1
tally
