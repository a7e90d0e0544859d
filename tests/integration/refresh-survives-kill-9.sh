#!/usr/bin/env bash
# kill -9 at every system call that the vault makes while it renews a login, against providers whose used refresh tokens still work for 30 s, for 2 s
# and not at all (a second use ends the whole login). After each kill and restart the login works, or the provider had rotated it and no answer was
# durable yet: then it is NEEDS_LOGIN, told, and never anything else. With a grace of 30 s no login is ever lost.
#   refresh-survives-kill-9.sh [--seconds N | --all] [--seed N]     default: as many points as fit 40 s. Needs root (to attach).
. "$(dirname "$0")/refresh.bash"
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
ROUND=0
new_login() { # GRACE: a provider with this grace, and a login of its own
    [[ -z ${IDP:-} ]] || stop_idp
    ROUND=$((ROUND + 1))
    : >"$RECORD"
    : >"$CONTROL"
    start_idp --life 3600 --grace "$1" --family ${PORT:+--port "$PORT"} --refresh "claude=$REFRESH-$ROUND"
    login 3600 "$REFRESH-$ROUND" >"$T/new.json"
}
put_login() { "$CLI" replace claude --yes --file "$T/new.json" >/dev/null 2>&1 || die "the login was not put"; }
PORT=
new_login 30
idp_config </dev/null
init_broker
enroll_login 3600
put_login

# which calls there are
strace -p "$(role_pid vault)" -o "$T/trace" 2>"$T/attached" &
TRACER=$!
eventually 5 grep -q attached "$T/attached" || die "strace does not attach"
"$CLI" refresh claude >/dev/null || die "it does not work undisturbed"
sleep 0.05
kill "$TRACER"
wait "$TRACER" 2>/dev/null || true
sed -n 's/^\([a-z0-9_]*\)(.*/\1/p' "$T/trace" | sort | uniq -c | while read -r n call; do
    case $call in restart_syscall | exit_group | rt_sigreturn) continue ;; esac
    for ((k = 1; k <= n; k++)); do for grace in 0 2 30; do echo "$grace $call:signal=SIGKILL:when=$k"; done; done
done >"$T/points"
awk -v seed="$seed" 'BEGIN { srand(seed) } { print rand() "\t" $0 }' "$T/points" | sort -g | cut -f 2 >"$T/drawn"

journal() { find "$STATE/refresh" -name '*.refresh' 2>/dev/null; }
raw_is_durable() { # there is an answer in the journal: its length stands at 4096
    local file
    file=$(journal)
    [[ -n $file ]] && (($(od -An -j 4096 -N 4 -t u1 "$file" 2>/dev/null | tr -d ' 0\n' | wc -c) > 0))
}
settled() { [[ -z $(journal) && $(show claude 'c["refresh"]["running"]') == False ]]; }
wrong() { die "grace $grace, $inject: $1; again with --seed $seed"; }
points=0 reached=0 lost=0 window=0 replayed=0
declare -A lost_with=([0]=0 [2]=0 [30]=0)
attempt() {
    local rotations version durable=no rotated=no tracer
    version=$(show claude 'c["version"]')
    rotations=$(refreshes 200)
    : >"$T/attached" # else what the last one said counts
    strace -p "$(role_pid vault)" -e "inject=$inject" -e "trace=${inject%%:*}" -o "$T/trace" 2>"$T/attached" &
    tracer=$!
    eventually 5 grep -q attached "$T/attached" || die "strace does not attach: $(<"$T/attached")"
    "$CLI" refresh claude >"$T/said" 2>&1 || true
    sleep 0.02
    kill "$tracer" 2>/dev/null || true
    { wait "$tracer" || true; } 2>/dev/null
    points=$((points + 1))
    if [[ -n $(role_pid vault) ]]; then return; fi # the point was not reached this time
    reached=$((reached + 1))
    kill_all
    if raw_is_durable; then durable=yes; fi
    if (($(refreshes 200) > rotations)); then rotated=yes; fi
    start_broker
    eventually 20 settled || wrong "it does not settle: $("$CLI" show claude --json)"
    if [[ $durable == yes ]]; then replayed=$((replayed + 1)); fi
    case $(show claude 'c["state"]') in
    ok)
        "$CLI" refresh claude >"$T/said" 2>&1 || wrong "it looks well and cannot be renewed: $(<"$T/said")"
        (($(show claude 'c["version"]') > version)) || wrong "nothing was renewed"
        ;;
    needs_login)
        lost=$((lost + 1))
        lost_with[$grace]=$((lost_with[$grace] + 1))
        [[ $grace != 30 ]] || wrong "lost although its provider is patient"
        [[ $rotated == yes && $durable == no ]] || wrong "lost outside of the window (rotated $rotated, answer durable $durable)"
        [[ $(show claude 'c["ended"]') == lost ]] || wrong "it does not say that the answer was lost: $(show claude 'c["ended"]')"
        grep -q "credential.needs_login credential=claude" "$T/log" || wrong "silently"
        now= # a new login for the next point
        ;;
    *) wrong "it is $(show claude 'c["state"]')" ;;
    esac
    if [[ $rotated == yes && $durable == no ]]; then window=$((window + 1)); fi
}
until=$((SECONDS + seconds)) now=
while read -r grace inject <&3; do
    ((SECONDS < until)) || break
    if [[ $now != "$grace" ]]; then
        new_login "$grace"
        put_login
        now=$grace
    fi
    attempt
done 3<"$T/drawn"
((reached >= 15)) || die "only $reached of $points points were reached"
echo "$reached kills of $(wc -l <"$T/points") points; $replayed answers replayed; $window kills between the provider's commit and a durable answer;" \
    "lost with grace 0 s: ${lost_with[0]}, 2 s: ${lost_with[2]}, 30 s: ${lost_with[30]}; seed $seed"
echo "$reached passed, 0 failed, 0 skipped"
