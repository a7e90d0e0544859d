#!/usr/bin/env bash
# The vault is killed at system calls that it makes for a transfer and for a release: after the restart the login is in at least one place and never
# in use in two, what broker-cli was answered is so, and the same command once more finishes it, whole.
#   transfer-survives-the-vault.sh [KILLS]     of each of the two; default 15
. "$(dirname "$0")/transfer.bash" || exit 1
. "$(dirname "$0")/faults.bash"
KILLS=${1:-15}
need_root # to attach
command -v strace >/dev/null || skip "strace is not installed"
init_broker
program=claude reached=0

attach() { # ARGUMENTS…: strace on the vault; TRACER
    : >"$T/attached"
    strace -p "$(role_pid vault)" "$@" 2>"$T/attached" &
    TRACER=$!
    eventually 5 grep -q attached "$T/attached" || die "strace does not attach: $(cat "$T/attached")"
}
detach() {
    kill "$TRACER" 2>/dev/null || true
    { wait "$TRACER" || true; } 2>/dev/null
}
reset() {
    fresh_home
    "$CLI" remove "$program" --yes >/dev/null 2>&1 || true
    "$CLI" revoke-grant "home-$UID" "$program" >/dev/null 2>&1 || true
}
prepare() { # enroll | release
    reset
    [[ $1 == enroll ]] || take "$program" >/dev/null 2>&1
}
act() { if [[ $1 == enroll ]]; then take "$program"; else give_back "$program"; fi; }
# the calls of the vault, "NAME COUNT" a line, that matter: what it only waits with is left out
points() {
    prepare "$1"
    attach -o "$T/trace"
    act "$1" >/dev/null 2>&1 || die "$1 fails without a fault"
    detach
    awk '{ sub(/\(.*/, ""); if ($0 ~ /^[a-z0-9_]+$/ && $0 !~ /^(epoll_wait|restart_syscall|rt_sig|exit)/) print $0, ++n[$0] }' "$T/trace"
}
for op in enroll release; do
    mapfile -t all < <(points "$op" | shuf)
    for ((i = 0; i < KILLS && i < ${#all[@]}; i++)); do
        read -r name count <<<"${all[i]}"
        where="$op, the vault killed at $name $count"
        prepare "$op"
        attach -o /dev/null -e "inject=$name:signal=SIGKILL:when=$count"
        answered=1
        act "$op" >"$T/out" 2>&1 || answered=
        detach
        role_pid vault >/dev/null || reached=$((reached + 1))
        kill_all 2>/dev/null || true
        start_broker
        state_is ready || die "$where: $("$CLI" status | head -n 1)"
        in_home "$program" || in_broker "$program" || die "$where: the login is lost: $(cat "$T/out")"
        one_owner "$program" || die "$where: it has two owners: $("$CLI" show "$program")"
        if [[ $op == enroll ]]; then
            [[ -z $answered ]] || { in_broker "$program" && ! in_home "$program"; } || die "$where: it was said to be done"
            take "$program" >"$T/out" 2>&1 || die "$where: once more fails: $(cat "$T/out")"
            ! in_home "$program" && [[ $(state_of "$program") == ok ]] || die "$where: it is not taken over"
            give_back "$program" >"$T/out" 2>&1 || die "$where: it does not come back: $(cat "$T/out")"
        else
            [[ -z $answered ]] || { in_home "$program" && ! in_broker "$program"; } || die "$where: it was said to be done"
            give_back "$program" >"$T/out" 2>&1 || grep -q 'nothing of that name' "$T/out" || die "$where: once more fails: $(cat "$T/out")"
        fi
        cmp -s "$H/${LOGIN_FILE[$program]}" "$LOGINS/$program.json" || die "$where: it came back changed"
        ! in_broker "$program" || die "$where: it is in two places"
    done
done
verify_log
((reached * 2 >= KILLS)) || die "only $reached kills came about"
echo "$((2 * KILLS)) points, $reached reached"
