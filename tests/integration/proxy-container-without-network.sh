#!/usr/bin/env bash
# A real container with no network at all and one socket directory mounted: its program reaches its model through broker-exec's relay, and directly by
# the Unix socket; it reaches nothing else; no credential is within its reach; and when it ends, its lease does.
. "$(dirname "$0")/proxy.bash" || exit 1
need_root
for tool in podman runc curl; do command -v "$tool" >/dev/null || skip "needs $tool"; done
start_provider
upstream_config </dev/null
init_broker
"$CLI" enroll k --provider anthropic <<<"$KEY" >/dev/null 2>&1
"$CLI" consumer add gw --uid 0,1000 >/dev/null
grant_proxy gw k
R=$T/rootfs
mkdir -p "$R"/{bin,tmp,proc,sys,dev,etc,run/broker,usr/local/bin,lib,lib64}
chmod 1777 "$R/tmp"
for program in /bin/sh "$(command -v curl)" /bin/cat /bin/grep /bin/ls /usr/bin/find /usr/bin/env; do
    cp -L "$program" "$R/bin/"
    { ldd "$program" || true; } 2>/dev/null | grep -oE '/[^ ]+\.so[^ ]*' | while read -r lib; do
        mkdir -p "$R$(dirname "$lib")"
        cp -nL "$lib" "$R$lib"
    done
done
printf '[storage]\ndriver = "vfs"\ngraphroot = "%s"\nrunroot = "%s"\n' "$T/podman" "$T/podman-run" >"$T/storage.conf"
export CONTAINERS_STORAGE_CONF=$T/storage.conf
in_container() { # UID SCRIPT
    podman --tmpdir "$T/podman-tmp" --runtime runc --cgroup-manager=cgroupfs --log-level=error run --rm --quiet --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 \
        --network=none --cap-drop=all --read-only --user "$1:$1" --env HOME=/tmp --env PATH=/usr/local/bin:/bin -v "$RUN/gw:/run/broker:ro" \
        -v "$EXEC:/usr/local/bin/broker-exec:ro" --rootfs "$R" broker-exec --socket /run/broker --profile "${PROFILE:-anthropic-sdk}" -- sh -c "$2"
}
BODY='{\"model\":\"claude-sonnet-4-5\",\"max_tokens\":9,\"messages\":[]}'
REQUEST="curl -sS --max-time 20 -H \"x-api-key: \$ANTHROPIC_API_KEY\" -H 'anthropic-version: 2023-06-01' -d \"$BODY\""
for uid in 0 1000; do
    out=$(in_container "$uid" "$REQUEST \$ANTHROPIC_BASE_URL/v1/messages; echo; curl -sS --max-time 3 http://127.0.0.1:$PORT/ 2>&1 || echo no other way
        cat /proc/self/environ /proc/1/environ 2>/dev/null; find /run /tmp -type f -exec cat {} + 2>/dev/null; true") || die "the program did not run as uid $uid: $out"
    grep -aq 'Forty-two' <<<"$out" || die "no answer by the relay, uid $uid: $out"
    grep -aq 'no other way' <<<"$out" || die "the container reaches more than its model: $out"
    grep -aq 'cbrk1_' <<<"$out" || die "the program has no token: $out"
    if grep -aqF "$KEY" <<<"$out"; then die "the credential is in the container"; fi
done
# Claude Code's own way: its HTTP on the Unix socket, no relay
PROFILE=claude-code
out=$(in_container 0 "$REQUEST --unix-socket \"\$ANTHROPIC_UNIX_SOCKET\" \$ANTHROPIC_BASE_URL/v1/messages") || die "the Unix socket: $out"
grep -q 'Forty-two' <<<"$out" || die "no answer on the Unix socket: $out"
[[ $(upstream_saw 'r["violations"]') == 0 && $(upstream_saw 'True') == 3 ]] || die "the provider saw: $(cat "$RECORD")"
gone() { [[ $("$CLI" lease list --json | grep -o '"id"' | wc -l) == 0 ]]; }
eventually 10 gone || die "leases live on after their programs: $("$CLI" lease list)"
