#!/usr/bin/env bash
# DeerFlow's gateway in a container with no network, no ~/.claude and no ~/.codex, given socket directories and broker-exec: it finds
# Claude's and Codex's login where it looks for them, as root and as uid 1000, and nothing long-lived is within its reach. Its ACP agents
# find theirs. Set up by contrib/deerflow/setup.sh, started as the overlay and acp_agents.yaml say.
. "$(dirname "$0")/lib.bash" || exit 1
need_root
for tool in podman runc; do command -v "$tool" >/dev/null || skip "needs $tool"; done
PYTHON=/usr/bin/python3
[[ -x $PYTHON ]] || skip "needs python3 in /usr"
READER=$ROOT/tests/fake/deerflow_reader.py

# ---- the stand-in fails as the original does, so that what it accepts means something
"$PYTHON" -m doctest "$READER"
reader_says() { # PATTERN CONTENT: with this as Claude's file it ends so
    printf %b "$2" >"$T/case"
    local out
    out=$(env -i HOME=/nonexistent CLAUDE_CODE_CREDENTIALS_PATH="$T/case" "$PYTHON" "$READER" 2>&1 || true)
    grep -q -- "$1" <<<"$out" || die "the stand-in said, for $2: $out"
}
reader_says AttributeError '[]'
reader_says AttributeError '{"claudeAiOauth":null}'
reader_says TypeError '{"claudeAiOauth":{"accessToken":"t","expiresAt":"4070908800000"}}'
reader_says TypeError '{"claudeAiOauth":{"accessToken":"t","expiresAt":null}}'
reader_says UnicodeDecodeError '\xff'
reader_says '"no login"' '{}'
reader_says '"no login"' '{"claudeAiOauth":{"accessToken":"t","expiresAt":1000}}'

