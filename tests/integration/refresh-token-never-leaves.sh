#!/usr/bin/env bash
# A refresh token goes in and never comes out: no delivery, no projected file, no answer of any verb of an operator or a consumer, no file
# in state or run, no log has any 12 bytes of it. The same for the logins of MCP servers that lie in Claude's file.
. "$(dirname "$0")/promise.bash" || exit 1
SCAN=$BUILD/fake/scan
[[ -x $SCAN ]] || die "tests/fake/scan.c is not built: make $SCAN"
python3 - "$LOGINS" >"$T/needles" <<'PY'
import json, sys
claude, codex = (json.load(open(f"{sys.argv[1]}/{n}.json")) for n in ("claude", "codex"))
print("claude", claude["claudeAiOauth"]["refreshToken"].split("FAKE-", 1)[1])
print("mcp", claude["mcpOAuth"]["fake-server|0000"]["accessToken"].split("FAKE-", 1)[1])
print("codex", codex["tokens"]["refresh_token"].split("FAKE.", 1)[1])
PY
init_broker
enroll_claude
"$CLI" enroll codex --provider codex <"$LOGINS/codex.json" >"$T/out.enroll" 2>&1
consumer gateway claude access_token,file,helper
consumer gateway codex access_token,file,helper
for name in claude codex; do
    for how in access_token file helper; do
        answer=$(call gateway POST /v1/leases "{\"credential\":\"$name\",\"deliver\":\"$how\"}")
        [[ $how == helper ]] || begins "$answer" 200 || die "$name as $how"
        echo "$answer" >>"$T/out.leases"
        if [[ $answer == 200* ]]; then
            call gateway POST "/v1/leases/$(field id <<<"$answer")/renew" '{}' "$(field token <<<"$answer")" >>"$T/out.leases"
            call gateway GET "/v1/leases/$(field id <<<"$answer")" >>"$T/out.leases"
            call gateway POST /v1/token/introspect "{\"token\":\"$(field token <<<"$answer")\"}" >>"$T/out.leases"
            seen=$((seen + 1))
        fi
    done
    expect_fail 4 . "$CLI" token "$name" --deliver secret --socket "$RUN/gateway"
    "$CLI" grant gateway "$name" --deliver secret,file,access_token,helper >/dev/null 2>"$T/out.grant.$name" || true
    answer=$(call gateway POST /v1/leases "{\"credential\":\"$name\",\"deliver\":\"secret\"}")
    echo "$answer" >>"$T/out.leases"
    holds "a login was released whole: $answer" begins "$answer" 403
    "$CLI" show "$name" >>"$T/out.show"
    "$CLI" show "$name" --json >>"$T/out.show"
done
for path in status credentials credentials/claude credentials/codex consumers leases keys audit; do call admin GET "/v1/$path" >>"$T/out.admin"; done
call admin GET /metrics >>"$T/out.admin"
call gateway GET /v1/grants >>"$T/out.leases"
call gateway GET /v1/leases >>"$T/out.leases"
"$CLI" list --json >"$T/out.list"
"$CLI" audit export >"$T/out.audit"
mkdir "$T/claude"
# shellcheck disable=SC2016
CLAUDE_CONFIG_DIR=$T/claude "$EXEC" --socket "$RUN/gateway" --profile claude-code --credential claude -- \
    sh -c 'env; cat "$CLAUDE_CONFIG_DIR/.credentials.json"' >"$T/out.exec"
holds "broker-exec gave nothing" grep -q sk-ant-oat01 "$T/out.exec"
files=$(find "$RUN/gateway/files" -type f | wc -l)
holds "the projected files are not there" test "$files" -ge 1
"$SCAN" "$T"/out.* "$STATE" "$RUN" "$T/log" <"$T/needles" >"$T/found" || die "$(<"$T/found")"
cat "$T/found"
seen=$((seen + 1))
# the control: what went in is found
if "$SCAN" "$LOGINS/claude.json" <"$T/needles" >"$T/found"; then die "the scanner is blind"; fi
if "$SCAN" "$LOGINS/codex.json" <"$T/needles" >"$T/found"; then die "the scanner is blind"; fi
seen=$((seen + 2))
tally
