#!/usr/bin/env bash
# No program of ours is given a secret on its command line or in its environment, at any exec on any way in or out (strace saw them all);
# only broker-exec puts what was leased into the environment of the program it becomes, and nothing long-lived.
. "$(dirname "$0")/promise.bash" || exit 1
command -v strace >/dev/null || skip "needs strace"
SCAN=$BUILD/fake/scan
[[ -x $SCAN ]] || die "tests/fake/scan.c is not built: make $SCAN"
python3 - "$LOGINS" >"$T/needles" <<'PY'
import json, sys
v = json.load(open(sys.argv[1] + "/claude.json"))
key = open(sys.argv[1] + "/anthropic.txt").read().strip()
strip = lambda s: s.split("FAKE-", 1)[1]
for name, value in (("access", v["claudeAiOauth"]["accessToken"]), ("refresh", v["claudeAiOauth"]["refreshToken"]), ("key", key),
                    ("mcp", v["mcpOAuth"]["fake-server|0000"]["accessToken"])):
    print(name, strip(value))
print("passphrase correct-horse-battery-staple-0815")
PY
echo correct-horse-battery-staple-0815 >"$T/passphrase"
# every exec of every process, whole
execs=(strace -f -v -qq -e "trace=execve,execveat" -e signal=none -s 100000)
DAEMON_PROGRAM=$DAEMON
printf '#!/bin/sh\nexec %s -o %s %s "$@"\n' "${execs[*]}" "$T/execs.daemon" "$DAEMON_PROGRAM" >"$T/brokerd"
chmod 755 "$T/brokerd"
DAEMON=$T/brokerd
start_broker
PIDS+=("$(pgrep -P "$BROKER")") # strace ends with it, and does not listen itself
n=0
run() { "${execs[@]}" -o "$T/execs.$((++n))" "$@"; }
run "$CLI" init --key passphrase --passphrase-file "$T/passphrase" >/dev/null
run "$CLI" enroll claude --provider claude <"$LOGINS/claude.json" >/dev/null 2>&1
run "$CLI" enroll key --provider anthropic --file "$LOGINS/anthropic.txt" >/dev/null 2>&1
consumer gateway claude access_token,file
consumer gateway key secret,helper
run "$CLI" lock >/dev/null
run "$CLI" unlock --passphrase-file "$T/passphrase" >/dev/null
run "$CLI" replace claude <"$LOGINS/claude.json" >/dev/null 2>&1
run "$CLI" token key --socket "$RUN/gateway" >/dev/null
call gateway POST /v1/leases '{"credential":"claude","deliver":"file"}' >/dev/null
scan() { "$SCAN" "$@" <"$T/needles" >"$T/found"; }
for f in "$T"/execs.*; do [[ -s $f ]] || die "strace saw nothing in $f"; done
if ((EUID == 0)); then
    holds "the helper that derives keys was not seen" grep -q -- '--role=kdf' "$T/execs.daemon"
    holds "the workers were not seen" grep -q -- '--role=admin' "$T/execs.daemon"
else
    leave_out 2 "what the broker executes is hidden from its own user, strace too"
fi
scan "$T"/execs.* || die "$(<"$T/found")"
holds "not every program was looked at: $(<"$T/found")" grep -q " 8 files: 0 found" "$T/found"
# what the kernel shows of the processes that run
mkdir "$T/proc"
for pid in $(pgrep -f -- "$RUN" | grep -v "^$$\$"); do
    tr '\0' '\n' <"/proc/$pid/cmdline" >"$T/proc/$pid.cmdline" 2>/dev/null || true
    ((EUID != 0)) || tr '\0' '\n' <"/proc/$pid/environ" >"$T/proc/$pid.environ" 2>/dev/null || true
done
scan "$T/proc" || die "$(<"$T/found")"
seen=$((seen + 1))
# a secret on the command line is not even an option
expect_fail 2 . "$CLI" enroll direct --provider anthropic --secret sk-ant-api03-x
expect_fail 2 . "$CLI" unlock --passphrase x
expect_fail 2 . "$CLI" attenuate "$(call gateway POST /v1/leases '{"credential":"key"}' | field token)"
seen=$((seen + 3))
# the control, and broker-exec: what was leased, in the environment, and never in the arguments
run "$EXEC" --socket "$RUN/gateway" --profile env --credential key=secret -- /bin/true
if scan "$T/execs.$n"; then die "the control: broker-exec gave its program no key, or the scanner is blind"; fi
seen=$((seen + 1))
sed -E 's/\], \[.*//' "$T/execs.$n" >"$T/arguments"
holds "a secret stands in the arguments: $(<"$T/found")" scan "$T/arguments"
tally
