#!/usr/bin/env bash
# The disk fills up while a provider makes its answer: the answer is kept all the same, in room that was taken before the request; the new version is
# committed as soon as there is room, also by another run after kill -9. Without room for the answer nothing is asked. Root on a small tmpfs.
. "$(dirname "$0")/refresh.bash"
need_root
finish() {
    local code=$?
    set +e
    for pid in "${PIDS[@]}"; do kill -KILL "$pid" 2>/dev/null || true; done
    { wait || true; } 2>/dev/null
    umount "$STATE" 2>/dev/null || true
    (exit "$code")
    cleanup
}
trap finish EXIT
mkdir -m 700 "$STATE"
mount -t tmpfs -o size=4m,mode=700 none "$STATE" 2>/dev/null || skip "no tmpfs can be mounted here"
chown "$SYSTEM_USER" "$STATE"
fill() { dd if=/dev/zero of="$STATE/fill" bs=4k 2>/dev/null || true; }
start_idp --life 3600 --family
idp_config </dev/null
init_broker
enroll_login 3600
consumer gateway claude access_token
"$CLI" refresh claude >/dev/null || die "it does not work with room"

begin() { # a refresh whose answer takes 2 s; the disk is full before it comes
    idp token=slow=2
    "$CLI" refresh claude >"$T/said" 2>&1 &
    ASKER=$!
    PIDS+=("$ASKER")
    eventually 5 shows claude 'c["refresh"]["running"]' True || die "no refresh began"
    fill
    idp
    wait "$ASKER" || true
}
begin
holds "the provider has answered" is "$(refreshes 200)" 2
holds "the new version has no room: $(<"$T/said")" grep -qiE "space|full|no_space" "$T/said"
holds "the login is as it was, and works" is "$(show claude 'c["state"], c["version"]')" "('ok', 2)"
holds "the answer is kept" test -n "$(find "$STATE/refresh" -name '*.refresh')"
rm "$STATE/fill"
committed() { shows claude 'c["version"]' "$1"; }
eventually 20 committed 3 || die "it is not committed when there is room: $("$CLI" show claude --json)"
holds "with room it is committed, and nobody was asked again" is "$(asked)" 2
holds "what came is good" "$CLI" refresh claude

begin
crash_broker
rm "$STATE/fill"
start_broker
eventually 20 committed 5 || die "the next run does not commit it: $("$CLI" show claude --json)"
holds "after kill -9 the next run commits what was kept, and nobody is asked again" is "$(asked)" 4
holds "and it is good" "$CLI" refresh claude

fill
before=$(asked)
holds "a refresh without room says so" grep -qE 'space|room|audit' <("$CLI" refresh claude 2>&1 || true)
holds "without room for the answer nothing is asked" is "$(asked)" "$before"
rm "$STATE/fill"
works() { "$CLI" refresh claude; }
eventually 20 works || die "it does not come back: $("$CLI" refresh claude 2>&1)"
holds "with room it works again" is "$(show claude 'c["state"]')" ok
tally
