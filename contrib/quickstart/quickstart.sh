#!/usr/bin/env bash
# The main job on this machine, from nothing: a broker, two logins, a gateway and an ACP agent that start with short-lived ones, an agent
# that uses a key without having it, and the audit log of it. Keeps its own directories, so that running it again is harmless; `make quickstart-clean` removes them.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
build=${BUILD:-$root/build}
cli=$build/broker-cli
state=${XDG_STATE_HOME:-$HOME/.local/state}/credential-broker-quickstart
if [[ -n ${XDG_RUNTIME_DIR:-} && -d ${XDG_RUNTIME_DIR:-} ]]; then run=$XDG_RUNTIME_DIR/cb-quickstart; else run=/dev/shm/cb-quickstart-$EUID; fi
user=() provider=
if ((EUID == 0)); then
    # a service of its own user, as in an installation; its directories must be passable for that user
    state=/var/lib/credential-broker-quickstart
    user=(--user credential-broker)
    getent passwd credential-broker >/dev/null || {
        echo "adding the system user credential-broker, which brokerd runs as"
        useradd --system --home-dir /nonexistent --no-create-home --shell /usr/sbin/nologin credential-broker
    }
fi
config=$state.yaml
if [[ ${1:-} == --clean ]]; then
    rm -rf "$state" "$run" "$config"
    echo "removed $state and $run"
    exit
fi
bold=$'\e[1m' plain=$'\e[0m'
[[ -t 1 && -z ${NO_COLOR:-} ]] || bold='' plain=''
step() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }

export CREDENTIAL_BROKER_RUN=$run
unset CREDENTIAL_BROKER_SOCKET CREDENTIAL_BROKER_CONSUMER
step "1. A broker of your own"
log=$(mktemp)
"$build/brokerd" --state "$state" --run "$run" --config "$config" "${user[@]}" 2>"$log" &
daemon=$!
finish() {
    local code=$?
    kill "$daemon" $provider 2>/dev/null || true
    wait "$daemon" $provider 2>/dev/null || true
    ((code == 0)) || { echo "brokerd said:" >&2; cat "$log" >&2; }
    rm -rf "$log" "${home:-}" "$config"
}
trap finish EXIT
for _ in {1..200}; do "$cli" status >/dev/null 2>&1 && break; sleep 0.05; done
"$cli" status >/dev/null
echo "  state (sealed): $state"
echo "  sockets:        $run"
"$cli" status --json | grep -q '"state":"uninitialised"' && "$cli" init --key keyfile --path "$state/master.key"

step "2. Two logins"
enroll() { # NAME PROVIDER HOME_FILE SAMPLE
    local name=$1 provider=$2 file=$3 sample=$4 answer=n
    if "$cli" show "$name" >/dev/null 2>&1; then
        echo "  $name: enrolled already"
        return
    fi
    if [[ -r $file && -t 0 ]]; then
        echo "  $file is a login. The broker would take a copy; while both hold it, a refresh by one can log the other out."
        read -r -p "  Enroll it? [y/N] " answer
    fi
    if [[ $answer == [yY]* ]]; then
        "$cli" enroll "$name" --provider "$provider" --file "$file" --yes
    else
        echo "  $name: no login taken from this machine; using a SAMPLE in the real format (it logs in nowhere)"
        "$cli" enroll "$name" --provider "$provider" --file "$sample" --yes
    fi
}
enroll claude claude "$HOME/.claude/.credentials.json" "$root/tests/fake/logins/claude.json"
enroll codex codex "$HOME/.codex/auth.json" "$root/tests/fake/logins/codex.json"
"$cli" list

step "3. Who may use them"
grant() { # CONSUMER NOTE CREDENTIAL DELIVERIES
    "$cli" consumer show "$1" >/dev/null 2>&1 || "$cli" consumer add "$1" --note "$2" >/dev/null
    "$cli" grant "$1" "$3" --deliver "$4" --ttl 15m >/dev/null
}
grant gateway "a gateway, such as DeerFlow" claude access_token,file
grant gateway "" codex file
grant acp-claude "an ACP agent" claude access_token,file
"$cli" consumer list

home=$(mktemp -d) # a home without any login
step "4. A gateway starts through broker-exec"
env -i PATH="$PATH" HOME="$home" "$build/broker-exec" --socket "$run/gateway" --profile deerflow-gateway -- "$here/gateway.sh"

step "5. An ACP agent starts through broker-exec"
echo '{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":1,"clientCapabilities":{}}}' |
    env -i PATH="$PATH" HOME="$home" "$build/broker-exec" --socket "$run/acp-claude" --profile claude-acp -- "$here/acp-adapter.sh"

step "6. An agent uses a key without having it"
# A provider on this machine stands for Anthropic: it takes one key, the sample, and refuses everything else.
python3 "$root/tests/fake/provider.py" --expect "anthropic=@$root/tests/fake/logins/anthropic.txt" --record "$home/seen" >"$home/port" &
provider=$!
for _ in {1..100}; do [[ -s $home/port ]] && break; sleep 0.05; done
echo "upstreams: [ { provider: anthropic, origin: \"http://127.0.0.1:$(<"$home/port")\", private: true } ]" >"$config"
"$cli" reload >/dev/null
"$cli" show sample-key >/dev/null 2>&1 || "$cli" enroll sample-key --provider anthropic --file "$root/tests/fake/logins/anthropic.txt" --yes >/dev/null 2>&1
"$cli" consumer show agent >/dev/null 2>&1 || "$cli" consumer add agent --note "an agent that runs model-written commands" >/dev/null
"$cli" grant agent sample-key --deliver proxy --ttl 15m --allow "POST /v1/messages" --model "claude-*" --budget "requests: 60/h" >/dev/null
env -i PATH="$PATH" HOME="$home" "$build/broker-exec" --socket "$run/agent" --profile anthropic-sdk -- "$here/agent.py"
if ! grep -q '"violations": \[\]' "$home/seen" || grep -q cbrk1_ "$home/seen"; then
    echo "  provider: SOMETHING ELSE CAME: $(cat "$home/seen")"
    exit 1
fi
echo "  provider: one key came, the real one, and nothing of the broker's"
# ends of requests reach the log in company
for _ in {1..60}; do "$cli" audit tail --lines 5 | grep -q request.end && break; sleep 0.05; done
"$cli" budget agent

step "7. What the audit log says (no secret is ever in it)"
"$cli" audit tail --lines 18
printf '\nKeep a broker running:  %s --state %s --run %s\nRemove all of this:     make quickstart-clean\n' "$build/brokerd" "$state" "$run"
