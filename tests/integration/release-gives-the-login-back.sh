#!/usr/bin/env bash
# A login that was taken over comes back whole: byte by byte as it was where nothing happened; with the tokens that the broker has by then, and
# with what the program wrote meanwhile, where something did. The release is recorded, and the broker is without it afterwards.
. "$(dirname "$0")/transfer.bash" || exit 1
init_broker
fresh_home
for p in claude codex; do
    take "$p" >"$T/out" 2>&1 || die "$(cat "$T/out")"
    ! in_home "$p" || die "the refresh token of $p is still in the home"
    give_back "$p" >"$T/out" 2>&1 || die "$(cat "$T/out")"
    cmp "$H/${LOGIN_FILE[$p]}" "$LOGINS/$p.json" || die "$p came back changed"
    [[ $(stat -c %a "$H/${LOGIN_FILE[$p]}") == 600 ]] || die "its mode"
    ! in_broker "$p" || die "the broker has $p still"
    "$CLI" audit tail --lines 50 | grep -q "credential.release .*credential=$p" || die "no record of the release"
    expect_fail 6 'nothing of that name' "$CLI" release "$p" --home "$H" --yes
done

# what happened meanwhile: the program wrote other keys (unusual numbers, escapes, an order of its own), the login was renewed at the broker
for p in claude codex; do take "$p" >/dev/null 2>&1; done
python3 - "$H" "$LOGINS" "$T" <<'PY'
import json, sys
home, logins, t = sys.argv[1:]
path = home + "/.claude/.credentials.json"
text = open(path).read()
text = text.rstrip()[:-1].rstrip() + ',\n  "zeta": {"n": 1.50, "e": 1e3, "s": "\\u00e9\\/ \\"x"},\n  "alpha": [1,2,  3]\n}\n'
open(path, "w").write(text)
for name, change in (("claude", lambda d: d["claudeAiOauth"].update(accessToken="sk-ant-oat01-RENEWED", refreshToken="sk-ant-ort01-RENEWED", expiresAt=d["claudeAiOauth"]["expiresAt"] + 5000)),
                     ("codex", lambda d: d["tokens"].update(refresh_token="rt_RENEWED"))):
    d = json.load(open(f"{logins}/{name}.json"))
    change(d)
    json.dump(d, open(f"{t}/{name}.renewed", "w"))
PY
for p in claude codex; do
    "$CLI" replace "$p" --file "$T/$p.renewed" >/dev/null 2>&1
    give_back "$p" --json >"$T/out" 2>&1 || die "$(cat "$T/out")"
    [[ $(cat "$T/out") == "{\"released\":\"$p\",\"file\":\"$H/${LOGIN_FILE[$p]}\"}" ]] || die "$(cat "$T/out")"
done
grep -qF '"zeta": {"n": 1.50, "e": 1e3, "s": "\u00e9\/ \"x"},' "$H/.claude/.credentials.json" || die "other keys were printed anew: $(cat "$H/.claude/.credentials.json")"
grep -qF '"alpha": [1,2,  3]' "$H/.claude/.credentials.json" || die "other keys were printed anew"
python3 - "$H" "$LOGINS" <<'PY'
import json, sys
home, logins = sys.argv[1:]
now, old = json.load(open(home + "/.claude/.credentials.json")), json.load(open(logins + "/claude.json"))
assert now["claudeAiOauth"].pop("refreshToken") == "sk-ant-ort01-RENEWED" and now["claudeAiOauth"].pop("accessToken") == "sk-ant-oat01-RENEWED"
assert now["claudeAiOauth"].pop("expiresAt") == old["claudeAiOauth"]["expiresAt"] + 5000
for k in ("refreshToken", "accessToken", "expiresAt"): old["claudeAiOauth"].pop(k)
assert now["claudeAiOauth"] == old["claudeAiOauth"] and now["mcpOAuth"] == old["mcpOAuth"]
now = json.load(open(home + "/.codex/auth.json"))
assert now["tokens"]["refresh_token"] == "rt_RENEWED" and now["OPENAI_API_KEY"] is None
PY

