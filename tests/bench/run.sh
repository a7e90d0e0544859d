#!/usr/bin/env bash
# The benchmark: our figures beside those of oidc-agent, munged and a bare libmicrohttpd, in the same run, in turn (A B A B …), and
# against the bars we set ourselves. Prints one table, keeps it in build/bench/report.txt. A missed bar is told and fails nothing.
#   QUICK=1   short runs, 10,000 credentials (under 90 s; the whole takes under 6 min)      BENCH_DISK=DIR   where the states lie
# One client at a time shares one core with its server, whoever that is (latency); many clients and their server have all cores.
. "$(dirname "$0")/../integration/lib.bash"
B=$BUILD/bench HTTP=$BUILD/bench/http_bench
QUICK=${QUICK:-${Q:-}}
if [[ $QUICK ]]; then ROUNDS=3 SECONDS_EACH=0.5 STARTS=5 SPAWNS=60 MANY=10000; else ROUNDS=5 SECONDS_EACH=1.5 STARTS=9 SPAWNS=200 MANY=100000; fi
read -r ONE ALL < <(python3 -c 'import os; c = sorted(os.sched_getaffinity(0)); print(c[-1], ",".join(map(str, c)))')
: >"$B/failures" # what the first failed request of a run was answered
DISK=$(mktemp -d "${BENCH_DISK:-$B}/state.XXXXXX")
chmod 711 "$DISK"
SAMPLES=$DISK/samples
LEASE=(-m POST -u /v1/leases -b '{"credential":"claude"}')
declare -A SOCK SERVERS
AGENT_PID=
ended() {
    local status=$? pid
    [[ -z $AGENT_PID ]] || kill "$AGENT_PID" || true
    for pid in "${PIDS[@]}"; do kill "$pid" 2>/dev/null || true; done
    for pid in "${PIDS[@]}"; do wait "$pid" 2>/dev/null || true; done
    rm -rf "$DISK" || true
    (exit "$status")
    cleanup
}
trap ended EXIT

