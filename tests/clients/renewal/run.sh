#!/usr/bin/env bash
# The real claude and codex renew at the broker: one process of each is asked in rounds, each after the end of the token before, past three ends and
# past the lease's max_ttl; it is answered every time, holds nothing of the login, and is shut out for good when the lease is revoked.
# Without root both count as skipped.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
if ((EUID != 0)); then
    echo "needs root, for a network namespace of its own"
    echo "0 passed, 0 failed, 2 skipped"
    exit
fi
if [[ ${1:-} != inside ]]; then
    "$root/tests/clients/install.sh" "${CLIENTS:-${BUILD:-$root/build}/clients}"
    exec unshare --net -- "${BASH_SOURCE[0]}" inside
fi
ip link set lo up
. "$root/tests/integration/proxy.bash"
CLIENTS=${CLIENTS:-$BUILD/clients}
export PYTHONDONTWRITEBYTECODE=1
ROUNDS=5 PAUSE=4 # the token ends after 3 s; the last round finds the lease revoked
of() { python3 -c 'import json, sys
d = json.load(open(sys.argv[1]))
for k in sys.argv[2].split("."): d = d[k]
print(d)' "$LOGINS/$1.json" "$2"; }
start_provider --expect "claude=$(of claude claudeAiOauth.accessToken)" --expect "chatgpt=$(of codex tokens.access_token),$(of codex tokens.account_id)"
upstream_config </dev/null
init_broker
for name in claude codex; do
    "$CLI" enroll "$name" --provider "$name" <"$LOGINS/$name.json" >/dev/null
    grant_proxy "$name" "$name" --ttl 3s --max-ttl 6s
done

# What of a login is its own (the claims of a JWT are not)
needles() { python3 -c 'import json, sys
def walk(d):
    if isinstance(d, dict): [walk(v) for v in d.values()]
    elif isinstance(d, str) and len(d) > 60: print(d.rsplit(".", 1)[1] if d.count(".") == 2 else d[20:])
walk(json.load(open(sys.argv[1])))' "$LOGINS/$1.json"; }

# run NAME session.py-KIND PROFILE COMMAND…
run() {
    local name=$1 kind=$2 profile=$3 home=$T/$1.home fifo=$T/$1.go session renewals needle
    shift 3
    mkdir -p "$home/work" "$home/.codex"
    printf 'features.plugins = false\nfeatures.apps = false\ncheck_for_update_on_startup = false\nanalytics.enabled = false\n' >"$home/.codex/config.toml"
    mkfifo "$fifo"
    (cd "$home/work" && exec env -i HOME="$home" PATH="$CLIENTS/bin:/usr/bin:/bin" TERM=dumb LANG=C.UTF-8 python3 "$root/tests/clients/renewal/session.py" \
        "$kind" "$ROUNDS" "$PAUSE" -- "$EXEC" --socket "$RUN/$name" --profile "$profile" -- "$@" <"$fifo" >"$T/$name.out" 2>"$T/$name.err") &
    session=$!
    PIDS+=("$session")
    exec {go}>"$fifo"
    eventually 90 grep -q "round $((ROUNDS - 1)) " "$T/$name.out" || die "$name: $(cat "$T/$name.out" "$T/$name.err")"
    [[ $(grep -c 'Forty-two' "$T/$name.out") == $((ROUNDS - 1)) ]] || die "$name was not answered each time: $(cat "$T/$name.out" "$T/$name.err")"
    renewals=$("$CLI" audit tail --lines 500 | grep -c "lease.renew .*consumer=$name .*source=")
    ((renewals >= ROUNDS - 1)) || die "$name renewed $renewals times"
    # nothing of the login is in its home, nor in what its processes were started with or hold
    while read -r needle; do
        if grep -rqF -- "$needle" "$home"; then die "$name: the login lies in its home"; fi
        if grep -lazF "HOME=$home" /proc/[0-9]*/environ 2>/dev/null | xargs -r grep -qaF -- "$needle"; then die "$name: the login is in an environment"; fi
    done < <(needles "$name")
    "$CLI" revoke --consumer "$name" --yes >/dev/null
    echo go >&"$go"
    exec {go}>&-
    local begun=$SECONDS
    wait "$session" && die "$name was answered after its lease was revoked: $(cat "$T/$name.out")"
    grep -q 'round 5 .*NO ANSWER' "$T/$name.out" || grep -q 'session/prompt:' "$T/$name.err" || die "$name: $(cat "$T/$name.out" "$T/$name.err")"
    echo "$name: $renewals renewals in $((ROUNDS - 1)) rounds; after the revocation it gave up in $((SECONDS - begun)) s"
}
run claude claude claude-long claude
run codex acp codex-long "$CLIENTS/zed/codex-acp"
[[ $(upstream_saw 'r["violations"]') == 0 ]] || die "the provider complains"
echo "2 passed, 0 failed, 0 skipped"