# the file is gone, or was logged out: all of it comes back, other logins of the same file too
for how in gone empty braces; do
    fresh_home
    for p in claude codex; do
        take "$p" >/dev/null 2>&1
        case $how in
        gone) rm "$H/${LOGIN_FILE[$p]}" ;;
        empty) : >"$H/${LOGIN_FILE[$p]}" ;;
        braces) echo '{}' >"$H/${LOGIN_FILE[$p]}" ;;
        esac
        give_back "$p" >"$T/out" 2>&1 || die "$how: $(cat "$T/out")"
        [[ $how == braces ]] || python3 -c 'import json, sys; assert json.load(open(sys.argv[1])) == json.load(open(sys.argv[2]))' \
            "$H/${LOGIN_FILE[$p]}" "$LOGINS/$p.json" || die "$how: $p came back changed: $(cat "$H/${LOGIN_FILE[$p]}")"
        in_home "$p" || die "$how: $p did not come back"
    done
done

# another login in the file is never overwritten, and the broker lets go of nothing
fresh_home
take claude >/dev/null 2>&1
sed 's/sk-ant-ort01-/sk-ant-ort01-other-/; s/4070908800000/4070908900000/' "$LOGINS/claude.json" >"$H/.claude/.credentials.json"
cp "$H/.claude/.credentials.json" "$T/before"
expect_fail 7 'holds another login' "$CLI" release claude --home "$H" --yes
cmp "$H/.claude/.credentials.json" "$T/before"
"$CLI" list | grep -q 'claude .* ok' || die "it was let go of: $("$CLI" list)"
echo 'no JSON' >"$H/.claude/.credentials.json"
expect_fail 3 'cannot be read' "$CLI" release claude --home "$H" --yes
rm "$H/.claude/.credentials.json"
ln -s /dev/null "$H/.claude/.credentials.json"
expect_fail 8 'is a link' "$CLI" release claude --home "$H" --yes
# without a yes nothing happens; a key does not go back
rm "$H/.claude/.credentials.json"
expect_fail 2 'say --yes' "$CLI" release claude --home "$H"
"$CLI" enroll key --provider anthropic <"$LOGINS/anthropic.txt" >/dev/null 2>&1
expect_fail 8 'no login' "$CLI" release key --home "$H" --yes
# consumers may not ask
consumer gateway claude file
[[ $(call gateway POST /v1/credentials/claude/release) == 404* ]] || die "a consumer may ask for a release"

# root looks after somebody's home: what is there stays theirs, and a name that leads elsewhere leads nowhere
if ((EUID == 0)); then
    "$CLI" remove claude --yes >/dev/null
    fresh_home
    chown -R daemon: "$H"
    chmod 711 "$H"
    take claude >"$T/out" 2>&1 || die "$(cat "$T/out")"
    "$CLI" consumer show "home-$(id -u daemon)" --json | grep -q "\"uids\":\[[0-9,]*$(id -u daemon)" || die "the consumer is not for the owner of the home: $("$CLI" consumer show "home-$(id -u daemon)" --json)"
    [[ -z $(find "$H" ! -user daemon) ]] || die "root left something of its own: $(find "$H" ! -user daemon)"
    give_back claude >"$T/out" 2>&1 || die "$(cat "$T/out")"
    [[ -z $(find "$H" ! -user daemon) ]] || die "root left something of its own: $(find "$H" ! -user daemon)"
    cmp "$H/.claude/.credentials.json" "$LOGINS/claude.json"
    mkdir "$T/roots"
    mv "$H/.claude" "$T/roots/.claude"
    chown -R root: "$T/roots"
    ln -s "$T/roots/.claude" "$H/.claude"
    expect_fail 8 'is a link' "$CLI" enroll --from-home claude --home "$H" --yes
fi
