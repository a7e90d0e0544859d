#!/usr/bin/env bash
# The real claude and codex on a machine whose login is taken over by the broker: each answers with its own file before, after the transfer, after
# the broker has a new access token, and after the release; its file then holds the login again. While the broker owns it, the program writes no
# refresh token and asks for none.
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
. "$root/tests/integration/transfer.bash"
CLIENTS=${CLIENTS:-$BUILD/clients}
renewed() { python3 -c 'import base64, json, sys
d = json.load(open(sys.argv[1]))
if "claudeAiOauth" in d:
    d["claudeAiOauth"].update(accessToken="sk-ant-oat01-FAKE-renewed-token", refreshToken="sk-ant-ort01-FAKE-renewed", expiresAt=d["claudeAiOauth"]["expiresAt"] + 1)
else:
    h, c, s = d["tokens"]["access_token"].split(".")
    claims = json.loads(base64.urlsafe_b64decode(c + "=" * (-len(c) % 4)))
    claims["exp"] += 1
    d["tokens"].update(access_token=".".join((h, base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("="), s)), refresh_token="rt_renewed")
json.dump(d, open(sys.argv[2], "w"))' "$LOGINS/$1.json" "$T/$1.renewed"; }
provider_of() { # CLAUDE-LOGIN CODEX-LOGIN: one that takes these access tokens
    local claude chatgpt port=0
    [[ ! -s $T/port ]] || { port=$(<"$T/port"); stop_provider; }
    claude=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["claudeAiOauth"]["accessToken"])' "$1")
    chatgpt=$(python3 -c 'import json, sys; d = json.load(open(sys.argv[1]))["tokens"]; print(d["access_token"] + "," + d["account_id"])' "$2")
    start_provider --port "$port" --expect "claude=$claude" --expect "chatgpt=$chatgpt"
}
# session PROGRAM: one that runs on, answers once, and is to answer again with what its file has by then
session() {
    local home=$H command=()
    case $1 in
    claude) command=(claude 2 0 -- claude) ;;
    codex) command=(acp 2 0 -- "$CLIENTS/zed/codex-acp" -c 'model_provider="mine"' -c 'model_providers.mine.name="p"' -c "model_providers.mine.base_url=\"http://127.0.0.1:$PORT/backend-api/codex\""
        -c 'model_providers.mine.wire_api="responses"' -c model_providers.mine.requires_openai_auth=true -c "chatgpt_base_url=\"http://127.0.0.1:$PORT/backend-api/\"") ;;
    esac
    mkfifo "$T/$1.go"
    (cd "$home/work" && exec env -i HOME="$home" PATH="$CLIENTS/bin:/usr/bin:/bin" TERM=dumb LANG=C.UTF-8 CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1 DISABLE_TELEMETRY=1 \
        ANTHROPIC_BASE_URL="http://127.0.0.1:$PORT" PYTHONDONTWRITEBYTECODE=1 python3 "$root/tests/clients/renewal/session.py" "${command[@]}" <"$T/$1.go" >"$T/$1.session" 2>"$T/$1.session.err") &
    PIDS+=($!)
    SESSION[$1]=$!
    exec {go}>"$T/$1.go"
    GO[$1]=$go
    eventually 60 grep -q 'round 1 .*Forty-two' "$T/$1.session" || die "$1, running: $(cat "$T/$1.session" "$T/$1.session.err")"
}
goes_on() {
    echo go >&"${GO[$1]}"
    wait "${SESSION[$1]}" || die "$1, running, does not answer with a new access token: $(cat "$T/$1.session" "$T/$1.session.err")"
}
declare -A SESSION GO
answers() { # PROGRAM WHEN
    local out
    case $1 in
    claude) out=$(cd "$H/work" && env -i HOME="$H" PATH="$CLIENTS/bin:/usr/bin:/bin" TERM=dumb LANG=C.UTF-8 CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1 \
        DISABLE_TELEMETRY=1 ANTHROPIC_BASE_URL="http://127.0.0.1:$PORT" timeout 60 claude -p "What is the answer?" </dev/null 2>&1) || true ;;
    codex) out=$(cd "$H/work" && env -i HOME="$H" PATH="$CLIENTS/bin:/usr/bin:/bin" TERM=dumb LANG=C.UTF-8 timeout 60 codex exec --skip-git-repo-check \
        -c 'model_provider="mine"' -c 'model_providers.mine.name="p"' -c "model_providers.mine.base_url=\"http://127.0.0.1:$PORT/backend-api/codex\"" \
        -c 'model_providers.mine.wire_api="responses"' -c model_providers.mine.requires_openai_auth=true -c "chatgpt_base_url=\"http://127.0.0.1:$PORT/backend-api/\"" \
        "What is the answer?" </dev/null 2>&1) || true ;;
    esac
    grep -q Forty-two <<<"$out" || die "$1 does not answer $2: $out"
}
init_broker
fresh_home
mkdir -p "$H/work"
printf 'features.plugins = false\nfeatures.apps = false\ncheck_for_update_on_startup = false\nanalytics.enabled = false\n' >"$H/.codex/config.toml"
provider_of "$LOGINS/claude.json" "$LOGINS/codex.json"
for p in claude codex; do answers "$p" "before"; done
for p in claude codex; do
    take "$p" >"$T/out" 2>&1 || die "$(cat "$T/out")"
    "$CLI" keep "$p" --home "$H" >"$T/$p.keep" 2>&1 &
    PIDS+=($!)
done
for p in claude codex; do
    answers "$p" "after the transfer"
    ! in_home "$p" || die "the refresh token of $p is in its home"
    session "$p"
    renewed "$p"
    "$CLI" replace "$p" --file "$T/$p.renewed" >/dev/null 2>&1
done
provider_of "$T/claude.renewed" "$T/codex.renewed"
eventually 10 grep -q FAKE-renewed-token "$H/.claude/.credentials.json" || die "claude's file was not brought up to date: $(cat "$T/claude.keep")"
sleep 1
for p in claude codex; do
    answers "$p" "with a new access token"
    goes_on "$p"
done
for p in claude codex; do
    give_back "$p" >"$T/out" 2>&1 || die "$(cat "$T/out")"
    answers "$p" "after the release"
done
grep -q sk-ant-ort01-FAKE-renewed "$H/.claude/.credentials.json" || die "claude's login is not back"
grep -q rt_renewed "$H/.codex/auth.json" || die "codex's login is not back"
[[ $(upstream_saw '"oauth" in r["path"]') == 0 ]] || die "a program renewed its login itself"
echo "2 passed, 0 failed, 0 skipped"
