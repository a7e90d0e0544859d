#!/usr/bin/env bash
# The proxy beside nginx and haproxy: the same header swap, from a Unix socket to the same upstream, plain and TLS, in the same run and in turn
# (A B C A B C …); ours with its token check, policy, budget and audit switched on, its CPU time that of all its processes.
#   QUICK=1   short runs      ONLY="small|sse|post|edge"
. "$(dirname "$0")/../integration/lib.bash"
B=$BUILD/bench
QUICK=${QUICK:-}
if [[ $QUICK ]]; then ROUNDS=3 EACH=1 SSE_EACH=3; else ROUNDS=5 EACH=2 SSE_EACH=5; fi
ONLY=${ONLY:-small sse post edge}
SAMPLES=$T/samples
declare -A SOCK SERVERS
ulimit -n "$(ulimit -Hn)"
say() { printf '  %-5s %s\n' BENCH "$*" >&2; }
sample() { # KEY LINE
    local word
    for word in $2; do [[ $word != *=* ]] || echo "$1.${word%%=*} ${word#*=}" >>"$SAMPLES"; done
}
REAL=sk-ant-api03-planted-0123456789abcdef0123456789abcdef

certificates() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$T/ca.key" -out "$T/c/ca.pem" -subj /CN=bench-ca -days 2 2>/dev/null
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$T/up.key" -out "$T/up.csr" -subj /CN=localhost 2>/dev/null
    openssl x509 -req -in "$T/up.csr" -CA "$T/c/ca.pem" -CAkey "$T/ca.key" -CAcreateserial -out "$T/up.pem" -days 2 \
        -extfile <(echo 'subjectAltName=DNS:localhost,IP:127.0.0.1') 2>/dev/null
    chmod 644 "$T"/*.pem "$T"/c/ca.pem
}
start_upstream() { # plain | tls
    local args=() port="$T/port.$1"
    [[ $1 != tls ]] || args=(-t "$T/up.pem" "$T/up.key")
    "$B/provider" "${args[@]}" >"$port" &
    PIDS+=($!)
    eventually 5 test -s "$port" || die "no upstream"
    PORT[$1]=$(<"$port")
}
start_nginx() {
    mkdir -p "$T/nginx"
    {
        echo "daemon off; master_process off; pid $T/nginx/pid; error_log $T/nginx/log; worker_rlimit_nofile 65536; events { worker_connections 20000; }"
        echo "http { access_log $T/nginx/access combined buffer=64k flush=1s; client_body_temp_path $T/nginx/b; proxy_temp_path $T/nginx/p; fastcgi_temp_path $T/nginx/f;"
        echo "uwsgi_temp_path $T/nginx/u; scgi_temp_path $T/nginx/s; keepalive_requests 100000000; keepalive_timeout 600s; client_max_body_size 64m;"
        local kind scheme
        for kind in plain tls; do
            scheme=http; [[ $kind == plain ]] || scheme=https
            echo "upstream up_$kind { server 127.0.0.1:${PORT[$kind]}; keepalive 4096; keepalive_requests 100000000; }"
            echo "server { listen unix:$T/nginx/$kind.sock; location / { proxy_pass $scheme://up_$kind; proxy_http_version 1.1; proxy_set_header Connection \"\";"
            echo "proxy_set_header Host localhost; proxy_set_header X-Api-Key $REAL; proxy_buffering off; proxy_request_buffering off;"
            echo "proxy_ssl_session_reuse on; proxy_ssl_verify on; proxy_ssl_trusted_certificate $T/c/ca.pem; proxy_ssl_name localhost; proxy_ssl_server_name on; } }"
        done
        echo "}"
    } >"$T/nginx/conf"
    nginx -p "$T/nginx" -c "$T/nginx/conf" >"$T/nginx/out" 2>&1 &
    PIDS+=($!)
    SERVERS[nginx]=$!
    eventually 5 test -S "$T/nginx/tls.sock" || die "nginx: $(<"$T/nginx/out")"
    SOCK[nginx.plain]=$T/nginx/plain.sock SOCK[nginx.tls]=$T/nginx/tls.sock
}
start_haproxy() {
    mkdir -p "$T/haproxy"
    {
        echo "global"; echo "  maxconn 9000"; echo "  nbthread 1"; echo "  tune.bufsize 16384"
        echo "defaults"; echo "  mode http"; echo "  timeout connect 5s"; echo "  timeout client 600s"; echo "  timeout server 600s"; echo "  http-reuse always"
        local kind ssl
        for kind in plain tls; do
            ssl=; [[ $kind == plain ]] || ssl="ssl verify required ca-file $T/c/ca.pem sni str(localhost) verifyhost localhost"
            echo "frontend f_$kind"; echo "  bind unix@$T/haproxy/$kind.sock mode 666"; echo "  http-request set-header X-Api-Key $REAL"
            echo "  http-request set-header Host localhost"; echo "  default_backend b_$kind"
            echo "backend b_$kind"; echo "  server s 127.0.0.1:${PORT[$kind]} pool-max-conn 4096 $ssl"
        done
    } >"$T/haproxy/conf"
    haproxy -f "$T/haproxy/conf" >"$T/haproxy/out" 2>&1 &
    PIDS+=($!)
    SERVERS[haproxy]=$!
    eventually 5 test -S "$T/haproxy/tls.sock" || die "haproxy: $(<"$T/haproxy/out")"
    SOCK[haproxy.plain]=$T/haproxy/plain.sock SOCK[haproxy.tls]=$T/haproxy/tls.sock
}
start_ours() {
    local kind
    {
        printf 'audit: { sync: release, max_bytes: 1G }\nproxy: { workers: 1 }\nupstreams:\n'
        printf '  - { provider: anthropic, origin: "http://127.0.0.1:%s", private: true }\n' "${PORT[plain]}"
        printf '  - { provider: gemini, origin: "https://localhost:%s", ca: %s, private: true }\n' "${PORT[tls]}" "$T/c/ca.pem"
        printf 'consumers:\n'
        for kind in plain tls; do
            local credential=a; [[ $kind == plain ]] || credential=g
            printf '  - name: %s\n    peer: { uid: [%s] }\n    grants:\n' "$kind" "$EUID"
            printf '      - { credential: %s, deliver: [proxy], ttl: 1h, allow: ["GET /", "POST /"], budget: "requests: 100M/h, tokens: 100G/d, concurrent: 5000" }\n' $credential
        done
    } >"$CONFIG"
    init_broker --log-level error
    "$CLI" enroll a --provider anthropic <<<"$REAL" >/dev/null 2>&1
    "$CLI" enroll g --provider gemini <<<"AIzaSyPlanted0123456789abcdef012345678" >/dev/null 2>&1
    eventually 5 test -S "$RUN/tls/proxy.sock" || die "no proxy socket"
    for kind in plain tls; do
        local credential=a; [[ $kind == plain ]] || credential=g
        TOKEN[$kind]=$(call "$kind" POST /v1/leases "{\"credential\":\"$credential\",\"deliver\":\"proxy\"}" | field token)
        SOCK[ours.$kind]=$RUN/$kind/proxy.sock
    done
    SERVERS[ours]="$(pgrep -P "$BROKER" -x brokerd-vault) $(pgrep -P "$BROKER" -x brokerd-proxy) $(pgrep -P "$BROKER" -x brokerd-audit)"
}
servers() { local pid; for pid in ${SERVERS[$1]}; do echo "-p $pid"; done; }
resident() { local pid sum=0; for pid in ${SERVERS[$1]}; do sum=$((sum + $(awk '/^VmRSS:/ { print $2 }' "/proc/$pid/status"))); done; echo $sum; }
declare -A PORT TOKEN BEFORE

small() { # PEER KIND
    local c args=(-s "${SOCK[$1.$2]}" -m POST -u /v1/messages -H "X-Api-Key: ${TOKEN[$2]:-none}" -H "anthropic-version: 2023-06-01"
        -H "User-Agent: claude-cli/2.1.330 (external, cli)" -H "Accept: application/json" -b '{"model":"claude-sonnet-4-5","max_tokens":100,"messages":[{"role":"user","content":"Hi"}]}')
    for c in 1 16 64; do
        # shellcheck disable=SC2046
        sample "small$c.$2.$1" "$("$B/http_bench" "${args[@]}" -c $c -t "$EACH" $(servers "$1") 2>>"$T/failures")" || say "small$c.$2.$1 failed: $(tail -c 300 "$T/failures")"
    done
}
post() {
    # shellcheck disable=SC2046
    sample "post.$2.$1" "$("$B/http_bench" -s "${SOCK[$1.$2]}" -m POST -u /v1/messages -H "X-Api-Key: ${TOKEN[$2]:-none}" -B 100000 -c 8 -t "$EACH" $(servers "$1") 2>>"$T/failures")" || say "post.$2.$1 failed"
}
sse() {
    local c
    for c in 500 2000; do
        # shellcheck disable=SC2046
        sample "sse$c.$2.$1" "$("$B/sse_bench" -s "${SOCK[$1.$2]}" -H "X-Api-Key: ${TOKEN[$2]:-none}" -c $c -e 200 -t "$SSE_EACH" $(servers "$1") 2>>"$T/failures")" || say "sse$c.$2.$1 failed: $(tail -c 300 "$T/failures")"
        sleep 0.3
    done
}

edge() {
    # shellcheck disable=SC2046
    sample "gone.$2.$1" "$("$B/edge_bench" gone -s "${SOCK[$1.$2]}" -H "X-Api-Key: ${TOKEN[$2]:-none}" 2>>"$T/failures")" || say "gone.$2.$1 failed"
    # shellcheck disable=SC2046
    sample "stall.$2.$1" "$("$B/edge_bench" stall -s "${SOCK[$1.$2]}" -H "X-Api-Key: ${TOKEN[$2]:-none}" $(servers "$1") 2>>"$T/failures")" || say "stall.$2.$1 failed"
}
# 2,000 streams against servers that had none before; plain ones first: what they leave behind is less than TLS needs
memory() {
    local kind peer
    for peer in "${PEERS[@]}"; do
        BEFORE[$peer]=$(resident "$peer")
        for kind in plain tls; do
            # shellcheck disable=SC2046
            sample "memory.$kind.$peer" "$("$B/sse_bench" -s "${SOCK[$peer.$kind]}" -m "${BEFORE[$peer]}" -H "X-Api-Key: ${TOKEN[$kind]:-none}" -c 2000 -e 1000 -t 1 $(servers "$peer") 2>>"$T/failures")" ||
                say "memory.$kind.$peer failed: $(tail -c 300 "$T/failures")"
            sleep 0.5
        done
    done
}

certificates
for kind in plain tls; do start_upstream $kind; done
PEERS=()
! command -v nginx >/dev/null || { start_nginx; PEERS+=(nginx); }
! command -v haproxy >/dev/null || { start_haproxy; PEERS+=(haproxy); }
[[ ${OURS-yes} != yes ]] || { start_ours; PEERS+=(ours); }
: >"$SAMPLES"
[[ $ONLY != *sse* ]] || memory
for ((i = 1; i <= ROUNDS; i++)); do
    say "round $i of $ROUNDS"
    for what in $ONLY; do for kind in tls plain; do for peer in "${PEERS[@]}"; do $what "$peer" $kind; done; done; done
done
python3 "$ROOT/tests/bench/proxy_report.py" "$SAMPLES" "$(git -C "$ROOT" rev-parse --short HEAD 2>/dev/null || echo unknown)" "$ROUNDS" | tee "$B/proxy.txt"
