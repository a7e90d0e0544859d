#!/bin/sh
# Consumers and grants for a DeerFlow gateway and its two ACP agents. Needs a broker that is running and initialised, and the right to operate
# it (root, or a uid in `admin:`). Running it again changes nothing. UIDS: who the gateway runs as; Compose 0, Helm 1000.
set -eu
uids=${UIDS:-0,1000}
# Leases end with the program that was started (owner process); while it lives the broker renews them, up to LIFE, which has to be longer than
# a gateway runs. What they release is the provider's short-lived token; when the login is replaced, the projected file is replaced in place.
life=${LIFE:-30d}
# DELIVER=proxy: the gateway uses its logins without having them. Its Codex model is then `use: broker_codex:CodexChatModel` (README.md).
deliver=${DELIVER:-file}
case $deliver in
file) claude=access_token,file codex=file ;;
proxy) claude=proxy codex=proxy ;;
*) echo "DELIVER is file or proxy, not $deliver" >&2; exit 2 ;;
esac

consumer() { # NAME NOTE
    broker-cli consumer show "$1" >/dev/null 2>&1 || broker-cli consumer add "$1" --uid "$uids" --note "$2" >/dev/null
}
grant() { # CONSUMER CREDENTIAL DELIVERIES
    broker-cli grant "$1" "$2" --deliver "$3" --ttl 15m --max-ttl "$life" --owner process >/dev/null
}
broker-cli status >/dev/null || exit # says itself how to start one
consumer gateway "DeerFlow's gateway"
consumer acp-claude "DeerFlow's ACP agent claude"
consumer acp-codex "DeerFlow's ACP agent codex"
grant gateway claude "$claude"
grant gateway codex "$codex"
# the agents hold no secret at all: their requests go through the broker's proxy, by tokens that are replaced while they run
grant acp-claude claude proxy
grant acp-codex codex proxy
broker-cli consumer list

missing() { # NAME PROVIDER FILE
    broker-cli show "$1" >/dev/null 2>&1 || printf 'Still to do:  broker-cli enroll %s --provider %s --file %s\n' "$1" "$2" "$3"
}
missing claude claude "$HOME/.claude/.credentials.json"
missing codex codex "$HOME/.codex/auth.json"
