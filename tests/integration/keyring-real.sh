#!/usr/bin/env bash
# brokerd-keyring with a real Secret Service (gnome-keyring on a D-Bus of its own): what create stores, open gives again; a locked
# keyring, no D-Bus, a dead bus, a killed or a stopped daemon end with a clear sentence, and none of them hangs.
set -euo pipefail
cd "$(dirname "$0")/../.."
B=${B:-build}
here=$PWD
for tool in dbus-run-session gdbus gnome-keyring-daemon; do
    command -v "$tool" >/dev/null || { echo "$tool is not installed"; exit 77; }
done

if [ -z "${KEYRING_INSIDE:-}" ]; then
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    ${CC:-gcc} -std=gnu17 -D_GNU_SOURCE -O1 -Wall -Wextra -Werror -Iinclude -Ibroker tests/integration/keyring_ask.c \
        "$B/libbase.a" -lsodium -o "$work/ask"
    mkdir -m 700 "$work/home" "$work/run"
    unset DBUS_SESSION_BUS_ADDRESS
    status=0
    HOME=$work/home XDG_RUNTIME_DIR=$work/run XDG_DATA_HOME=$work/home/data XDG_CACHE_HOME=$work/home/cache \
        XDG_CONFIG_HOME=$work/home/config KEYRING_INSIDE=$work \
        dbus-run-session -- bash "$here/tests/integration/keyring-real.sh" || status=$?
    exit "$status"
fi

work=$KEYRING_INSIDE
passed=0 failed=0 said='' took=0
ask() { # op [params]
    said=$("$work/ask" "$here/$B/brokerd-keyring" "$@" 2>"$work/took") || true
    took=$(tail -n 1 "$work/took")
}
expect() { # what pattern within-ms
    # shellcheck disable=SC2053
    if [[ $said == $2 ]] && [ "$took" -le "$3" ]; then
        passed=$((passed + 1))
        echo "ok $1 (${took} ms)"
    else
        failed=$((failed + 1))
        echo "FAIL $1: \"$said\" after ${took} ms"
    fi
}
keyring() { # password: starts and unlocks a daemon; its pid in $daemon
    gnome-keyring-daemon --foreground --unlock --components=secrets <<<"$1" >/dev/null 2>&1 &
    daemon=$!
    for _ in $(seq 100); do
        gdbus call --session --dest org.freedesktop.DBus --object-path / \
            --method org.freedesktop.DBus.NameHasOwner org.freedesktop.secrets | grep -q true && return
        sleep 0.05
    done
}
stop() { kill "$daemon" 2>/dev/null || true; wait "$daemon" 2>/dev/null || true; }
# Locks the login collection behind everybody's back.
lock() {
    gdbus call --session --dest org.freedesktop.secrets --object-path /org/freedesktop/secrets \
        --method org.freedesktop.Secret.Service.Lock "['/org/freedesktop/secrets/collection/login']" >/dev/null
}

keyring pass
ask open;   expect "an empty keyring has no key" 'not_found *no key for this store*' 5000
ask create; expect "create stores one" 'ok Credential broker master key ????????????????????????????????*' 5000
key=${said##* }
ask open "Credential broker master key"; expect "open gives the same key" "ok  $key" 5000
ask create; expect "a second create overwrites nothing" 'exists *' 5000
ask open;   expect "the key is still the first" "ok  $key" 5000

lock
ask open;   expect "a locked keyring is said to be locked" 'unavailable *locked*unlock*' 5000
ask create; expect "create then neither prompts nor makes a second one" 'exists *' 5000

kill -STOP "$daemon"
ask open;   expect "a daemon that hangs costs the deadline" 'timeout *8 s*' 9500
kill -CONT "$daemon"
stop

keyring wrong
ask open;   expect "unlocked with a wrong password it stays locked" 'unavailable *locked*' 5000
stop
keyring pass
ask open;   expect "after a restart the key is there again" "ok  $key" 5000
ask remove; expect "remove takes it away" 'ok *' 5000
ask open;   expect "and it is gone" 'not_found *' 5000

kill -KILL "$daemon"
{ wait "$daemon" || true; } 2>/dev/null
ask open;   expect "a killed daemon is noticed" 'unavailable *' 5000

export DBUS_SESSION_BUS_ADDRESS=unix:path=$work/nosuch
ask open;   expect "a dead bus is noticed" 'unavailable *cannot be used*' 1000
unset DBUS_SESSION_BUS_ADDRESS
ask open;   expect "no D-Bus is said plainly" 'unavailable *no D-Bus session*keyfile*' 1000

echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
