#!/usr/bin/env bash
# --copy leaves the login where it is and says what comes of two owners; a plain transfer leaves no second one, asks first, and refuses what it
# could lose.
. "$(dirname "$0")/transfer.bash" || exit 1
init_broker
fresh_home
expect_fail 2 'say --yes' "$CLI" enroll --from-home claude --home "$H"
! in_broker claude || die "it was taken without a yes"
out=$(take claude --copy 2>&1) || die "$out"
grep -q 'two owners of one login log each other out' <<<"$out" || die "no warning: $out"
cmp "$H/.claude/.credentials.json" "$LOGINS/claude.json" || die "the file was changed"
in_broker claude || die "it was not sealed"
! "$CLI" consumer show "home-$UID" >/dev/null 2>&1 || die "a copy needs nobody who keeps a file"
# from the copy to the transfer: the same login, so it goes on
out=$(take claude 2>&1) || die "$out"
! grep -q 'two owners' <<<"$out" || die "a warning for nothing: $out"
! in_home claude || die "two owners"
# done once more it changes nothing, and says so
cp "$H/.claude/.credentials.json" "$T/before"
take claude 2>&1 | grep -q 'taken over already' || die "once more"
cmp "$H/.claude/.credentials.json" "$T/before"
[[ $(take claude --json 2>/dev/null) == "{\"name\":\"claude\",\"file\":\"$H/.claude/.credentials.json\",\"copy\":false,\"consumer\":\"home-$UID\"}" ]] || die "json: $(take claude --json)"
# a new login of the program is not lost in a name that has one
sed 's/4070908800000/4070908900000/; s/sk-ant-ort01-/sk-ant-ort01-second-/' "$LOGINS/claude.json" >"$H/.claude/.credentials.json"
expect_fail 7 'say --replace' "$CLI" enroll --from-home claude --home "$H" --yes
grep -q sk-ant-ort01-second- "$H/.claude/.credentials.json" || die "it was lost"
take claude --replace >/dev/null 2>&1 || die "--replace"
! grep -q sk-ant-ort01-second- "$H/.claude/.credentials.json" || die "two owners"
give_back claude >/dev/null 2>&1
grep -q sk-ant-ort01-second- "$H/.claude/.credentials.json" || die "another one came back"
# what there is nothing to take of
echo '{}' >"$H/.claude/.credentials.json"
expect_fail 6 'logged out' "$CLI" enroll --from-home claude --home "$H" --yes
echo '{"claudeAiOauth":{"accessToken":"sk-ant-oat01-x","expiresAt":4070908800000}}' >"$H/.claude/.credentials.json"
expect_fail 6 'no refresh token' "$CLI" enroll --from-home claude --home "$H" --yes
expect_fail 2 'claude or codex' "$CLI" enroll --from-home gemini --home "$H" --yes
expect_fail 6 'there is no' "$CLI" enroll --from-home claude --home "$T/nowhere" --yes
"$CLI" enroll other --provider anthropic <"$LOGINS/anthropic.txt" >/dev/null 2>&1
cp "$LOGINS/claude.json" "$H/.claude/.credentials.json"
expect_fail 7 'choose another name' "$CLI" enroll --from-home claude other --home "$H" --yes
expect_fail 2 'go with --from-home' "$CLI" enroll x --provider claude --copy
