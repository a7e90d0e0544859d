#!/usr/bin/env bash
# A state, run or configuration directory that somebody else owns or may write to is refused at the start, with the command that mends it;
# so is a symbolic link in its place, a directory of a consumer that another made, and a key file that others may read.
. "$(dirname "$0")/promise.bash" || exit 1
user=$EUID
((EUID != 0)) || user=$(id -u "$SYSTEM_USER")
group=$(id -g "$user" 2>/dev/null || echo "$user")
fresh() { # the three directories as they should be
    rm -rf "$T/s" "$T/r" "$T/c"
    mkdir -m 700 "$T/s"
    mkdir -m 755 "$T/r" "$T/c"
    ((EUID != 0)) || chown "$user:$group" "$T/s" "$T/r" "$T/c"
}
start() { # exit code of a broker that should not run
    local args=(--state "$STATE" --run "$RUN" --config "$CONFIG")
    ((EUID != 0)) || args+=(--user "$SYSTEM_USER")
    timeout 3 "$DAEMON" "${args[@]}" >"$T/said" 2>&1
}
refuses() { # WHAT PATTERN
    local code=0
    start || code=$?
    holds "$1: the broker ran (exit $code): $(<"$T/said")" test "$code" -eq 25
    holds "$1: it said $(<"$T/said")" grep -qE "$2" "$T/said"
}
for row in "s 750 700" "s 701 700" "s 777 700" "r 775 755" "r 777 755" "r 1777 1755" "c 775 755" "c 777 755"; do
    read -r dir mode mended <<<"$row"
    fresh
    chmod "$mode" "$T/$dir"
    refuses "$dir with mode $mode" "chmod 0*$mended $T/$dir"
    holds "it changed what is not its own" is "$(stat -c %a "$T/$dir")" "$mode"
done
for dir in s r c; do
    fresh
    mv "$T/$dir" "$T/$dir.real"
    ln -s "$T/$dir.real" "$T/$dir"
    code=0
    start || code=$?
    holds "$dir as a symbolic link: exit $code: $(<"$T/said")" test "$code" -ne 0 -a "$code" -ne 124
    rm -rf "${T:?}/$dir" "$T/$dir.real"
done
fresh
rm -r "$T/s"
touch "$T/s"
code=0
start || code=$?
holds "a file in the place of state: exit $code" test "$code" -ne 0 -a "$code" -ne 124
if ((EUID == 0)); then
    for dir in s r c; do
        fresh
        chown 1001:1001 "$T/$dir"
        refuses "$dir of another uid" "belongs to uid 1001; mend it with: chown $user $T/$dir|$T/$dir: Permission denied"
    done
else
    leave_out 6 "directories of another uid need root"
fi

# ---- a consumer's directory that is there already
fresh
init_broker
enroll_key
for evil in link writable foreign; do
    case $evil in
    link) mkdir -m 777 "$T/trap" && ln -s "$T/trap" "$RUN/link" ;;
    writable) mkdir "$RUN/writable" && chmod 777 "$RUN/writable" ;;
    foreign)
        ((EUID == 0)) || { leave_out 1 "a directory of another uid needs root"; continue; }
        mkdir -m 700 "$RUN/foreign" && chown 1001 "$RUN/foreign" ;;
    esac
    "$CLI" consumer add $evil >/dev/null 2>&1 || true
    holds "a socket was made in a directory that is a trap: $evil" test ! -e "$RUN/$evil/broker.sock" -a ! -e "$T/trap/broker.sock"
done
# ---- the key file
stop_broker
chmod 644 "$STATE/master.key"
start_broker
holds "a key file that all may read opened the store" is "$(status_of state)" locked
holds "the remedy is not said: $(status_of reason)" grep -q chmod <<<"$(status_of reason)"
chmod 600 "$STATE/master.key"
holds "mended, it does not open" "$CLI" unlock --key keyfile
tally
