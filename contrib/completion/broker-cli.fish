# fish completion for broker-cli and broker-exec. Names of credentials and consumers are asked of the broker, where it may be asked.

function __broker_names
    broker-cli $argv --json 2>/dev/null | string match -ra '"name":"([^"]*)"' -g
end
function __broker_verb # VERB [WORD]: is this the verb that is being completed?
    set -l words (commandline -opc)
    test "$words[2]" = "$argv[1]"; or return 1
    test (count $argv) -eq 1; or contains -- "$words[3]" $argv[2..-1]
end
function __broker_opt # NAME DESCRIPTION VERBS VALUES: an option of several verbs; VALUES "-": a file, "": a flag
    for verb in (string split ' ' $argv[3])
        switch "$argv[4]"
            case ''
                complete -c broker-cli -n "__broker_verb $verb" -l $argv[1] -d $argv[2]
            case '-'
                complete -c broker-cli -n "__broker_verb $verb" -l $argv[1] -d $argv[2] -rF
            case '*'
                complete -c broker-cli -n "__broker_verb $verb" -l $argv[1] -d $argv[2] -xa $argv[4]
        end
    end
end

complete -c broker-cli -f
for row in \
        'attenuate|narrow a token offline' 'audit|read, export or verify the record of releases' \
        'budget|what the grants of the proxy have spent and have left' \
        'consumer|who may ask: one socket directory each' 'doctor|look for what is wrong, with the command that mends it' \
        'enroll|take a login, an API key or any secret' 'exec|become a program that has its credentials' \
        'grant|let a consumer use a credential' 'helper|answer git, docker or aws in their own protocol' \
        'init|make the store, with its first key' 'keep|keep the login file of a program fresh after a transfer' 'key|the keys that open the store' 'lease|the live leases' \
        'list|the credentials, redacted' 'lock|forget the keys until unlock' 'login|log in at a provider; nothing of it is ever on the disk in the clear' 'metrics|figures for Prometheus' \
        'refresh|renew a login now' 'rekey|seal everything anew under a fresh master key' 'release|give a login back into the file of its program' 'reload|read the configuration anew' \
        'remove|remove a credential for good' 'replace|put a new login in the place of an old one' 'revoke|end leases at once' \
        'revoke-grant|take a grant back; its leases end' 'show|one credential, redacted' 'status|one look at everything' \
        'store|accept a store that is older than its log' 'token|print the short-lived value of a credential' \
        'unlock|open the store' 'help|more about one verb' 'version|the version'
    set -l part (string split '|' $row)
    complete -c broker-cli -n __fish_use_subcommand -a $part[1] -d $part[2]
    contains -- $part[1] exec help version; or complete -c broker-cli -n "__broker_verb $part[1]" -l socket -d "the broker's socket, or its directory" -rF
    contains -- $part[1] exec help version; or complete -c broker-cli -n "__broker_verb $part[1]" -l help -d 'show this'
    contains -- $part[1] exec helper help version; or complete -c broker-cli -n "__broker_verb $part[1]" -l json -d 'print JSON'
end

# words behind a verb
complete -c broker-cli -n '__broker_verb audit' -a 'tail show export verify'
complete -c broker-cli -n '__broker_verb consumer' -a 'add list show remove'
complete -c broker-cli -n '__broker_verb key' -a 'add list remove'
complete -c broker-cli -n '__broker_verb key add' -a 'keyfile passphrase keyring systemd'
complete -c broker-cli -n '__broker_verb lease' -a 'list revoke'
complete -c broker-cli -n '__broker_verb store' -a accept
complete -c broker-cli -n '__broker_verb helper' -a 'git docker aws get list store erase'
for verb in show remove replace login refresh keep release token grant revoke-grant
    complete -c broker-cli -n "__broker_verb $verb" -a '(__broker_names list)' -d credential
end
for verb in budget grant revoke-grant 'consumer show remove'
    complete -c broker-cli -n "__broker_verb $verb" -a '(__broker_names consumer list)' -d consumer
end

