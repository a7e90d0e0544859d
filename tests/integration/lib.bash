# Shared by the integration tests: a broker of one's own in private directories, ended by pid, nothing left behind.
# shellcheck shell=bash disable=SC2034
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
BUILD=${BUILD:-$ROOT/build}
CLI=$BUILD/broker-cli EXEC=$BUILD/broker-exec DAEMON=$BUILD/brokerd
LOGINS=$ROOT/tests/fake/logins
PIDS=()
# tmpfs, because file delivery wants one, and short, because sun_path is
T=$(mktemp -d /dev/shm/cb.XXXXXX)
chmod 711 "$T"
STATE=$T/s RUN=$T/r CONFIG=$T/c/broker.yaml
mkdir -m 755 "$T/c"
# as root the broker runs in system mode, as a user that exists everywhere
SYSTEM_USER=daemon
unset CREDENTIAL_BROKER_SOCKET CREDENTIAL_BROKER_RUN CREDENTIAL_BROKER_STATE CREDENTIAL_BROKER_CONFIG \
    CREDENTIAL_BROKER_CONSUMER ANTHROPIC_API_KEY OPENAI_API_KEY GEMINI_API_KEY
export CREDENTIAL_BROKER_RUN=$RUN

cleanup() {
    local status=$? pid
    for pid in "${PIDS[@]}"; do kill "$pid" 2>/dev/null || true; done
    for pid in "${PIDS[@]}"; do wait "$pid" 2>/dev/null || true; done
    ((status == 0 || status == 77)) || { echo "--- broker log"; tail -n 40 "$T/log" 2>/dev/null || true; }
    rm -rf "$T"
    exit "$status"
}
trap cleanup EXIT

skip() { echo "$*"; exit 77; }
die() { echo "FAIL: $*" >&2; exit 1; }
need_root() { ((EUID == 0)) || skip "needs root"; }
# expect_fail EXIT_CODE PATTERN CMD…: the command fails with this code and says this
expect_fail() {
    local want=$1 pattern=$2 out code=0
    shift 2
    out=$("$@" 2>&1 </dev/null) || code=$?
    [[ $code == "$want" ]] || die "$* gave exit $code, not $want: $out"
    grep -qE -- "$pattern" <<<"$out" || die "$* said: $out (expected $pattern)"
}
eventually() { # SECONDS CMD…
    local until=$((${EPOCHREALTIME/./} + $1 * 1000000))
    shift
    until "$@" >/dev/null 2>&1; do
        ((${EPOCHREALTIME/./} < until)) || return 1
        sleep 0.02
    done
}

start_broker() { # extra arguments of brokerd
    local args=(--state "$STATE" --run "$RUN" --config "$CONFIG")
    if ((EUID == 0)); then args+=(--user "$SYSTEM_USER"); fi
    "$DAEMON" "${args[@]}" "$@" >>"$T/log" 2>&1 &
    BROKER=$!
    PIDS+=("$BROKER")
    # the old socket file may still be there: up means that it answers
    eventually 10 "$CLI" status || die "the broker did not come up"
}
stop_broker() {
    kill "$BROKER"
    wait "$BROKER" || true
}
crash_broker() { # kill -9 of every process of it at once
    local all
    all="$BROKER $(pgrep -P "$BROKER" | tr '\n' ' ')"
    # shellcheck disable=SC2086
    kill -9 $all 2>/dev/null || true
    wait "$BROKER" 2>/dev/null || true
    sleep 0.2
}
init_broker() { # a key file is the quickest source
    start_broker "$@"
    "$CLI" init --key keyfile --path "$STATE/master.key" >/dev/null
}
vault_pid() { pgrep -P "$BROKER" -f -- '--role=vault'; }
consumer() { # NAME CREDENTIAL DELIVERIES [extra grant arguments]
    local name=$1 credential=$2 deliver=$3
    shift 3
    "$CLI" consumer show "$name" >/dev/null 2>&1 || "$CLI" consumer add "$name" >/dev/null
    "$CLI" grant "$name" "$credential" --deliver "$deliver" "$@" >/dev/null
}
sock() { echo "$RUN/$1/broker.sock"; }
# call CONSUMER METHOD PATH [JSON] [TOKEN]: prints "STATUS BODY"
call() {
    python3 - "$(sock "$1")" "${@:2}" <<'PY'
import http.client, socket, sys
class Unix(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=20)
        self.path = path
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        self.sock.connect(self.path)
args = sys.argv[1:] + [""] * 3
c = Unix(args[0])
headers = {"Content-Type": "application/json"} if args[3] else {}
if args[4]:
    headers["Authorization"] = "Bearer " + args[4]
c.request(args[1], args[2], args[3] or None, headers)
r = c.getresponse()
print(r.status, r.read().decode())
PY
}
field() { python3 -c 'import json,sys; v=json.loads(sys.stdin.read().split(" ",1)[1])
for k in sys.argv[1].split("."): v=v[int(k)] if isinstance(v,list) else v[k]
print("" if v is None else v)' "$1"; }
