#!/usr/bin/env bash
# After use no secret is left: not in the memory of any process of the broker (other than memfd_secret, which the kernel lets nobody
# read), not in its environment or command line, not in any file of its. Secrets are planted that exist nowhere else, taken through
# every way in and out there is, and then looked for in every encoding, in windows of 12 bytes.
. "$(dirname "$0")/promise.bash" || exit 1
SCAN=$BUILD/fake/scan
[[ -x $SCAN ]] || die "tests/fake/scan.c is not built: make $SCAN"
mkdir "$T/in"
python3 - "$LOGINS" "$T/in" <<'PY'
import json, secrets, string, sys
logins, out = sys.argv[1:3]
text = lambda n: "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(n))
needles = {}
def plant(name, prefix="", n=64, suffix=""):
    needles[name] = text(n)
    return prefix + needles[name] + suffix
def login(which):
    v = json.load(open(logins + "/claude.json"))
    v["claudeAiOauth"]["accessToken"] = plant(which + "-access", "sk-ant-oat01-", 93, "AA")
    v["claudeAiOauth"]["refreshToken"] = plant(which + "-refresh", "sk-ant-ort01-", 93, "AA")
    v["mcpOAuth"]["fake-server|0000"]["accessToken"] = plant(which + "-mcp")
    return json.dumps(v, indent=2)
put = lambda name, value: open(f"{out}/{name}", "w").write(value)
put("login", login("login"))
put("newer", login("newer"))
put("truncated", login("truncated")[:-40])
put("key", plant("key", "sk-ant-api03-", 93, "AA"))
put("other", plant("other"))
put("passphrase", plant("passphrase", n=40) + "\n")
put("second", plant("second-passphrase", n=40) + "\n")
put("wrong", plant("wrong-passphrase", n=40) + "\n")
put("needles", "".join(f"{k} {v}\n" for k, v in needles.items()))
PY
IN=$T/in
needle() { sed -n "s/^$1 //p" "$IN/needles"; }
own_token() { # of an answer: a token of ours is a secret too; what each begins with is not
    local token
    token=$(field token <<<"$1")
    echo "token-$((++tokens)) ${token#*cbrk1_}" >>"$IN/needles"
}
tokens=0
lease() { # DELIVERY CREDENTIAL
    local answer
    answer=$(call gateway POST /v1/leases "{\"credential\":\"$2\",\"deliver\":\"$1\"}")
    begins "$answer" 200 || die "no lease of $2 as $1"
    own_token "$answer"
    LEASE=$answer
}

scan() { "$SCAN" "$@" <"$IN/needles" >"$T/found" 2>&1; }
scan_memory() { # WHEN
    local pid memory=()
    ((EUID == 0)) || { leave_out 2 "the memory of a broker is closed to its own user; only root may look"; return 0; }
    for pid in $(all_pids); do memory+=(-p "$pid"); done
    scan "${memory[@]}" || die "$1: $(<"$T/found")"
    holds "$1: not five processes with one mapping of secrets: $(<"$T/found")" grep -q ' 5 processes (1 ' "$T/found"
    cat "$T/found"
}

# ---- every way in
start_broker
[[ $(status_of memory_lock) == memfd_secret ]] || skip "this kernel has no memfd_secret: what is locked can be read by root"
"$CLI" init --key passphrase --passphrase-file "$IN/passphrase" >/dev/null
"$CLI" key add keyfile --path "$STATE/master.key" >/dev/null
"$CLI" enroll login --provider claude --file "$IN/login" >/dev/null 2>&1
"$CLI" enroll key --provider anthropic <"$IN/key" >/dev/null 2>&1
OTHER=$(<"$IN/other") "$CLI" enroll other --provider generic --from-env OTHER --origin https://git.invalid --username fake >/dev/null 2>&1
unset OTHER
expect_fail 3 . "$CLI" enroll broken --provider claude --file "$IN/truncated"
call admin POST /v1/credentials "$(python3 -c 'import json,sys; print(json.dumps({"name": "broken", "provider": "claude", "data": open(sys.argv[1]).read()}))' \
    "$IN/truncated")" >"$T/answer"
