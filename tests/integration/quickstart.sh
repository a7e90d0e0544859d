#!/usr/bin/env bash
# `make quickstart`, without its installing and building: an ordinary user's first run ends well, shows each step and no secret, takes a login of
# the machine only when told to, and leaves nothing running; running it again is harmless; --clean removes everything.
. "$(dirname "$0")/lib.bash" || exit 1
if ((EUID == 0)) && [[ -z ${QUICKSTART_INSIDE:-} ]]; then # a tree that an ordinary user can read
    mkdir -p "$T/tree/build" "$T/tree/contrib" "$T/tree/tests/integration" "$T/tree/tests/fake"
    cp "$BUILD"/{brokerd,brokerd-*,broker-cli,broker-exec} "$T/tree/build/"
    cp -r "$ROOT/contrib/quickstart" "$T/tree/contrib/"
    cp -r "$ROOT"/tests/fake/{provider,authorize,dialects,tokens}.py "$ROOT/tests/fake/logins" "$T/tree/tests/fake/"
    cp "$ROOT"/tests/integration/{lib.bash,quickstart.sh} "$T/tree/tests/integration/"
    chmod -R a+rX "$T/tree"
    setpriv --reuid "$SYSTEM_USER" --regid "$(id -g "$SYSTEM_USER")" --clear-groups env -u BUILD PATH=/usr/bin:/bin QUICKSTART_INSIDE=1 "$T/tree/tests/integration/quickstart.sh"
    exit
fi
mkdir -m 700 "$T/home" "$T/xdg"
quickstart() { env -u CREDENTIAL_BROKER_RUN -u XDG_STATE_HOME HOME="$T/home" XDG_RUNTIME_DIR="$T/xdg" PYTHONDONTWRITEBYTECODE=1 "$ROOT/contrib/quickstart/quickstart.sh" "$@"; }
says() { grep -qE -- "$1" "$T/said" || die "no \"$1\" in: $(cat "$T/said")"; }
no_secret() {
    python3 - "$LOGINS" "$T/said" <<'PY'
import json, pathlib, sys
said = open(sys.argv[2]).read()
def secrets(v):
    for k, x in v.items():
        if isinstance(x, dict):
            yield from secrets(x)
        elif isinstance(x, str) and ("token" in k.lower() or k == "account_id"):
            yield x
for name in ("claude.json", "codex.json"):
    found = list(secrets(json.load(open(f"{sys.argv[1]}/{name}"))))
    assert len(found) >= 3
    for s in found:
        assert s not in said, name
key = pathlib.Path(sys.argv[1], "anthropic.txt").read_text().strip()
assert all(key[i:i + 12] not in said for i in range(14, len(key) - 12)), "the sample key"
PY
}
quickstart >"$T/said" 2>&1 </dev/null || die "the first run: $(cat "$T/said")"
says 'claude: no login taken from this machine; using a SAMPLE'
says 'Claude by file .*/files/claude/.credentials.json'
says 'Codex by file .*/files/codex/auth.json'
says 'there is no ~/.claude and no ~/.codex here'
says '"environment":\{".credentials.json":"[0-9]+ bytes, refresh token: none"\}'
says 'agent: my key is sk-ant-api03-cbrk1_.*http://127.0.0.1:[0-9]+$'
says 'agent: it answers: .'
says 'provider: one key came, the real one'
says 'requests +60/1h +1 +59'
says 'lease.issue +ok consumer=acp-claude'
says 'request.end +ok consumer=agent .*http_status=200'
no_secret
[[ ! -e $T/home/.local/state/credential-broker-quickstart.yaml ]] || die "its configuration is still there"
if pgrep -f -- "--state=$T/home" >/dev/null; then die "a broker is left"; fi
quickstart >"$T/said" 2>&1 </dev/null || die "the second run: $(cat "$T/said")"
says 'claude: enrolled already'
says 'requests +60/1h +2 +58' # the budget was kept
quickstart --clean >/dev/null
[[ -z $(find "$T/home" "$T/xdg" -mindepth 1 -name '*quickstart*') ]] || die "left behind: $(find "$T/home" "$T/xdg" -name '*quickstart*')"

# a login of the machine: taken on a yes, not without
mkdir -m 700 "$T/home/.claude"
cp "$LOGINS/claude.json" "$T/home/.claude/.credentials.json"
for answer in n y; do
    printf '%s\n' "$answer" | script -qec "$(declare -f quickstart); T='$T' ROOT='$ROOT'; quickstart" /dev/null >"$T/said" 2>&1 || die "with a login, and $answer: $(cat "$T/said")"
    says 'a refresh by one can log the other out'
    if [[ $answer == n ]]; then says 'claude: no login taken'; else says "$T/home/.claude/.credentials.json is still there"; fi
    no_secret
    quickstart --clean >/dev/null
done
