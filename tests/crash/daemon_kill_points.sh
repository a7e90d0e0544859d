#!/usr/bin/env bash
# Kills the running daemon's vault, or its audit writer, at every system call that it makes for an operation (enroll, replace, remove, rekey,
# lease, renew, revoke), and fails each of these calls with each error that it can give. After each: what was acknowledged is there, nothing
# is torn, the store opens, the log verifies. The kills are of the real programs; the errors need a build without the sandbox (made here when
# it is missing), because a call that strace fails is no call to the filter any more, and it kills.
#   daemon_kill_points.sh [--seconds N | --all] [--seed N]     default: as many points as fit 40 s. Needs root (to attach).
. "$(dirname "$0")/../integration/lib.bash" || exit 1
. "$ROOT/tests/integration/faults.bash"
seconds=40 seed=$RANDOM
while (($#)); do
    case $1 in
        --all) seconds=$((1 << 30)); shift ;;
        --seconds) seconds=$2; shift 2 ;;
        --seed) seed=$2; shift 2 ;;
        *) echo "usage: $0 [--seconds N | --all] [--seed N]" >&2; exit 2 ;;
    esac
done
need_root
command -v strace >/dev/null || skip "strace is not installed"
OPS=(enroll replace remove rekey lease renew revoke)

errors_of() {
    case $1 in
        write | pwrite64 | pwritev | pwritev2 | writev) echo EIO ENOSPC EDQUOT EFBIG EROFS EINTR ;;
        fsync | fdatasync | sync_file_range) echo EIO ENOSPC EDQUOT ;;
        renameat | renameat2 | mkdirat | unlinkat | rename) echo EIO ENOSPC EDQUOT EROFS ENOMEM ;;
        openat) echo EIO ENOSPC EMFILE ENFILE ENOMEM EROFS ;;
        pread64 | read | getdents64) echo EIO EINTR ;;
        mmap | brk) echo ENOMEM ;;
        epoll_wait | ppoll | poll | recvmsg | sendmsg) echo EINTR ENOMEM ;;
        ftruncate | fallocate) echo EIO ENOSPC EFBIG EINTR ;;
        flock) echo ENOLCK EINTR ;;
        fcntl | dup | dup3 | pidfd_open | epoll_ctl) echo EMFILE ENOMEM ;;
        fchmod | newfstatat | fstat) echo EIO ;;
    esac
}

# ---- asking
coproc CHANGES { exec "$PYTHON" -IS "$ROOT/tests/crash/changes.py" "$RUN" "$T/model" serve 2>&1; }
PIDS+=("$CHANGES_PID")
ask() { # OP or check: the answer in SAID
    echo "$1" >&"${CHANGES[1]}"
    SAID=
    read -r -t 40 SAID <&"${CHANGES[0]}" || true
}
attach() { # ROLE ARGUMENTS…: strace on it; TRACER
    : >"$T/attached"
    strace -p "$(role_pid "$1")" "${@:2}" 2>"$T/attached" &
    TRACER=$!
    eventually 5 grep -q attached "$T/attached" || die "strace does not attach: $(cat "$T/attached")"
}
detach() {
    kill "$TRACER" 2>/dev/null || true
    { wait "$TRACER" || true; } 2>/dev/null
}

real=$DAEMON bare=$BUILD/bare/brokerd
make -C "$ROOT" --no-print-directory B="$BUILD/bare" HARD="-O1 -g -fPIE -DBROKER_NO_SANDBOX" LINK=-pie "$bare" "$bare-api" >"$T/make" 2>&1 ||
    die "the build without a sandbox: $(tail -n 5 "$T/make")"
restart_as() { # PROGRAM
    DAEMON=$1
    kill_all
    start_broker
}

