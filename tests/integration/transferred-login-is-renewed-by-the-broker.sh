#!/usr/bin/env bash
# After a transfer the broker alone renews the login, and the program's own file follows; while it changes hands nobody renews it, also where
# broker-cli is killed in between; after the release the program can renew it with what it got back. No refresh token is ever used twice.
. "$(dirname "$0")/refresh.bash" || exit 1
command -v strace >/dev/null || skip "strace is not installed"
unset CLAUDE_CONFIG_DIR
H=$T/home F=$T/home/.claude/.credentials.json
mkdir -p "$H/.claude"
in_file() { grep -qF -- "$1" "$F"; }
put_login() { login "$@" >"$F.new" && chmod 600 "$F.new" && mv "$F.new" "$F"; }
start_idp
idp_config </dev/null
init_broker

# killed between the seal and the file: the login is due (four fifths of the seconds that it had are over at once), and nobody renews it
put_login 1
{ strace -f -o /dev/null -e inject=renameat:signal=SIGKILL:when=1 "$CLI" enroll --from-home claude --home "$H" --yes >"$T/out" 2>&1 || true; } 2>/dev/null
in_file "$REFRESH" || die "the file was replaced: the kill came too late"
is "$(show claude 'c["state"]')" held || die "it is not held: $("$CLI" show claude)"
sleep 1.5
is "$(asked)" 0 || die "it was renewed while the program has it too"
seen=$((seen + 1))
# once more: it goes on, and now the broker renews what is due, once
"$CLI" enroll --from-home claude --home "$H" --yes >"$T/out" 2>&1 || die "$(cat "$T/out")"
! in_file "$REFRESH" || die "the refresh token is in the file"
eventually 10 shows claude 'c["version"]' 2 || die "it was not renewed: $("$CLI" show claude)"
is "$(refreshes 200)" 1 || die "renewed $(refreshes 200) times"
# the file follows
"$CLI" keep claude --home "$H" >"$T/keep" 2>&1 &
PIDS+=($!)
eventually 10 in_file "${ACCESS}r1" || die "the file does not follow: $(cat "$T/keep" "$F")"
begins "$(call admin POST /v1/credentials/claude/refresh)" 200 || die "it is not renewed on demand"
eventually 10 in_file "${ACCESS}r1r2" || die "the file does not follow: $(cat "$T/keep" "$F")"
in_file '"mcpOAuth": {"kept": {"x": 1}}' || die "other keys were lost"
! grep -qF sk-ant-ort01 "$F" || die "a refresh token is in the file"
seen=$((seen + 1))
# back: the program has the newest, and renews it itself
"$CLI" release claude --home "$H" --yes >"$T/out" 2>&1 || die "$(cat "$T/out")"
newest=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["claudeAiOauth"]["refreshToken"])' "$F")
is "$newest" "${REFRESH}r1r2" || die "not the newest came back: $newest"
code=$(curl -sS -o "$T/answer" -w '%{http_code}' -H 'content-type: application/json' \
    -d "{\"grant_type\":\"refresh_token\",\"client_id\":\"9d1c250a-e61b-44d9-88ed-5944d1962f5e\",\"refresh_token\":\"$newest\"}" "http://127.0.0.1:$PORT/v1/oauth/token")
is "$code" 200 || die "the program cannot renew what it got back: $(cat "$T/answer")"
sleep 1
is "$(refreshes)" 3 || die "somebody else renewed it too: $(refreshes)"
is "$(refreshes 400)" 0 || die "a refresh token was used twice"
seen=$((seen + 1))
tally