say() { printf '  %-5s %s\n' BENCH "$*" >&2; }
# sample KEY LINE: keeps each word of the form name=value as KEY.name value
sample() {
    local word
    for word in $2; do
        [[ $word != *=* ]] || echo "$1.${word%%=*} ${word#*=}" >>"$SAMPLES"
    done
}
# load KEY CORES http_bench arguments: one run, with the CPU time of the servers that KEY ends in the name of; all of them on these cores
load() {
    local key=$1 cores=$2 name=${1##*.} line pid pids=()
    shift 2
    for pid in ${SERVERS[$name]}; do pids+=(-p "$pid"); taskset -acp "$cores" "$pid" >/dev/null; done
    line=$(taskset -c "$cores" "$HTTP" -s "${SOCK[$name]}" -t "$SECONDS_EACH" "${pids[@]}" "$@" 2>>"$B/failures") || say "$key: $line"
    sample "$key" "$line"
}

# ---- brokers, each with directories of its own

place() {
    STATE=$DISK/$1 RUN=$T/$1 CONFIG=$T/c/$1.yaml
    export CREDENTIAL_BROKER_RUN=$RUN
}
configure() { # NAME SYNC: what follows on stdin are the grants
    place "$1"
    {
        printf 'audit: { sync: %s, max_bytes: 1G }\nconsumers:\n  - name: gw\n    max_leases: 65000\n' "$2"
        printf '    peer: { uid: [%s] }\n    grants:\n' "$EUID"
        cat
    } >"$CONFIG"
}
claude_grant() { printf '      - { credential: claude, deliver: [access_token], ttl: 1s }\n'; }
key_grants() { local i; for i in 0 1 2 3 4 5 6 7 8 9; do printf '      - { credential: k-%05d, deliver: [secret], ttl: 1s }\n' $((i * MANY / 10)); done; }
made() { # NAME: initialised and with the fake login, running
    place "$1"
    init_broker
    "$CLI" enroll claude --provider claude <"$LOGINS/claude.json" >/dev/null 2>&1
    known "$1"
}
known() { # NAME: of the running broker
    SOCK[$1]=$(sock gw)
    SERVERS[$1]="$(pgrep -P "$BROKER" -x brokerd-vault) $(pgrep -P "$BROKER" -x brokerd-api | head -n 1) $(pgrep -P "$BROKER" -x brokerd-audit)"
}
daemon_command() {
    COMMAND=("$DAEMON" --state "$STATE" --run "$RUN" --config "$CONFIG" --log-level error)
    if ((EUID == 0)); then COMMAND+=(--user "$SYSTEM_USER"); fi
}
first_leases() { # KEY BODY: starts and ends, on the state that place() chose
    local i
    daemon_command
    for ((i = 0; i < STARTS; i++)); do
        sample "$1" "$("$B/start_bench" lease "$(sock gw)" "$2" -- "${COMMAND[@]}" 2>>"$T/log")"
    done
}
filled() { # NAME FROM TO STEP: credentials k-… into the store of a broker that is not running
    place "$1"
    chown -R "$EUID" "$STATE"
    "$B/store_fill" "$STATE" "$2" "$3" "$4" >/dev/null
    if ((EUID == 0)); then chown -R "$SYSTEM_USER:" "$STATE"; fi
}

# ---- the peers

start_oidc_agent() {
    local home=$DISK/oidc out
    mkdir -p "$home/.config"
    python3 "$ROOT/tests/bench/fake_oidc.py" "$home" &
    PIDS+=($!)
    eventually 10 test -e "$home/issuer" || die "the fake provider did not come up"
    out=$(HOME=$home OIDC_CONFIG_DIR=$home/.config oidc-agent -a "$T/oidc.sock" --json)
    AGENT_PID=$(grep -oE '"dpid"[^0-9]*[0-9]+' <<<"$out" | grep -oE '[0-9]+')
    echo bench >"$home/pw"
    HOME=$home OIDC_CONFIG_DIR=$home/.config OIDC_SOCK=$T/oidc.sock timeout 30 oidc-gen bench -m --issuer="$(<"$home/issuer")" \
        --client-id=c --client-secret=s --rt=bench --flow=refresh --scope="openid offline_access" --redirect-uri=http://localhost:8080 \
        --cp="$home/cert.pem" --pw-file="$home/pw" --prompt=none --confirm-yes --no-url-call >"$home/gen.log" 2>&1 </dev/null ||
        die "oidc-gen: $(<"$home/gen.log")"
    SOCK[oidc]=$T/oidc.sock
    SERVERS[oidc]="$AGENT_PID $(pgrep -P "$AGENT_PID" || true)"
}
start_munged() {
    local dir=$T/munge
    mkdir -m 711 "$dir"
    head -c 1024 /dev/urandom >"$dir/key"
    chmod 600 "$dir/key"
    munged --foreground --force --key-file="$dir/key" --socket="$dir/sock" --pid-file="$dir/pid" \
        --log-file="$dir/log" --seed-file="$dir/seed" >"$dir/out" 2>&1 &
    MUNGED=$!
    PIDS+=("$MUNGED")
    eventually 10 test -S "$dir/sock" || die "munged: $(<"$dir/out")"
}
start_floor() {
    "$B/mhd_floor" "$T/floor.sock" >/dev/null &
    PIDS+=($!)
    SERVERS[floor]=$! SOCK[floor]=$T/floor.sock
    eventually 5 test -S "$T/floor.sock"
}

# ---- what is measured

idle() { # PSS of all processes of one broker that serves nobody; alone, so that nothing is shared with another one
    local pid sum=0 n=0
    sleep 0.5
    ((EUID == 0)) || { say "memory is not measured: only root may look into these processes"; return; }
    for pid in "$BROKER" $(pgrep -P "$BROKER"); do
        sum=$((sum + $(awk '/^Pss:/ { print $2 }' "/proc/$pid/smaps_rollup"))) n=$((n + 1))
    done
    sample idle "pss_kb=$sum processes=$n"
}
programs() { # what starting a program through broker-exec costs, and a call of broker-cli
    export CREDENTIAL_BROKER_SOCKET=${SOCK[release]}
    sample exec "$("$B/start_bench" pair "$SPAWNS" -- /bin/true -- "$EXEC" --profile env --credential claude -- /bin/true)"
    sample cli "$("$B/start_bench" pair "$SPAWNS" -- /bin/true -- "$CLI" token claude --deliver access_token)"
    unset CREDENTIAL_BROKER_SOCKET
    sample exec "bytes=$(stat -c %s "$EXEC")"
}
round() {
    local n
    for n in oidc release every 100ms; do
        if [[ $n == oidc ]]; then how=(-j -b '{"request":"access_token","account":"bench","min_valid_period":60}'); else how=("${LEASE[@]}"); fi
        load "one.$n" "$ONE" -x -c 1 "${how[@]}"
        load "many.$n" "$ALL" -x -c 16 "${how[@]}"
    done
    sample munge "$(taskset -c "$ALL" "$B/munge_bench" "$T/munge/sock" 16 "$SECONDS_EACH" "$MUNGED")"
    load issue.100ms "$ALL" -c 16 "${LEASE[@]}"
    for n in release 100ms; do load "durable.$n" "$ALL" -c 64 "${LEASE[@]}"; done
    for n in floor release; do load "whoami.$n" "$ONE" -c 1; done
    load size.ten "$ONE" -c 1 -n 10 -k $((MANY / 10)) -m POST -u /v1/leases -b '{"credential":"k-#####"}'
    load size.many "$ONE" -c 1 -n 10 -k $((MANY / 10)) -m POST -u /v1/leases -b '{"credential":"k-#####"}'
    sample verify "$("$B/verify_bench" 100000)"
}

[[ $(stat -f -c %T "$DISK") != tmpfs ]] || say "$DISK is on tmpfs: durable figures say nothing (BENCH_DISK=DIR)"
say "one broker alone: memory and start"
claude_grant | configure release release
made release
idle
stop_broker
first_leases start '{"credential":"claude"}'
say "$MANY credentials"
key_grants | configure many 100ms
made many
stop_broker
filled many 0 "$MANY" 1
first_leases start_many '{"credential":"k-00000"}'
say "brokers and peers"
key_grants | configure ten 100ms
made ten
stop_broker
filled ten 0 "$MANY" $((MANY / 10))
claude_grant | configure every every
claude_grant | configure 100ms 100ms
made every
made 100ms
for n in release ten many; do
    place "$n"
    start_broker
    known "$n"
done
start_oidc_agent
start_munged
start_floor
programs
for ((i = 1; i <= ROUNDS; i++)); do
    say "round $i of $ROUNDS"
    round
done
python3 "$ROOT/tests/bench/report.py" "$SAMPLES" "$MANY" "$(git -C "$ROOT" rev-parse --short HEAD 2>/dev/null || echo unknown)" \
    "$(findmnt -n -o FSTYPE -T "$DISK")" "$ROUNDS x $SECONDS_EACH s" | tee "$B/report.txt"
