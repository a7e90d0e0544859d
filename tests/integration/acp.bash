# For the tests of broker-exec --acp: a broker whose data plane goes to the fake provider, an API key, and the fake adapter and client.
# shellcheck shell=bash disable=SC2034
. "$(dirname "${BASH_SOURCE[0]}")/promise.bash" || exit 1
KEY=sk-ant-api03-FAKE-planted-0123456789abcdefghijklmnopqrstuv
RECORD=$T/record
install -m 644 "$ROOT/tests/fake/acp_client.py" "$T/py/"
install -m 755 "$ROOT/tests/fake/acp_adapter.py" "$T/py/"
export EXEC CLI PYTHON ADAPTER=$T/py/acp_adapter.py T RECORD KEY RUN
start_model() { # the provider, the broker, and the consumer gateway with the grant's arguments given
    : >"$RECORD"
    "$PYTHON" "$ROOT/tests/fake/provider.py" --expect "anthropic=$KEY" --record "$RECORD" >"$T/port" &
    PIDS+=($!)
    eventually 10 test -s "$T/port" || die "the fake provider did not come up"
    echo "upstreams: [{ provider: anthropic, origin: \"http://127.0.0.1:$(<"$T/port")\", private: true }]" >"$CONFIG"
    init_broker
    "$CLI" enroll key --provider anthropic <<<"$KEY" >/dev/null 2>&1
    consumer gateway key proxy "$@"
    eventually 5 test -S "$RUN/gateway/proxy.sock" || die "no proxy.sock"
}
