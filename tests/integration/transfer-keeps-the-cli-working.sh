#!/usr/bin/env bash
# While its login is taken over, renewed at the broker, and given back, a program that reads its own file goes on as if nothing had happened:
# readers that behave as Claude Code and Codex do never see half a file, a dead token or a logout. The refresh token is nowhere meanwhile but in
# the sealed record; a restart, a lock and a revocation do not harm the file; a login of its own that appears in it is left alone.
. "$(dirname "$0")/transfer.bash" || exit 1
SCAN=$BUILD/fake/scan
[[ -x $SCAN ]] || die "tests/fake/scan.c is not built: make $SCAN"
init_broker
fresh_home
access_of() { python3 -c 'import json, sys
d = json.load(open(sys.argv[1]))
print(d["claudeAiOauth"]["accessToken"] if "claudeAiOauth" in d else d["tokens"]["access_token"])' "$1"; }
# renewed PROGRAM N: its login as the broker would have it after its Nth renewal
renewed() { python3 -c 'import base64, json, sys
d, n = json.load(open(sys.argv[1])), int(sys.argv[2])
if "claudeAiOauth" in d:
    d["claudeAiOauth"].update(accessToken=f"sk-ant-oat01-renewed-{n}", refreshToken=f"sk-ant-ort01-Rq7{n}vWkLmXy0Pz", expiresAt=d["claudeAiOauth"]["expiresAt"] + n)
else:
    h, c, s = d["tokens"]["access_token"].split(".")
    claims = json.loads(base64.urlsafe_b64decode(c + "=" * (-len(c) % 4)))
    claims["exp"] += n
    c = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    d["tokens"].update(access_token=f"{h}.{c}.{s}", refresh_token=f"rt_Hh2{n}JkQwErTyUiOp")
print(json.dumps(d))' "$LOGINS/$1.json" "$2" >"$T/$1.$2"; }
program_reads() { # PROGRAM TOKEN
    [[ $(access_of "$H/${LOGIN_FILE[$1]}") == "$2" ]]
}
still_reading() { # PROGRAM
    kill -0 "${READER[$1]}" 2>/dev/null || die "$1: $(cat "$T/$1.reader")"
}

declare -A READER KEEPER
for p in claude codex; do
    access_of "$LOGINS/$p.json" >"$T/$p.good"
    python3 "$ROOT/tests/fake/login_reader.py" "$p" "$H/${LOGIN_FILE[$p]}" "$T/$p.good" "$T/$p.stop" >"$T/$p.reader" 2>&1 &
    READER[$p]=$!
    PIDS+=($!)
    sleep 0.2
    take "$p" >"$T/out" 2>&1 || die "$(cat "$T/out")"
    "$CLI" keep "$p" --home "$H" >"$T/$p.keep" 2>&1 &
    KEEPER[$p]=$!
    PIDS+=($!)
done
for p in claude codex; do
    for n in 1 2 3; do
        renewed "$p" "$n"
        access_of "$T/$p.$n" >>"$T/$p.good"
        "$CLI" replace "$p" --file "$T/$p.$n" >/dev/null 2>&1
        eventually 10 program_reads "$p" "$(access_of "$T/$p.$n")" || die "$p: the file was not brought up to date: $(cat "$T/$p.keep")"
        still_reading "$p"
    done
done

# the refresh tokens, those of the renewals too, are nowhere but sealed: not in the home, in no file of the broker, in no memory of the keepers
{ for p in claude codex; do
    echo "$p ${REFRESH[$p]#*FAKE}"
    for n in 1 2 3; do rm "$T/$p.$n"; done
done; echo "renewed-claude Rq73vWkLmXy0Pz"; echo "renewed-codex Hh23JkQwErTyUiOp"; } >"$T/needles"
"$SCAN" -p "${KEEPER[claude]}" -p "${KEEPER[codex]}" "$H" "$STATE" "$RUN" "$T/log" "$T/out" "$T/claude.keep" "$T/codex.keep" <"$T/needles" >"$T/found" || die "$(cat "$T/found")"
if "$SCAN" "$LOGINS/claude.json" <"$T/needles" >/dev/null; then die "the scanner is blind"; fi

# the program writes other keys of its own: they stay, and the tokens are kept up
python3 - "$H/.claude/.credentials.json" <<'PY'
import json, os, sys
d = json.load(open(sys.argv[1]))
d["mcpOAuth"]["another"] = {"accessToken": "mcp-of-its-own"}
d["claudeAiOauth"]["accessToken"] = d["claudeAiOauth"]["accessToken"]
open(sys.argv[1] + ".new", "w").write(json.dumps(d))
os.rename(sys.argv[1] + ".new", sys.argv[1])
PY
renewed claude 4
access_of "$T/claude.4" >>"$T/claude.good"
"$CLI" replace claude --file "$T/claude.4" >/dev/null 2>&1
eventually 10 program_reads claude sk-ant-oat01-renewed-4 || die "not brought up to date: $(cat "$T/claude.keep")"
grep -q mcp-of-its-own "$H/.claude/.credentials.json" || die "the program's other keys were lost"

# the broker ends and comes back; its store is locked and opened; the lease is revoked: the file stays good, and follows again
stop_broker
start_broker
"$CLI" lock >/dev/null
"$CLI" unlock >/dev/null
"$CLI" revoke --consumer "home-$UID" --yes >/dev/null
renewed claude 5
access_of "$T/claude.5" >>"$T/claude.good"
"$CLI" replace claude --file "$T/claude.5" >/dev/null 2>&1
eventually 20 program_reads claude sk-ant-oat01-renewed-5 || die "not followed after a restart: $(cat "$T/claude.keep")"
for p in claude codex; do still_reading "$p"; done

# back: the readers go on, the keepers end by themselves
for p in claude codex; do
    give_back "$p" >"$T/out" 2>&1 || die "$(cat "$T/out")"
    still_reading "$p"
done
grep -q Rq75vWkLmXy0Pz "$H/.claude/.credentials.json" && grep -q Hh23JkQwErTyUiOp "$H/.codex/auth.json" || die "they did not come back"
for p in claude codex; do
    eventually 40 test ! -d "/proc/${KEEPER[$p]}" || die "the keeper of $p goes on"
    touch "$T/$p.stop"
    wait "${READER[$p]}" || die "$p: $(cat "$T/$p.reader")"
    echo "$p: $(cat "$T/$p.reader")"
done