# ---- a file system of this machine's python and nothing else
R=$T/rootfs
make_rootfs() {
    local python stdlib file
    python=$("$PYTHON" -c 'import os, sys; print(os.path.realpath(sys.executable))')
    stdlib=$("$PYTHON" -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')
    mkdir -p "$R"/{tmp,root,home/agent,etc,proc,sys,dev,run/broker,usr/local/bin,usr/lib64} "$R${stdlib%/*}" "$R${python%/*}"
    for file in bin lib; do ln -sfn "usr/$file" "$R/$file"; done
    ln -sfn usr/lib64 "$R/lib64"
    chmod 1777 "$R/tmp"
    chown 1000:1000 "$R/home/agent"
    printf 'root:x:0:0::/root:/bin/sh\nagent:x:1000:1000::/home/agent:/bin/sh\n' >"$R/etc/passwd"
    cp "$python" "$R$python"
    tar -C "${stdlib%/*}" --exclude=__pycache__ --exclude=test --exclude=dist-packages --exclude='config-*' --exclude=idlelib \
        --exclude=tkinter --exclude=lib2to3 -cf - "${stdlib##*/}" | tar -C "$R${stdlib%/*}" -xf -
    { ldd "$python" "$stdlib"/lib-dynload/*.so || true; } 2>/dev/null | grep -oE '/[^ ]+\.so[^ ]*' | sort -u | while read -r file; do
        [[ $file == "$stdlib"/* || ! -e $file ]] && continue
        mkdir -p "$R$(dirname "$file")"
        cp -L "$file" "$R$file"
    done
    PYTHON=$python
    cp "$READER" "$R/usr/local/bin/reader.py"
    # ACP agents
    cp "$ROOT/tests/fake/acp_adapter.py" "$R/usr/local/bin/adapter.py"
    printf '#!%s\nimport runpy, sys\nsys.argv[1:] = ["--providers", "main:anthropic"]\nrunpy.run_path("/usr/local/bin/adapter.py")\n' "$PYTHON" >"$R/usr/local/bin/claude-agent-acp"
    printf '#!%s\nimport runpy, sys\nsys.argv[1:] = ["--providers", "openai:openai"]\nrunpy.run_path("/usr/local/bin/adapter.py")\n' "$PYTHON" >"$R/usr/local/bin/codex-acp"
    chmod 755 "$R/usr/local/bin/claude-agent-acp" "$R/usr/local/bin/codex-acp"
}
make_rootfs
OVERLAY=$ROOT/contrib/deerflow/compose.broker.yaml
mapfile -t ENTRYPOINT < <("$PYTHON" -c 'import json, re, sys
print("\n".join(json.loads(re.search(r"entrypoint: (\[.*\])", open(sys.argv[1]).read())[1])))' "$OVERLAY")
((${#ENTRYPOINT[@]} > 3)) || die "the overlay has no entrypoint"
printf '[storage]\ndriver = "vfs"\ngraphroot = "%s"\nrunroot = "%s"\n' "$T/podman" "$T/podman-run" >"$T/storage.conf"
export CONTAINERS_STORAGE_CONF=$T/storage.conf
in_container() { # UID HOME MOUNT… -- COMMAND…
    local user=$1 home=$2 mounts=()
    shift 2
    while [[ $1 != -- ]]; do mounts+=(-v "$1"); shift; done
    shift
    podman --tmpdir "$T/podman-tmp" --runtime runc --cgroup-manager=cgroupfs --log-level=error run --rm --quiet ${INPUT:+--interactive} --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 --network=none --cap-drop=all --read-only \
        --user "$user:$user" --env "HOME=$home" --env PATH=/usr/local/bin:/usr/bin "${mounts[@]}" --rootfs "$R" "$@"
}

# ---- the broker: two logins, one consumer
init_broker
"$CLI" enroll claude --provider claude <"$LOGINS/claude.json" 2>/dev/null >/dev/null
"$CLI" enroll codex --provider codex <"$LOGINS/codex.json" 2>/dev/null >/dev/null
for _ in 1 2; do PATH=$BUILD:$PATH "$ROOT/contrib/deerflow/setup.sh" >"$T/said" || die "setup.sh: $(cat "$T/said")"; done
grep -q 'Still to do' "$T/said" && die "setup.sh does not see the logins"
"$CLI" consumer list --json | "$PYTHON" -c 'import json, sys
for c in json.load(sys.stdin)["consumers"]:
    for g in c["grants"]: # renewed by the broker while the gateway lives; a shorter end would take the file away from under it
        assert g["max_ttl_ms"] >= 86400000 and g["owner"] == "process", (c["name"], g)' || die "setup.sh grants leases that end while the gateway runs"
mounts=("$EXEC:/usr/local/bin/broker-exec:ro")
for name in gateway acp-claude acp-codex; do
    grep -q "source: .*/$name\$" "$OVERLAY" && grep -q "target: /run/broker/$name\$" "$OVERLAY" || die "the overlay does not mount $name"
    mounts+=("$RUN/$name:/run/broker/$name:ro")
done
as_gateway() { # UID HOME
    in_container "$1" "$2" "${mounts[@]}" -- "${ENTRYPOINT[@]}" "$PYTHON" /usr/local/bin/reader.py --dump /run/broker "$2" /tmp
}
as_agent() { # UID NAME: as acp_agents.yaml says, with the few variables that an agent inherits
    local line
    mapfile -t line < <("$PYTHON" - "$ROOT/contrib/deerflow/acp_agents.yaml" "$2" <<'PY'
import re, sys
block = re.search(r"^  %s:\n((?:    .*\n)+)" % sys.argv[2], open(sys.argv[1]).read(), re.M)[1]
command = re.search(r"command: (\S+)", block)[1]
args = [a.strip() for a in re.search(r"args: \[(.*)\]", block)[1].split(",")]
variables = ["%s=%s" % m for m in re.findall(r"^      ([A-Z_]+): (\S+)", block, re.M)]
code = "import os,sys; n=sys.argv.index('--run'); os.environ.update(v.split('=',1) for v in sys.argv[1:n]); os.execvp(sys.argv[n+1], sys.argv[n+1:])"
print("\n".join(["-c", code.replace("\n", ";"), *variables, "--run", command, *args]))
PY
    )
    INPUT=1 in_container "$1" /tmp "${mounts[@]}" -- "$PYTHON" "${line[@]}"
}
check() { # UID: reads what the stand-in said
    python3 - "$1" "$LOGINS" "$T/said" <<'PY'
import json, sys
uid, logins, said = int(sys.argv[1]), sys.argv[2], open(sys.argv[3]).read()
r = json.loads(said)
claude, codex = (json.load(open(f"{logins}/{n}.json")) for n in ("claude", "codex"))
oauth, tokens = claude["claudeAiOauth"], codex["tokens"]
assert r["uid"] == uid, r["uid"]
assert r["homes"] == [], r["homes"]
assert r["networks"] in ([], ["lo"]), r["networks"]
assert r["claude"]["from"] == "CLAUDE_CODE_CREDENTIALS_PATH", r["claude"]["from"]
assert r["claude"]["token"] == oauth["accessToken"]
assert r["claude"]["headers"]["authorization"] == "Bearer " + oauth["accessToken"]
assert r["codex"]["from"] == "CODEX_AUTH_PATH" and r["codex"]["token"] == tokens["access_token"]
assert r["codex"]["account"] == tokens["account_id"]
# nothing long-lived, in no place that it can reach, whole or in part
for name, secret in (("Claude's", oauth["refreshToken"]), ("Codex's", tokens["refresh_token"])):
    for at in range(12, len(secret) - 12):
        assert secret[at:at + 12] not in said, name + " refresh token is within reach"
files = {p: t for p, t in r["files"].items()}
assert sorted(files) == ["/run/broker/gateway/files/claude/.credentials.json", "/run/broker/gateway/files/codex/auth.json"], sorted(files)
assert claude["mcpOAuth"]["fake-server|0000"]["accessToken"] not in said, "another login's token came along"
print(f"uid {uid}: both logins found, no refresh token in {len(files)} files and {len(r['environment'])} variables")
PY
}
for who in "0 /root" "1000 /home/agent"; do
    read -r uid home <<<"$who"
    as_gateway "$uid" "$home" >"$T/said" 2>"$T/err" || die "uid $uid: $(cat "$T/err")"
    check "$uid"
    # the leases belong to the program: they ended with it, and its files went with them
    eventually 5 test ! -e "$RUN/gateway/files/claude/.credentials.json" || die "uid $uid: the file outlived the gateway"
    [[ $("$CLI" lease list --json | python3 -c 'import json,sys; print(len(json.load(sys.stdin)["leases"]))') == 0 ]] || die "a lease outlived the gateway"
done

# ---- ACP agents: DeerFlow never authenticates, and has the login given over the protocol
said_by_deerflow() {
    local id=0 method
    for method in initialize session/new test/token test/environment; do
        echo "{\"jsonrpc\":\"2.0\",\"id\":$((id++)),\"method\":\"$method\",\"params\":{\"protocolVersion\":1}}"
    done
}
for who in "claude 0" "claude 1000" "codex 0" "codex 1000"; do
    read -r name uid <<<"$who"
    said_by_deerflow | as_agent "$uid" "$name" >"$T/said" 2>"$T/err" || die "agent $name as uid $uid: $(cat "$T/err")"
    "$PYTHON" - "$name" "$LOGINS" "$T/said" <<'PY' || die "agent $name as uid $uid: $(cat "$T/said" "$T/err")"
import json, sys
name, logins, said = sys.argv[1], sys.argv[2], open(sys.argv[3]).read()
answers = [json.loads(line) for line in said.splitlines()]
assert [a["id"] for a in answers] == [0, 1, 2, 3], "something else was printed on standard output"
assert answers[1]["result"]["sessionId"], answers[1]
base, headers = answers[2]["result"]["login"]
assert base.startswith("http://127.0.0.1:") and base.endswith("/v1") == (name == "codex"), base
assert "cbrk1_" in headers["x-api-key"], headers
login = json.load(open(f"{logins}/{name}.json"))
secrets = [login["claudeAiOauth"][k] for k in ("accessToken", "refreshToken")] if name == "claude" else [login["tokens"][k] for k in ("access_token", "refresh_token")]
assert not any(s in said for s in secrets), "a secret of the login is in the agent"
PY
done
none_left() { [[ $("$CLI" lease list --json | python3 -c 'import json,sys; print(len(json.load(sys.stdin)["leases"]))') == 0 ]]; }
eventually 5 none_left || die "a lease outlived its agent"

# ---- controls
in_container 0 /root "${mounts[@]}" -- "$PYTHON" /usr/local/bin/reader.py >"$T/said" 2>"$T/err" || die "$(cat "$T/err")"
grep -q '"claude": {"token": null' "$T/said" || die "without broker-exec it found a login: $(cat "$T/said")"
code=0
in_container 1234 /tmp "${mounts[@]}" -- broker-exec --socket /run/broker/gateway --profile deerflow-gateway -- "$PYTHON" -c 1 >"$T/said" 2>&1 || code=$?
[[ $code == 125 ]] || die "uid 1234, which the consumer does not name, ended with $code: $(cat "$T/said")"
"$CLI" consumer add other --uid 0 >/dev/null
code=0
in_container 0 /root "$RUN/other:/run/broker:ro" "${mounts[0]}" -- broker-exec --socket /run/broker --profile deerflow-gateway -- "$PYTHON" -c 1 \
    >"$T/said" 2>&1 || code=$?
[[ $code == 125 ]] || die "a consumer without grants ended with $code: $(cat "$T/said")"