begins "$(<"$T/answer")" 400 || die "a truncated login was taken"
call admin POST /v1/credentials "{\"name\":\"../broken\",\"provider\":\"generic\",\"data\":\"$(<"$IN/other")\"}" >/dev/null
call admin POST /v1/credentials "{\"name\":\"broken\",\"provider\":\"generic\",\"data\":\"$(<"$IN/other")\",\"data\":\"$(<"$IN/key")\"}" >/dev/null

scan_memory "after enrolling"

# ---- every way out
"$CLI" consumer add gateway >/dev/null
"$CLI" grant gateway login --deliver access_token,file,helper >/dev/null
"$CLI" grant gateway key --deliver secret,helper >/dev/null
"$CLI" grant gateway other --deliver secret,helper >/dev/null
for row in "access_token login" "file login" "helper login" "secret key" "helper key" "secret other"; do
    read -r how what <<<"$row"
    lease "$how" "$what"
done
answer=$(call gateway POST "/v1/leases/$(field id <<<"$LEASE")/renew" '{}' "$(field token <<<"$LEASE")")
begins "$answer" 200 || die "no renewal"
call gateway POST /v1/token/introspect "{\"token\":\"$(field token <<<"$LEASE")\"}" >/dev/null
call gateway POST /v1/token/introspect "{\"token\":\"$(field token <<<"$LEASE")x\"}" >/dev/null
call gateway POST /v1/leases "{\"credential\":\"$(needle wrong-passphrase)\"}" >/dev/null
holds "broker-cli token" is "$("$CLI" token key --deliver secret --socket "$RUN/gateway")" "$(<"$IN/key")"
printf 'protocol=https\nhost=git.invalid\n\n' | "$CLI" helper git --socket "$RUN/gateway" other get >"$T/git"
holds "git is not answered" grep -qx "password=$(<"$IN/other")" "$T/git"
rm "$T/git"
# shellcheck disable=SC2016
holds "broker-exec" is "$("$EXEC" --socket "$RUN/gateway" --profile env --credential key=secret -- sh -c 'echo "$ANTHROPIC_API_KEY"')" "$(<"$IN/key")"
"$CLI" show login >"$T/shown"
"$CLI" list >>"$T/shown"

scan_memory "with live leases"

# ---- the store is closed, opened, sealed anew, and what is in it replaced
"$CLI" lock >/dev/null
expect_fail 5 . "$CLI" unlock --key passphrase --passphrase-file "$IN/wrong" || true
holds "the passphrase does not open" "$CLI" unlock --key passphrase --passphrase-file "$IN/passphrase"
"$CLI" key add passphrase --passphrase-file "$IN/second" >/dev/null
"$CLI" replace login --file "$IN/newer" >/dev/null 2>&1
"$CLI" rekey --yes >/dev/null
rekeyed() { call admin GET /v1/keys | grep -q '"rekeying":false'; }
eventually 5 rekeyed || die "the rekey did not end"
lease access_token login
"$CLI" revoke --all --yes >/dev/null

# ---- the scanner finds what is there
"$PYTHON" -c 'import sys, time; s = sys.stdin.read(); print("ready", flush=True); time.sleep(60)' <"$IN/key" >"$T/ready" &
control=$!
PIDS+=("$control")
eventually 5 grep -q ready "$T/ready"
mkdir "$T/control"
base64 <"$IN/login" | tr -d '\n' >"$T/control/base64"
od -An -tx1 -v <"$IN/passphrase" | tr -d ' \n' >"$T/control/hex"
for place in base64 hex; do
    if scan "$T/control/$place"; then die "the scanner is blind to $place"; fi
    grep -q " in $T/control/$place at" "$T/found" || die "the scanner: $(<"$T/found")"
    seen=$((seen + 1))
done
if scan -p "$control"; then die "the scanner is blind to memory"; fi
holds "the scanner: $(<"$T/found")" grep -q "^key (raw) in $control " "$T/found"
kill "$control"

# ---- and finds nothing of ours
scan "$STATE" "$RUN" "$T/log" "$T/shown" || die "$(<"$T/found")"
holds "too few files were read: $(<"$T/found")" grep -qE ' ([5-9]|[1-9][0-9]+) files: 0 found' "$T/found"
cat "$T/found"
scan_memory "after all leases"
for name in login key other; do "$CLI" remove "$name" --yes >/dev/null; done
scan_memory "after the removal"
holds "after the removal: $(<"$T/found")" scan "$STATE" "$RUN"
tally