# options
set -l sources 'keyfile passphrase keyring systemd'
set -l deliveries 'proxy access_token file helper secret'
__broker_opt key 'the source of the key' 'init unlock' $sources
__broker_opt path 'where to make it, or its name' 'init key' -
__broker_opt passphrase-file 'read the passphrase from FILE' 'init unlock key' -
__broker_opt yes 'do not ask' 'key rekey store remove consumer enroll replace login release revoke lease' ''
__broker_opt wait 'until all are sealed anew' rekey ''
__broker_opt provider 'what kind it is' 'enroll replace' 'claude codex anthropic openai gemini generic oauth2'
__broker_opt provider 'where' login 'claude codex gemini'
__broker_opt device 'by a short code, entered on any machine' login ''
__broker_opt paste 'no listener' login ''
__broker_opt browser 'by a redirect to this host' login ''
__broker_opt no-browser 'only say the address' login ''
__broker_opt client-credentials 'the login of the client itself' login ''
__broker_opt client-secret-file 'its secret' login -
__broker_opt file 'read it from FILE' 'enroll replace' -
__broker_opt from-env 'read it from this variable' 'enroll replace' '(set -nx)'
__broker_opt origin 'https://host it is for' 'enroll replace login helper' ' '
__broker_opt header 'generic: its header' 'enroll replace login' ' '
__broker_opt env 'the variable it goes by' 'enroll replace login' ' '
__broker_opt username 'for git, docker and aws' 'enroll replace' ' '
__broker_opt deliver 'how it reaches the client' 'enroll replace login grant attenuate' $deliveries
__broker_opt deliver 'how it reaches the client' token 'helper access_token secret'
__broker_opt uid 'only peers of this uid' 'consumer attenuate' ' '
__broker_opt gid 'only peers of these gids' consumer ' '
__broker_opt cgroup 'only peers in a cgroup that begins so' consumer ' '
__broker_opt note 'for people' consumer ' '
__broker_opt ttl 'how long a lease lives' 'grant token helper attenuate' '15m 1h 8h'
__broker_opt max-ttl 'over all renewals' grant '8h 24h'
__broker_opt uses 'how often a lease releases' grant ' '
__broker_opt owner 'leases end with their process or not' grant 'process none'
__broker_opt allow 'proxy: allowed requests' 'grant attenuate' ' '
__broker_opt model 'proxy: allowed models' 'grant attenuate' ' '
__broker_opt budget 'proxy: a budget' grant ' '
__broker_opt from-home 'take it over from the file of its program' enroll 'claude codex'
__broker_opt program 'whose file' keep 'claude codex'
__broker_opt home 'the home that the file is in' 'enroll keep release' -
__broker_opt copy 'leave the login in the file too' enroll ''
__broker_opt replace 'in the place of the one that is enrolled' 'enroll login' ''
__broker_opt once 'bring it up to date, and end' keep ''
__broker_opt consumer 'that keeps the file fresh' 'enroll keep release' '(__broker_names consumer list)'
__broker_opt consumer 'only of this consumer' 'lease revoke audit' '(__broker_names consumer list)'
__broker_opt credential 'only of this credential' 'lease revoke audit' '(__broker_names list)'
__broker_opt all 'every lease there is' 'revoke lease' ''
__broker_opt lines 'how many lines' audit ' '
__broker_opt follow 'go on with what comes' 'audit status' ''
__broker_opt after 'only lines behind this number' audit ' '
__broker_opt event 'only this event' audit ' '
__broker_opt dir 'the log directory' audit -
__broker_opt key "the auditor's key" audit -
__broker_opt public-key 'the public key' audit -

for command in broker-exec 'broker-cli -n "__broker_verb exec"'
    set -l profiles 'claude-code claude-acp codex codex-acp opencode gemini deerflow-gateway deepeye codehornets claude-tcp claude-long codex-long anthropic-sdk openai-sdk env'
    eval "complete -c $command -l credential -d 'lease this one' -xa '(__broker_names list)'"
    eval "complete -c $command -l profile -d 'how the program takes its login' -xa '$profiles'"
    eval "complete -c $command -l print-profile -d 'show what a profile does' -xa '$profiles'"
    eval "complete -c $command -l list-profiles -d 'show the names of the profiles'"
    eval "complete -c $command -l socket -d \"the consumer's socket, or its directory\" -rF"
    eval "complete -c $command -l wait -d 'go on trying while the broker is away' -xa '15s 1m 5m'"
    eval "complete -c $command -l ttl -d 'how long the leases live' -xa '15m 1h 8h'"
    eval "complete -c $command -l owner -d 'leases end with the program or not' -xa 'process none'"
    eval "complete -c $command -l acp -d 'the program is an ACP adapter: stay before it'"
    eval "complete -c $command -l help -d 'show this'"
    eval "complete -c $command -l version -d 'show the version'"
end
