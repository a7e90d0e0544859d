#!/usr/bin/env bash
# brokerd-oauth as it is: a refresh over TLS with a CA of one's own and by name; strangers' certificates, plain http, redirects, floods and silence
# give no answer; while it works it has its filter, no way to files, and no secret in argv or environment.
. "$(dirname "$0")/promise.bash"
TOKEN=sk-ant-ort01-FAKE-planted-refresh
ACCESS=sk-ant-oat01-FAKE-planted-access
${CC:-gcc} -std=gnu17 -D_GNU_SOURCE -O1 -Wall -Wextra -Werror -I"$ROOT/include" -I"$ROOT/broker" "$ROOT/tests/integration/oauth_ask.c" \
    -Wl,--start-group "$BUILD/libprovider.a" "$BUILD/libbase.a" -Wl,--end-group -lcyaml -lyaml -lsodium -ljansson -o "$T/ask"
export OAUTH_ASK_TOKEN=$TOKEN
LOOPBACK=2

certificate() { # NAME: its own authority, good for localhost
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=$1" -addext "subjectAltName=DNS:localhost" \
        -keyout "$T/$1.key" -out "$T/c/$1.pem" 2>/dev/null
}
provider() { # arguments of provider.py; its port in PORT
    rm -f "$T/port"
    python3 "$ROOT/tests/fake/provider.py" --expect "claude=$ACCESS" --refresh "claude=$TOKEN" "$@" >"$T/port" &
    PIDS+=($!)
    eventually 10 test -s "$T/port" || die "the fake provider did not come up"
    PORT=$(<"$T/port")
}
ask() { # URL CA FLAGS
    said=$("$T/ask" "$BUILD/brokerd-oauth" "$CONFIG" "$1" "${2:-}" "${3:-0}" 2>&1) || said+=" (exit $?)"
}

certificate ours
certificate theirs
provider --tls "$T/c/ours.pem" "$T/ours.key"
ask "https://localhost:$PORT/v1/oauth/token" "$T/c/theirs.pem"
holds "a certificate of another authority is refused, said: $said" begins "$said" "unavailable 0 localhost: SSL peer certificate"
ask "https://localhost:$PORT/v1/oauth/token"
holds "and so is one of an authority that the system does not know: $said" begins "$said" "unavailable 0 localhost: SSL peer certificate"
ask "https://127.0.0.1:$PORT/v1/oauth/token" "$T/c/ours.pem"
holds "and one for another name: $said" begins "$said" "unavailable 0 127.0.0.1: SSL peer certificate"
cp "$T/c/ours.pem" "$T/outside.pem"
if python3 -c 'import ctypes, sys; sys.exit(ctypes.CDLL(None).syscall(444, None, 0, 1) < 1)'; then # Landlock
    ask "https://localhost:$PORT/v1/oauth/token" "$T/outside.pem"
    holds "a file beside no configuration cannot be read: $said" begins "$said" "unavailable 0 localhost: "
else
    leave_out 1 "this kernel has no Landlock"
fi
ask "https://localhost:$PORT/v1/oauth/token" "$T/c/ours.pem"
holds "with its own authority it is served, said: $said" is "$said" "ok 200 0 ${ACCESS}r1"
ask "https://localhost:$PORT/v1/oauth/token" "$T/c/ours.pem"
holds "the same refresh token again is refused, said: $said" is "$said" "ok 400 4 "

provider
ask "http://127.0.0.1:$PORT/v1/oauth/token"
holds "without TLS nothing is asked, said: $said" begins "$said" "invalid 0 127.0.0.1 is not asked without TLS"
ask "http://localhost:$PORT/v1/oauth/token" "" $LOOPBACK
holds "but where loopback was allowed, said: $said" is "$said" "ok 200 0 ${ACCESS}r1"

# what it can do while it works
provider
"$T/ask" "$BUILD/brokerd-oauth" "$CONFIG" "http://127.0.0.1:$PORT/v1/oauth/token" "" $LOOPBACK 2 >"$T/said" 2>&1 &
PIDS+=($!)
eventually 5 grep -q "ok 200" "$T/said" || die "it does not answer: $(<"$T/said")"
pid=$(head -n 1 "$T/said")
holds "it has a seccomp filter" is "$(sed -n 's/^Seccomp:\t//p' "/proc/$pid/status")" 2
holds "and no new privileges" is "$(sed -n 's/^NoNewPrivs:\t//p' "/proc/$pid/status")" 1
holds "and no capability" is "$(sed -n 's/^CapEff:\t//p' "/proc/$pid/status")" 0000000000000000
holds "it is one thread" is "$(sed -n 's/^Threads:\t//p' "/proc/$pid/status")" 1
holds "no secret is in its arguments" refused grep -aq FAKE "/proc/$pid/cmdline"
wait "${PIDS[-1]}" || die "the helper failed: $(<"$T/said")"
holds "and it ends well" grep -q "ok 200 0 ${ACCESS}r1" "$T/said"
tally
