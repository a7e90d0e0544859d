#!/usr/bin/env bash
# broker-cli is killed at every system call of a transfer and of a release: the login is in at least one place after each and never in use in two,
# the same command once more finishes it, and then it is in exactly one, whole. Nothing is left over beside it: no second copy, no lock that the program waits for.
# The same where one of its calls fails with an error that it can give.
#   transfer-is-kill-safe.sh [--every N]     every Nth point only; a dose of about 80 when not given
. "$(dirname "$0")/transfer.bash" || exit 1
every=
[[ ${1:-} != --every ]] || every=$2
command -v strace >/dev/null || skip "strace is not installed"
init_broker
kills=0 errors=0

errors_of() {
    case $1 in
        write | pwrite64) echo EIO ENOSPC EDQUOT ;;
        fsync) echo EIO ENOSPC ;;
        renameat | renameat2) echo EIO ENOSPC EROFS EXDEV ;;
        mkdir | rmdir | unlinkat | ftruncate | fchmod) echo EIO EROFS ;;
        openat) echo EMFILE EACCES ;;
        connect | recvfrom | recvmsg) echo ECONNRESET ;; # not of a send: the answer would be waited for, as it must
        flock) echo ENOLCK ;;
        read | pread64 | newfstatat | fstat | poll) echo EIO ;;
    esac
}
# one injection a line: each system call of a command killed, and failed in each way
points() { # COMMAND…
    local name k e
    strace -f -o "$T/trace" "$@" >/dev/null 2>&1 || die "it fails without a fault: $*"
    awk '{ sub(/^[0-9]+ +/, ""); name = $0; sub(/\(.*/, "", name); if (name !~ /^[a-z0-9_]+$/) next; print name, ++n[name] }' "$T/trace" | while read -r name k; do
        echo "$name:signal=SIGKILL:when=$k"
        for e in $(errors_of "$name"); do echo "$name:error=$e:when=$k"; done
    done
}
disturbed() { # INJECTION COMMAND…
    local status=0
    { strace -f -o /dev/null -e "inject=$1" "${@:2}" >"$T/out" 2>&1 || status=$?; } 2>/dev/null
    case $1 in
    *SIGKILL*)
        kills=$((kills + 1))
        ((status == 0 || status == 137)) || die "$1: ended with $status: $(cat "$T/out")"
        ;;
    *)
        errors=$((errors + 1))
        ((status < 128)) || die "$1: ended with $status: $(cat "$T/out")"
        ;;
    esac
}
nothing_left() { # PROGRAM
    local left
    left=$(find "$H" \( -name '*.lock' -type d \) -o -name '*.tmp-*' -o -name '.broker-lock-*')
    [[ -z $left ]] || die "$where: left over: $left"
}
reset() {
    fresh_home
    "$CLI" remove "$1" --yes >/dev/null 2>&1 || true
    "$CLI" revoke-grant "home-$UID" "$1" >/dev/null 2>&1 || true
}

for program in claude codex; do
    reset "$program"
    mapfile -t all < <(points "$CLI" enroll --from-home "$program" --home "$H" --yes)
    step=${every:-$((${#all[@]} / 20 + 1))}
    for ((i = RANDOM % step; i < ${#all[@]}; i += step)); do
        where="$program, taken over, with ${all[i]}"
        reset "$program"
        disturbed "${all[i]}" "$CLI" enroll --from-home "$program" --home "$H" --yes
        in_home "$program" || in_broker "$program" || die "$where: the login is lost"
        one_owner "$program" || die "$where: it has two owners"
        take "$program" >"$T/out" 2>&1 || die "$where: once more fails: $(cat "$T/out")"
        in_broker "$program" || die "$where: the broker is without it"
        ! in_home "$program" || die "$where: it is in two places"
        [[ $(state_of "$program") == ok ]] || die "$where: the broker does not use it: $(state_of "$program")"
        nothing_left
        give_back "$program" >"$T/out" 2>&1 || die "$where: it does not come back: $(cat "$T/out")"
        cmp -s "$H/${LOGIN_FILE[$program]}" "$LOGINS/$program.json" || die "$where: it came back changed"
    done

    reset "$program"
    take "$program" >/dev/null 2>&1
    mapfile -t all < <(points "$CLI" release "$program" --home "$H" --yes)
    step=${every:-$((${#all[@]} / 20 + 1))}
    for ((i = RANDOM % step; i < ${#all[@]}; i += step)); do
        where="$program, given back, with ${all[i]}"
        reset "$program"
        take "$program" >/dev/null 2>&1
        disturbed "${all[i]}" "$CLI" release "$program" --home "$H" --yes
        in_home "$program" || in_broker "$program" || die "$where: the login is lost"
        one_owner "$program" || die "$where: it has two owners"
        # where it was done already there is nothing to give back any more
        give_back "$program" >"$T/out" 2>&1 || grep -q not_found "$T/out" || grep -q 'nothing of that name' "$T/out" || die "$where: once more fails: $(cat "$T/out")"
        cmp -s "$H/${LOGIN_FILE[$program]}" "$LOGINS/$program.json" || die "$where: it came back changed"
        ! in_broker "$program" || die "$where: it is in two places"
        nothing_left
    done
done
"$CLI" audit verify --dir "$STATE/log" --key "$STATE/log/auditor.key" >/dev/null || die "the log does not verify"
echo "$kills kills, $errors errors"
