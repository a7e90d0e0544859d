#!/usr/bin/env bash
# Key slots: any of them opens the store, and only they; the last one stays. A key file, a systemd credential and a keyring open it by themselves
# after a restart, a passphrase when somebody types it; a wrong one opens nothing.
#   key-slots.sh keyring     the part that needs a Secret Service, for an ordinary user (root starts it as one)
. "$(dirname "$0")/lib.bash" || exit 1
. "$(dirname "$0")/faults.bash"
pass=$T/pass wrong=$T/wrong
echo "a passphrase of some length" >"$pass"
echo "a passphrase of some other length" >"$wrong"
slots() { "$CLI" key list --json | "$PYTHON" -IS -c 'import json,sys; print(*[k["source"] for k in json.load(sys.stdin)["keys"]])'; }
begin() { # extra arguments of init
    start_broker
    "$CLI" init "$@" >/dev/null
    "$CLI" enroll key --provider generic <<<the-value >/dev/null 2>&1
    consumer gateway key secret --ttl 1h
}
opens() { [[ $(lease gateway key | field secret) == the-value ]]; }
restart() { end_broker && start_broker; }
closed() { # WHAT
    state_is locked || die "$1: $("$CLI" status | head -n 1)"
    [[ $(lease gateway key) == '503 {"error":"locked"'* ]] || die "$1: released from a locked store: $(lease gateway key)"
    expect_fail 13 . "$CLI" list
}
unlock_with() { "$CLI" unlock --key passphrase --passphrase-file "$1" >/dev/null; }

if [[ ${1:-} == keyring ]]; then
    for tool in dbus-run-session gnome-keyring-daemon gdbus; do command -v "$tool" >/dev/null || skip "$tool is not installed"; done
    getent passwd "$EUID" >/dev/null || skip "D-Bus wants an entry in /etc/passwd for uid $EUID"
    if [[ -z ${KEY_SLOTS_INSIDE:-} ]]; then
        mkdir -m 700 "$T/home" "$T/xdg"
        unset DBUS_SESSION_BUS_ADDRESS
        env -u XDG_DATA_HOME -u XDG_CONFIG_HOME -u XDG_CACHE_HOME HOME="$T/home" XDG_RUNTIME_DIR="$T/xdg" KEY_SLOTS_INSIDE=1 \
            dbus-run-session -- "$0" keyring
        exit
    fi
    # asked of the bus: a call to the name itself would start another daemon, a locked one, if this one is late
    has_owner() {
        gdbus call --session --dest org.freedesktop.DBus --object-path / --method org.freedesktop.DBus.NameHasOwner org.freedesktop.secrets |
            grep -q true
    }
    keyring() {
        gnome-keyring-daemon --foreground --unlock --components=secrets <<<"$1" >/dev/null 2>&1 &
        KEYRING=$!
        PIDS+=("$KEYRING")
        eventually 10 has_owner || die "no Secret Service"
    }
    no_owner() { ! has_owner; }
    stop_keyring() { kill "$KEYRING" && { wait "$KEYRING" || true; } && eventually 5 no_owner; }
    keyring one
    begin --key keyring
    [[ $(slots) == keyring ]] || die "the slots are $(slots)"
    opens || die "a store of a keyring does not open"
    restart
    eventually 10 opens || die "after a restart the keyring does not open it: $("$CLI" status | head -n 1)"
    "$CLI" lock >/dev/null
    closed "after lock"
    "$CLI" unlock >/dev/null
    opens || die "unlock does not ask the keyring"
    end_broker
    stop_keyring
    keyring another # stays locked: the password is not its
    start_broker
    sleep 0.5
    closed "with a locked keyring"
    expect_fail 21 'keyring is locked' "$CLI" unlock
    stop_keyring
    keyring one
    "$CLI" unlock >/dev/null || die "an unlocked keyring does not open it"
    opens || die "no service with an unlocked keyring"
    "$CLI" key add passphrase --passphrase-file "$pass" >/dev/null
    "$CLI" key remove 0 --yes >/dev/null
    restart
    sleep 0.5
    closed "with the keyring's slot removed"
    unlock_with "$pass"
    opens || die "the passphrase does not open it"
    exit 0
