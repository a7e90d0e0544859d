#!/usr/bin/env bash
# A Codex login: its own endpoint and errors. What the answer leaves out stays; the file that Codex reads has the new token; a refresh token that somebody
# else has used is told from one that was revoked.
. "$(dirname "$0")/refresh.bash"
TOKEN=$(python3 -c 'import json, sys; t = json.load(open(sys.argv[1]))["tokens"]; print(t["access_token"] + "," + (t.get("account_id") or "acct"))' "$LOGINS/codex.json")
RENEW=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["tokens"]["refresh_token"])' "$LOGINS/codex.json")
start_idp --life 3600 --expect "chatgpt=$TOKEN" --refresh "chatgpt=$RENEW"
cat >"$CONFIG" <<YAML
providers:
  - { name: codex, token_url: "http://127.0.0.1:$PORT/oauth/token", insecure_loopback: true }
YAML
init_broker
"$CLI" enroll codex --provider codex --file "$LOGINS/codex.json" >/dev/null 2>&1 || die "not enrolled"
consumer gateway codex access_token,file
lease gateway codex file >"$T/lease"
FILE=$RUN/gateway/$(field file <"$T/lease")
holds "it is renewed" "$CLI" refresh codex
holds "with a token of a known end" is "$(show codex 'c["version"], c["expires_at_ms"] > 0, c["state"]')" "(2, True, 'ok')"
python3 - "$FILE" "${TOKEN%%,*}" <<'PY' || die "the file is not as it should be: $(<"$FILE")"
import json, sys
f = json.load(open(sys.argv[1]))
assert f["tokens"]["access_token"] == sys.argv[2] + "r1", f
assert f["tokens"]["refresh_token"] == "" and f["tokens"]["id_token"].count(".") == 2, f # Codex wants both
PY
seen=$((seen + 1))
holds "and again, with the refresh token that came" "$CLI" refresh codex
# somebody else has a copy and uses it
python3 - "$PORT" "$RENEW" <<'PY' || die "the copy was not used"
import http.client, json, sys
c = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]))
token = sys.argv[2] + "r1" + "r2"
c.request("POST", "/oauth/token", json.dumps({"grant_type": "refresh_token", "client_id": "app_EMoamEEZ73f0CkXaXp7hrann", "refresh_token": token}), {"content-type": "application/json"})
r = c.getresponse()
assert r.status == 200, (r.status, r.read())
PY
expect_fail 10 'somebody else: a program outside the broker has a copy' "$CLI" refresh codex
holds "that is told from a login that was revoked" is "$(show codex 'c["state"], c["ended"]')" "('needs_login', 'rotated')"
tally
