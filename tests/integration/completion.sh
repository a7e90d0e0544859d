#!/usr/bin/env bash
# Every verb, every word of a verb and every option that the programs know is in the completions of bash, zsh and fish and in the manual
# pages; and what the completions offer, the programs know. The programs are asked, so a new verb fails here until it is everywhere.
. "$(dirname "$0")/lib.bash" || exit 1
C=$ROOT/contrib/completion M=$ROOT/contrib/man
export PATH=$BUILD:$PATH
bad=0
miss() { echo "missing: $*" >&2; bad=$((bad + 1)); }

# ---- what the programs know: "VERB[ WORD]" a line, options of one
verbs() { "$CLI" help | sed -n '/^Verbs:/,/^$/s/^  \([a-z-]*\) .*/\1/p'; }
words() { # of a verb of verbs
    "$CLI" "$1" --help 2>/dev/null | grep -oE "(broker-cli |Usage: broker-cli |\| )?$1 [a-z|]+|\| [a-z]+ " | sed "s/.*$1 //" | tr '|' '\n' | tr -d ' ' | sort -u
}
options() { # VERB [WORD]
    if [[ $1 == exec ]]; then "$EXEC" --help; else "$CLI" "$@" --help; fi 2>/dev/null | sed -n 's/^  --\([a-z-]*\).*/--\1/p'
}
commands() {
    local verb word
    for verb in $(verbs); do
        case $verb in
        audit | consumer | key | lease) for word in $(words "$verb"); do echo "$verb $word"; done ;;
        *) echo "$verb" ;;
        esac
    done
}
# what the manual says of a verb: its paragraphs, those of the verb that it refers to, and what is said of every verb
manual() {
    local verbs=$1
    case $1 in
    exec) cat "$M/broker-exec.1"; return ;;
    replace) verbs='(replace|enroll)' ;;
    lease) verbs='(lease|revoke)' ;;
    esac
    sed '/^\.Ss/q' "$M/broker-cli.1"
    awk -v start="^\\\\.It Cm $verbs( |$)" '/^\.(It Cm|S[sh]) /{on = $0 ~ start} on' "$M/broker-cli.1"
}
mapfile -t all < <(commands)
((${#all[@]} >= 30)) || die "only ${#all[@]} commands were read from broker-cli help"

# ---- bash
bash_offers() { # WORDS…, the last one as far as it is typed
    bash -c '. "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
        _broker_cli 2>/dev/null; printf "%s\n" "${COMPREPLY[@]}"' _ "$C/broker-cli.bash" "$@"
}
# ---- fish, where it is installed; else its text
fish_offers() {
    fish --no-config -c "source '$C/broker-cli.fish'; complete -C '$*'" 2>/dev/null | cut -f 1
}
has() { grep -qxF -- "$1"; }
for verb in $(verbs); do
    bash_offers broker-cli "$verb" | has "$verb" || miss "$verb in bash"
    grep -qE "^ +'?$verb:|'$verb:" "$C/_broker-cli" || miss "$verb in zsh"
    grep -qE "'$verb\|" "$C/broker-cli.fish" || miss "$verb in fish"
    grep -qE "^\.It Cm $verb( |$)" "$M/broker-cli.1" || miss "$verb in broker-cli.1"
done
for command in "${all[@]}"; do
    read -ra part <<<"$command"
    offered=$(bash_offers broker-cli "${part[@]}" --)
    options "${part[@]}" >"$T/known"
    [[ -s $T/known ]] || die "no options were read from: broker-cli $command --help"
    told=$(manual "${part[0]}")
    while read -r option; do
        has "$option" <<<"$offered" || miss "$command $option in bash"
        grep -q -- "$option\\[" "$C/_broker-cli" || miss "$command $option in zsh"
        grep -qE -- "(__broker_opt|-l) ${option#--} " "$C/broker-cli.fish" || miss "$command $option in fish"
        grep -qE -- "Fl -${option#--}( |$)" <<<"$told" || miss "$command $option in the manual"
    done <"$T/known"
    for option in $offered; do has "$option" <"$T/known" || miss "$command knows no $option, which bash offers"; done
    if ((${#part[@]} == 2)); then
        bash_offers broker-cli "${part[0]}" "${part[1]}" | has "${part[1]}" || miss "$command in bash"
        grep -qE "^ +${part[0]}\).*'1:word:\([a-z ]*\<${part[1]}\>" "$C/_broker-cli" || miss "$command in zsh"
        grep -qE "__broker_verb ${part[0]}' -a .*\<${part[1]}\>" "$C/broker-cli.fish" || miss "$command in fish"
        grep -qE "Cm (${part[0]} |.*, ${part[0]} )?${part[0]} ${part[1]}|lease revoke" "$M/broker-cli.1" || miss "$command in broker-cli.1"
    fi
done
for profile in $("$EXEC" --list-profiles | awk '{print $1}'); do
    bash_offers broker-exec --profile "$profile" | has "$profile" || miss "profile $profile in bash"
    grep -q "[( ]${profile}[ )]" "$C/_broker-cli" || miss "profile $profile in zsh"
    grep -q "[' ]${profile}[' ]" "$C/broker-cli.fish" || miss "profile $profile in fish"
    grep -qx ".It Cm $profile" "$M/broker-exec.1" || miss "profile $profile in broker-exec.1"
done
if command -v fish >/dev/null; then
    fish --no-execute "$C/broker-cli.fish" || miss "fish cannot read its completion"
    for command in "${all[@]}"; do
        offered=$(fish_offers "broker-cli $command --")
        read -ra part <<<"$command"
        for option in $(options "${part[@]}"); do has "$option" <<<"$offered" || miss "broker-cli $command $option, asked of fish"; done
    done
    fish_offers "broker-cli " | has enroll || miss "verbs, asked of fish"
    fish_offers "broker-exec --pro" | has --profile || miss "broker-exec, asked of fish"
fi
command -v zsh >/dev/null && { zsh -n "$C/_broker-cli" || miss "zsh cannot read its completion"; }
((bad == 0)) || die "$bad missing"
echo "${#all[@]} commands"
