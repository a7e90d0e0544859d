#!/usr/bin/env bash
# The units are valid, allow every system call that brokerd's own filters need, leave the broker what it tells peers by, and stay tight; the
# users and directories they rely on are made as the broker wants to find them.
. "$(dirname "$0")/lib.bash" || exit 1
command -v systemd-analyze >/dev/null || skip "needs systemd-analyze"
U=$ROOT/contrib/systemd
for unit in "$U/credential-broker.service" "$U/user/credential-broker.service"; do
    mkdir -p "$T/u"
    # as installed, but for the place of the program
    sed "s|/usr/local/bin/brokerd|$DAEMON|; /^Documentation=/d" "$unit" >"$T/u/credential-broker.service"
    systemd-analyze verify --man=no "$T/u/credential-broker.service" >"$T/said" 2>&1 || die "$unit: $(cat "$T/said")"
    grep -q credential-broker.service "$T/said" && die "$unit: $(cat "$T/said")"
    cat "$ROOT"/broker/base/*.c >"$T/sources"
    python3 - "$unit" "$T/sources" <<'PY'
import re, subprocess, sys
unit, source = (open(p).read() for p in sys.argv[1:])
groups, name = {}, None
for line in subprocess.run(["systemd-analyze", "syscall-filter", "--no-pager"], capture_output=True, text=True).stdout.splitlines():
    if line.startswith("@"):
        name = line.strip()
        groups[name] = []
    elif name and re.match(r"    [^# ]", line):
        groups[name].append(line.strip())
assert "@system-service" in groups, "no groups were read"
allowed, left = set(), re.findall(r"^SystemCallFilter=(.*)", unit, re.M)[0].split()
while left:
    word = left.pop()
    left.extend(groups[word]) if word.startswith("@") else allowed.add(word)
needed = set(re.findall(r"NR\(([a-z0-9_]+)\)", source)) - {"name"}
assert len(needed) > 100, "the table of calls is not where it was"
assert needed <= allowed, sorted(needed - allowed)
# what would blind the broker to its peers, or orphan the directories that containers have mounted
for bad in ("PrivateUsers=yes", "ProtectProc=invisible", "ProcSubset=pid", "PrivatePIDs=yes"):
    assert not re.search("^" + bad, unit, re.M), bad
if "RuntimeDirectory=" in unit:
    assert "RuntimeDirectoryPreserve=yes" in unit
PY
done
# the keeper's unit: an instance of it, by itself
sed "s|/usr/local/bin/broker-cli|$CLI|; /^Documentation=/d" "$U/user/credential-broker-keep@.service" >"$T/u/credential-broker-keep@claude.service"
systemd-analyze verify --man=no "$T/u/credential-broker-keep@claude.service" >"$T/said" 2>&1 || die "the keeper's unit: $(cat "$T/said")"
grep -q credential-broker-keep "$T/said" && die "the keeper's unit: $(cat "$T/said")"
level=$(systemd-analyze security --offline=true --no-pager "$U/credential-broker.service" 2>/dev/null | sed -n 's/.*exposure level.*: \([0-9.]*\) .*/\1/p')
[[ -n $level ]] || skip "this systemd-analyze knows no --offline"
# 0.3 of it is the network, which brokerd-proxy alone may use
python3 -c 'import sys; sys.exit(float(sys.argv[1]) > 1.8)' "$level" || die "the exposure level has risen to $level"

((EUID == 0)) || { echo "exposure $level"; exit 0; }
mkdir -p "$T/root/etc"
systemd-sysusers --root="$T/root" "$U/credential-broker.sysusers" >"$T/said" 2>&1 || die "sysusers: $(cat "$T/said")"
uid=$(awk -F: '$1 == "credential-broker" && $7 ~ /nologin/ {print $3}' "$T/root/etc/passwd")
[[ -n $uid ]] || die "sysusers made no user without a shell"
systemd-tmpfiles --root="$T/root" --create "$U/credential-broker.tmpfiles" >"$T/said" 2>&1 || die "tmpfiles: $(cat "$T/said")"
chmod 755 "$T/root" "$T/root"/{var,var/lib,run,etc}
# the broker as the unit starts it: not root, no capability, no network, the limits of the unit
prlimit --memlock=8388608 setpriv --reuid "$uid" --regid "$uid" --clear-groups --bounding-set=-all --inh-caps=-all --no-new-privs \
    "$DAEMON" --system --state "$T/root/var/lib/credential-broker" --run "$T/root/run/credential-broker" \
    --config "$T/root/etc/credential-broker/broker.yaml" >>"$T/log" 2>&1 &
BROKER=$!
PIDS+=("$BROKER")
export CREDENTIAL_BROKER_RUN=$T/root/run/credential-broker
eventually 10 "$CLI" status || die "the broker did not come up as the unit starts it"
"$CLI" status --json | grep -q '"mode":"system"' || die "not in system mode"
"$CLI" init >/dev/null || die "init with the default key file fails in the directories that tmpfiles made"
[[ -s $T/root/etc/credential-broker/master.key ]] || die "the key file is not beside the configuration"
kill -HUP "$BROKER"
kill "$BROKER"
code=0
wait "$BROKER" || code=$?
[[ $code == 0 ]] || die "it ended with $code when asked"
echo "exposure $level"