# ---- which calls there are: OP ROLE CALL TIMES
measure() { # OP ROLE
    attach "$2" -o "$T/trace"
    ask "$1"
    [[ $SAID == ok ]] || die "$1 does not work undisturbed: $SAID"
    sleep 0.05
    detach
    # some of these are a timer's, and come or not in the next run: then the point is passed without being reached
    sed -n 's/^\([a-z0-9_]*\)(.*/\1/p' "$T/trace" | sort | uniq -c | while read -r n call; do
        case $call in restart_syscall | exit_group | rt_sigreturn) continue ;; esac
        echo "$1 $2 $call $n"
    done
}
init_broker
for name in c0 c1 c2 c3; do consumer gateway "$name" secret --ttl 1h 2>/dev/null; done
for _ in 1 2 3; do ask enroll; done
ask lease
rekeyed() { (($(od -An -j 7 -N 1 -t u1 "$STATE/keys") == 0)); }
for role in vault audit; do
    for op in "${OPS[@]}"; do
        eventually 5 rekeyed || die "a rekey does not end"
        measure "$op" "$role"
    done
done >"$T/calls"
while read -r op role call n; do
    for ((k = 1; k <= n; k++)); do
        echo "$op $role $call:signal=SIGKILL:when=$k"
        for e in $(errors_of "$call"); do echo "$op $role $call:error=$e:when=$k"; done
    done
done <"$T/calls" >"$T/points"
# a dose is drawn by chance, from a seed that the last line tells
awk -v seed="$seed" 'BEGIN { srand(seed) } { print rand() "\t" $0 }' "$T/points" | sort -g | cut -f 2 >"$T/drawn"

# ---- doing
passed=0 kills=0 errors=0 reached=0
wrong() { # what comes after a finding would be judged by a broken state
    tail -n 3 "$T/trace"
    die "$op, $role $inject: $1; $passed points were good; again with --seed $seed"
}
attempt() {
    if [[ $inject == *error=* && $DAEMON == "$real" ]]; then restart_as "$bare"; fi
    if [[ $inject == *SIGKILL* && $DAEMON == "$bare" ]]; then restart_as "$real"; fi
    attach "$role" -e "inject=$inject" -e "trace=${inject%%:*}" -y -o "$T/trace"
    ask "$op"
    [[ $SAID == ok || $SAID == gone || $SAID == refused* ]] || wrong "$op: ${SAID:-no answer}"
    detach
    if grep -q 'INJECTED\|SIGKILL' "$T/trace"; then reached=$((reached + 1)); fi
    # what a descriptor in memory can never say (an eventfd: EROFS) may end a process, but loses nothing either
    if ! grep -qE 'INJECTED|<detached' "$T/trace" || grep -E 'INJECTED|<detached' "$T/trace" | grep -qF "<$STATE"; then elsewhere=; else elsewhere=1; fi
    if [[ -z $elsewhere ]] && [[ $inject == *error=* || $role == audit ]] && kill -0 "$BROKER" 2>/dev/null && [[ -n $(role_pid vault) ]]; then
        # it lives on: by itself, and with the same answers as after a restart
        eventually 5 "$CLI" status || wrong "it does not answer any more"
        eventually 5 healthy || wrong "it does not become healthy: $("$CLI" status | grep audit)"
        ask check
        [[ $SAID == checked ]] || wrong "while it runs: ${SAID:-no answer}"
    fi
    kill_all
    start_broker
    state_is ready || wrong "$("$CLI" status | head -n 1)"
    ask check
    [[ $SAID == checked ]] || wrong "${SAID:-no answer}"
    "$CLI" audit verify --dir "$STATE/log" --key "$STATE/log/auditor.key" >"$T/verify" 2>&1 || wrong "the log: $(cat "$T/verify")"
    passed=$((passed + 1))
    if [[ $inject == *error=* ]]; then errors=$((errors + 1)); else kills=$((kills + 1)); fi
}
healthy() { "$CLI" status | grep -q 'audit *ok'; }
until=$((SECONDS + seconds))
while read -r op role inject <&3; do
    ((SECONDS < until)) || break
    attempt
done 3<"$T/drawn"
((passed >= 20)) || die "only $passed points were tried"
((reached * 2 >= passed)) || die "only $reached of $passed points were reached"
echo "$kills kills, $errors errors, $reached of them reached; of $(wc -l <"$T/points") points; seed $seed; $(changes count)"
echo "$passed passed, 0 failed, 0 skipped"
