# For the tests of a login's transfer: a home with the logins of both programs, and what is known of each.
# shellcheck shell=bash disable=SC2034
. "$(dirname "${BASH_SOURCE[0]}")/lib.bash"
unset CLAUDE_CONFIG_DIR CODEX_HOME
H=$T/home
declare -A LOGIN_FILE=([claude]=.claude/.credentials.json [codex]=.codex/auth.json)
# the refresh token of a sample login
refresh_of() { python3 -c 'import json, sys
d = json.load(open(sys.argv[1]))
print(d["claudeAiOauth"]["refreshToken"] if "claudeAiOauth" in d else d["tokens"]["refresh_token"])' "$LOGINS/$1.json"; }
declare -A REFRESH=([claude]=$(refresh_of claude) [codex]=$(refresh_of codex))
fresh_home() { # both programs are logged in
    rm -rf "$H"
    mkdir -p "$H/.claude" "$H/.codex"
    local p
    for p in claude codex; do install -m 600 "$LOGINS/$p.json" "$H/${LOGIN_FILE[$p]}"; done
}
take() { "$CLI" enroll --from-home "$1" --home "$H" --yes "${@:2}"; }
give_back() { "$CLI" release "$1" --home "$H" --yes "${@:2}"; }
in_home() { grep -rqF -- "${REFRESH[$1]}" "$H"; } # anywhere in it
in_broker() { "$CLI" show "$1" >/dev/null 2>&1; }
state_of() { "$CLI" show "$1" --json 2>/dev/null | sed -n 's/.*"state":"\([a-z_]*\)".*/\1/p'; }
# where it is in both places, the broker must not use it
one_owner() { ! { in_home "$1" && in_broker "$1"; } || [[ $(state_of "$1") == held ]]; }
