#!/usr/bin/env bash
# Started by root the broker becomes its own user, and root is an operator; started by a user it is that user's own, in that user's places.
# In both, files belong to who runs it, with modes that keep others out; a user that does not exist is said so.
. "$(dirname "$0")/promise.bash" || exit 1
owner=$EUID mode=user
if ((EUID == 0)); then owner=$(id -u "$SYSTEM_USER") mode=system; fi
init_broker
enroll_key
consumer gateway key secret
holds "mode" is "$(status_of mode)" $mode
begins "$(call gateway POST /v1/leases '{"credential":"key"}')" 200 || die "no lease"
sleep 0.2
holds "not the broker's own: $(find "$STATE" "$RUN" ! -uid "$owner")" is "$(find "$STATE" "$RUN" ! -uid "$owner" | wc -l)" 0
holds "others may read: $(find "$STATE" -mindepth 1 -perm /077 ! -name audit.pub)" is "$(find "$STATE" -mindepth 1 -perm /077 ! -name audit.pub | wc -l)" 0
for pid in $(all_pids); do holds "a process runs as another" is "$(stat -c %u "/proc/$pid")" "$owner"; done
holds "a doctor finds fault with a fresh broker: $("$CLI" doctor 2>&1)" "$CLI" doctor
stop_broker
holds "sockets are left behind" is "$(find "$RUN" -type s | wc -l)" 0

# ---- without options: the places of the mode
if ((EUID == 0)); then
    code=0
    timeout 5 "$DAEMON" --state "$T/s2" --run "$T/r2" --config "$CONFIG" --user no-such-user >"$T/said" 2>&1 || code=$?
    holds "an unknown user: exit $code, $(<"$T/said")" grep -q 'no user no-such-user; make it with: useradd' "$T/said"
    holds "it ran" test "$code" -ne 0 -a "$code" -ne 124
    # an ordinary user's broker on this machine: nothing in common with the system's
    if ! as_uid 1001 test -x "$DAEMON" || ! as_uid 1001 test -x "$CLI"; then
        leave_out 4 "the build is not readable by other users"
        tally
        exit
    fi
    mkdir "$T/home"
    chown 1001:1001 "$T/home"
    as=(setpriv --reuid=1001 --regid=1001 --clear-groups)
else
    mkdir "$T/home"
    as=()
fi
unset CREDENTIAL_BROKER_RUN
as+=(env -u CREDENTIAL_BROKER_STATE -u XDG_STATE_HOME -u XDG_CONFIG_HOME "HOME=$T/home" "XDG_RUNTIME_DIR=$T/home/run")
"${as[@]}" mkdir -m 700 "$T/home/run"
"${as[@]}" "$DAEMON" >"$T/log2" 2>&1 &
PIDS+=($!)
eventually 5 "${as[@]}" "$CLI" status || die "a user's broker did not come up in its own places: $(<"$T/log2")"
holds "the mode of a user's broker" grep -q '"mode":"user"' <<<"$("${as[@]}" "$CLI" status --json)"
holds "its sockets" test -S "$T/home/run/credential-broker/admin/broker.sock"
holds "its state" test -d "$T/home/.local/state/credential-broker"
holds "it can be set up without any option" "${as[@]}" "$CLI" init
holds "the key file's place" is "$(find "$T/home/.config/credential-broker" -type f -perm 600 | wc -l)" 1
tally
