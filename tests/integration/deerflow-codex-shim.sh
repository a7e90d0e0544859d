#!/usr/bin/env bash
# DeerFlow's Codex model through the proxy, by contrib/deerflow/broker_codex.py: its requests arrive with the real login and its account, and
# neither is anywhere in the gateway. The class that it stands on is a stand-in (tests/fake/deerflow).
. "$(dirname "$0")/proxy.bash" || exit 1
mapfile -t login < <(python3 -c 'import json, sys; t = json.load(open(sys.argv[1]))["tokens"]; print(t["access_token"], t["account_id"], sep="\n")' "$LOGINS/codex.json")
start_provider --expect "chatgpt=${login[0]},${login[1]}"
upstream_config </dev/null
init_broker
"$CLI" enroll codex --provider codex <"$LOGINS/codex.json" >/dev/null 2>&1
grant_proxy gateway codex
mkdir "$T/backend"
cp "$ROOT/contrib/deerflow/broker_codex.py" "$T/backend/" # as the overlay mounts it
cp -r "$ROOT/tests/fake/deerflow" "$T/backend/"
said=$(env -i PATH=/usr/bin:/bin PYTHONDONTWRITEBYTECODE=1 HOME="$T/home" CODEX_AUTH_PATH=/nonexistent "$EXEC" --socket "$RUN/gateway" --profile deerflow-gateway -- \
    sh -c 'cd "$1" && exec python3 -c "
import json, os, sys
sys.path.insert(0, \".\")
import broker_codex
model = broker_codex.CodexChatModel()
first, second = model.ask(\"hi\"), model.ask(\"again\")
print(json.dumps({\"status\": [first[\"status\"], second[\"status\"]], \"environment\": dict(os.environ)}))"' - "$T/backend") || die "the model did not answer"
python3 - "$said" "${login[@]}" <<'PY'
import json, sys
r, token, account = json.loads(sys.argv[1]), *sys.argv[2:]
assert r["status"] == ["completed", "completed"], r["status"]
assert "CODEX_AUTH_PATH" not in r["environment"], "a file that was inherited stays"
assert r["environment"]["CREDENTIAL_BROKER_CODEX_BASE_URL"].startswith("http://127.0.0.1:")
assert token not in sys.argv[1] and account not in sys.argv[1], "the login is in the gateway"
PY
[[ $(upstream_saw 'r["path"] == "/backend-api/codex/responses" and r["status"] == 200') == 2 ]] || die "the provider saw: $(cat "$RECORD")"
[[ $(upstream_saw 'r["violations"]') == 0 ]] || die "the provider complains: $(cat "$RECORD")"
eventually 5 audit_has 'request.end .*consumer=gateway credential=codex .*http_status=200' || die "no record of an end"
# with a grant of the file alone, DeerFlow's own class is served as before
"$CLI" grant gateway codex --deliver file >/dev/null
# shellcheck disable=SC2016
said=$(env -i PATH=/usr/bin:/bin HOME="$T/home" "$EXEC" --socket "$RUN/gateway" --profile deerflow-gateway -- sh -c 'echo "$CODEX_AUTH_PATH,$CREDENTIAL_BROKER_CODEX_TOKEN"')
[[ $said == */auth.json, ]] || die "with a file granted: $said"