fi

# ---- key file
begin --key keyfile --path "$STATE/master.key"
[[ $(stat -c %a "$STATE/master.key") == ?00 ]] || die "the key file has mode $(stat -c %a "$STATE/master.key")"
restart
eventually 10 opens || die "the key file does not open it after a restart"
expect_fail 8 'last key' "$CLI" key remove 0 --yes
restart
eventually 10 opens || die "the last slot is gone"

# ---- passphrase
"$CLI" key add passphrase --passphrase-file "$pass" >/dev/null
[[ $(slots) == "keyfile passphrase" ]] || die "the slots are $(slots)"
"$CLI" lock >/dev/null
closed "after lock"
! unlock_with "$wrong" 2>/dev/null || die "a wrong passphrase opens it"
closed "after a wrong passphrase"
unlock_with "$pass"
opens || die "the passphrase does not open it"
"$CLI" key remove 0 --yes >/dev/null
[[ ! -e $STATE/master.key ]] || die "the removed slot's key file is still there"
restart
closed "with a passphrase only"
expect_fail 2 'passphrase' "$CLI" unlock
! unlock_with "$wrong" 2>/dev/null || die "a wrong passphrase opens it"
unlock_with "$pass"
opens || die "the passphrase does not open it after a restart"
! grep -qF "$(cat "$pass")" "$STATE"/log/audit-*.jsonl "$T/log" || die "a passphrase in a log"

# ---- systemd credential
end_broker
mkdir -m 755 "$T/creds"
export CREDENTIALS_DIRECTORY=$T/creds
head -c 32 /dev/urandom | base64 >"$T/creds/broker-key"
chmod 440 "$T/creds/broker-key"
if ((EUID == 0)); then chown "$SYSTEM_USER:" "$T/creds/broker-key"; fi
start_broker
unlock_with "$pass"
"$CLI" key add systemd --path broker-key >/dev/null
expect_fail 6 'nosuch' "$CLI" key add systemd --path nosuch
restart
eventually 10 opens || die "the systemd credential does not open it: $("$CLI" status | head -n 1)"
end_broker
head -c 32 /dev/urandom | base64 >"$T/other"
chmod 640 "$T/creds/broker-key"
cat "$T/other" >"$T/creds/broker-key"
start_broker
closed "with another systemd credential"
unlock_with "$pass"

# ---- eight, and no more; what is removed opens nothing
for ((i = 2; i < 8; i++)); do "$CLI" key add keyfile --path "$STATE/k$i" >/dev/null; done
expect_fail 11 '8 key slots' "$CLI" key add keyfile --path "$STATE/k8"
[[ ! -e $STATE/k8 ]] || die "a key file without a slot is left"
cp -p "$STATE/k7" "$T/k7"
"$CLI" key remove 7 --yes >/dev/null
for ((i = 2; i < 7; i++)); do rm "$STATE/k$i"; done
cp -p "$T/k7" "$STATE/k7"
restart
closed "with the key file of a removed slot"
unlock_with "$pass"
expect_fail 6 'no such key slot' "$CLI" key remove 7 --yes
end_broker
verify_log

if ((EUID != 0)); then
    "$0" keyring || { (($? == 77)) && echo "the keyring's part was left out"; } || die "the keyring's part"
elif command -v setpriv >/dev/null; then
    setpriv --reuid "$SYSTEM_USER" --regid "$(id -g "$SYSTEM_USER")" --clear-groups env HOME=/tmp "$0" keyring ||
        { (($? == 77)) && echo "the keyring's part was left out"; } || die "the keyring's part"
fi
