# bash completion for broker-cli and broker-exec. Names of credentials and consumers are asked of the broker, where it may be asked.

_broker_cli_names() { # list | consumer list
    broker-cli "$@" --json 2>/dev/null | grep -o '"name":"[^"]*"' | cut -d '"' -f 4
}

# options of a verb, or of a verb and its word
_broker_cli_options() {
    local common="--socket --help --json"
    case $1 in
    init) echo "--key --path --passphrase-file $common" ;;
    unlock) echo "--key --passphrase-file $common" ;;
    "key add") echo "--path --passphrase-file $common" ;;
    rekey) echo "--yes --wait $common" ;;
    "key remove" | store | "store accept" | remove | "consumer remove") echo "--yes $common" ;;
    enroll) echo "--from-home --home --consumer --copy --replace $(_broker_cli_options replace)" ;;
    login) echo "--provider --device --paste --browser --no-browser --client-credentials --client-secret-file --replace --deliver --origin --header --env --yes $common" ;;
    keep) echo "--program --home --consumer --once $common" ;;
    release) echo "--home --consumer --yes $common" ;;
    replace) echo "--provider --file --from-env --deliver --origin --header --env --username --yes $common" ;;
    "consumer add") echo "--uid --gid --cgroup --note $common" ;;
    grant) echo "--deliver --ttl --max-ttl --uses --owner --allow --model --budget $common" ;;
    "lease list") echo "--consumer --credential $common" ;;
    revoke | "lease revoke") echo "--consumer --credential --all --yes $common" ;;
    attenuate) echo "--ttl --deliver --allow --model --uid $common" ;;
    token) echo "--deliver --ttl $common" ;;
    helper*) echo "--origin --ttl --socket --help" ;;
    "audit tail") echo "--lines --follow --consumer --credential --event $common" ;;
    status) echo "--follow $common" ;;
    "audit show" | "audit export") echo "--after --consumer --credential --event $common" ;;
    "audit verify") echo "--dir --key --public-key $common" ;;
    exec) echo "--credential --profile --socket --wait --ttl --owner --acp --print-profile --list-profiles --help --version" ;;
    audit | consumer | key | lease) echo "--help" ;;
    *) echo "$common" ;;
    esac
}

# the words that follow a verb: sub-verbs, names
_broker_cli_words() {
    case $1 in
    audit) echo "tail show export verify" ;;
    consumer) echo "add list show remove" ;;
    key) echo "add list remove" ;;
    lease) echo "list revoke" ;;
    store) echo "accept" ;;
    helper) echo "git docker aws" ;;
    "helper git") echo "get store erase" ;;
    "helper docker") echo "get list store erase" ;;
    "key add") echo "keyfile passphrase keyring systemd" ;;
    help) echo "exit $_broker_cli_verbs" ;;
    show | remove | replace | refresh | token | keep | login | release | "helper aws") _broker_cli_names list ;;
    budget | "consumer show" | "consumer remove") _broker_cli_names consumer list ;;
    grant | revoke-grant) _broker_cli_names consumer list; _broker_cli_names list ;;
    esac
}

# values of an option; 1: the option takes none that we know
_broker_cli_values() { # VERB OPTION
    case $2 in
    --key) [[ $1 == "audit verify" ]] && return 2; echo "keyfile passphrase keyring systemd" ;;
    --from-home | --program) echo "claude codex" ;;
    --provider) [[ $1 == login ]] && echo "claude codex gemini" || echo "claude codex anthropic openai gemini generic oauth2" ;;
    --deliver) [[ $1 == token ]] && echo "helper access_token secret" || echo "proxy access_token file helper secret" ;;
    --owner) echo "process none" ;;
    --ttl | --max-ttl | --wait) echo "15m 1h 8h 24h" ;;
    --profile | --print-profile)
        echo "claude-code claude-acp codex codex-acp opencode gemini deerflow-gateway deepeye codehornets claude-tcp claude-long codex-long anthropic-sdk openai-sdk env" ;;
    --consumer) _broker_cli_names consumer list ;;
    --credential) _broker_cli_names list ;;
    --file | --path | --client-secret-file | --passphrase-file | --socket | --dir | --home | --public-key | --cgroup) return 2 ;;
    *) return 1 ;;
    esac
}

_broker_cli_verbs="attenuate audit budget consumer doctor enroll exec grant helper init keep key lease list lock login metrics refresh rekey release reload \
remove replace revoke revoke-grant show status store token unlock"

_broker_cli_reply() { # WORDS
    mapfile -t COMPREPLY < <(compgen -W "$1" -- "${COMP_WORDS[COMP_CWORD]}")
}

_broker_cli() {
    local verb=${COMP_WORDS[1]:-} word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} values code=0
    COMPREPLY=()
    if [[ ${COMP_WORDS[0]##*/} == broker-exec ]]; then
        verb="exec"
    elif ((COMP_CWORD == 1)); then
        _broker_cli_reply "$_broker_cli_verbs help version"
        return
    fi
    case $verb in
    audit | consumer | key | lease | store | helper) ((COMP_CWORD > 2)) && verb+=" ${COMP_WORDS[2]}" ;;
    esac
    case "$verb $before" in
    *" --json" | *" --yes" | *" --help" | *" --version" | *" --all" | *" --follow" | *" --copy" | *" --replace" | *" --once" | *" --list-profiles" | "rekey --wait") ;; # these take no value
    *" --"*)
        values=$(_broker_cli_values "$verb" "$before") || code=$?
        ((code == 2)) && mapfile -t COMPREPLY < <(compgen -f -- "$word")
        ((code == 0)) && _broker_cli_reply "$values"
        ((code == 1)) || return 0
        ;;
    esac
    case $word in
    -*) _broker_cli_reply "$(_broker_cli_options "$verb")" ;;
    *) _broker_cli_reply "$(_broker_cli_words "$verb")" ;;
    esac
}
complete -o bashdefault -F _broker_cli broker-cli
complete -o bashdefault -o default -F _broker_cli broker-exec
