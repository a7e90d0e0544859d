#!/usr/bin/env bash
# An older state of the store put back (a backup, a snapshot, somebody who wants a removed key or credential to count again) while the
# audit log is newer: the store says so and releases nothing, over restarts, until an operator accepts; the acceptance is in the log.
. "$(dirname "$0")/lib.bash" || exit 1
. "$(dirname "$0")/faults.bash"
init_broker
"$CLI" enroll key --provider generic <<<old-value >/dev/null 2>&1
consumer gateway key secret --ttl 1h
"$CLI" key add keyfile --path "$STATE/second.key" >/dev/null
old=$T/old new=$T/new
snapshot() { # DIR: the state as it lies on the disk, the broker stopped
    end_broker
    cp -a "$STATE" "$1"
    start_broker
}
put_back() { # FROM what…
    local part
    for part in "${@:2}"; do
        # shellcheck disable=SC2086
        rm -rf "${STATE:?}"/$part
        # shellcheck disable=SC2086
        cp -a "$1"/$part "$STATE/"
    done
}
snapshot "$old"
"$CLI" replace key --yes <<<new-value >/dev/null 2>&1
"$CLI" key remove 0 --yes >/dev/null
end_broker
cp -a "$STATE" "$new"
[[ -n $(find "$STATE" -maxdepth 1 -name 'manifest-*' -newer "$old/keys") ]] || die "nothing changed"

found() { # WHAT pattern: refused, also after another restart; then accepted
    local i
    for i in 1 2; do
        start_broker
        state_is rollback || die "$1 is not found at start $i: $("$CLI" status | head -n 1)"
        "$CLI" status | grep -qE "$2" || die "$1: status says $("$CLI" status | head -n 1)"
        [[ $(lease gateway key) == '503 {"error":"rollback"'* ]] || die "released from $1"
        expect_fail 19 'rollback|rolled back|put back' "$CLI" enroll more --provider generic --from-env HOME
        end_broker
    done
    start_broker
    "$CLI" store accept --yes >/dev/null
    released gateway key || die "$1: no service after the acceptance"
    end_broker
    start_broker
    state_is ready || die "$1: the acceptance is forgotten: $("$CLI" status | head -n 1)"
    end_broker
    verify_log
    grep -h '"event":"store.rollback"' "$STATE"/log/audit-*.jsonl | grep -q '"reason":"rollback"' || die "$1 is not in the log"
    grep -hq '"event":"store.accept","outcome":"ok"' "$STATE"/log/audit-*.jsonl || die "the acceptance is not in the log"
}
fresh() { rm -rf "$STATE" && cp -a "$new" "$STATE"; }

put_back "$old" 'manifest-*' records keys
cp -a "$old/master.key" "$STATE/" # the removed slot's key, kept by somebody
found "a whole older store" 'rolled back|put back'
start_broker
[[ $(lease gateway key | field secret) == old-value ]] || die "what was accepted is not the older store"
end_broker

fresh
put_back "$old" 'manifest-*' records
found "an older manifest" 'has seen change [0-9]+: it was rolled back'

# the same number of changes, of which the last is another one
for which in this other; do
    fresh
    start_broker
    "$CLI" replace key --yes <<<"$which-value" >/dev/null 2>&1
    end_broker
    cp -a "$STATE" "$T/$which"
done
rm -rf "$STATE" && cp -a "$T/this" "$STATE"
put_back "$T/other" 'manifest-*' records
found "a store of another history" 'is at change ([0-9]+) but the audit log has seen change \1:'

fresh
put_back "$old" keys
found "an older key header" 'key header is at change [0-9]+.*has seen change [0-9]+'

# a newer record exchanged for an older one of the same name opens nothing
fresh
cp "$(find "$old/records" -type f)" "$(find "$STATE/records" -type f)"
start_broker
[[ $(lease gateway key) == '500 {"error":"corrupt"'* ]] || die "an older record in the place of a newer one: $(lease gateway key)"
end_broker

# before a rekey: the old header's key opens nothing of what is there now
fresh
start_broker
"$CLI" rekey --yes >/dev/null
eventually 5 grep -q rekey.end "$STATE"/log/audit-*.jsonl || die "the rekey does not end"
end_broker
put_back "$new" keys
start_broker
state_is locked || state_is rollback || die "a header of before the rekey: $("$CLI" status | head -n 1)"
"$CLI" status | grep -q 'an older one was put back' || die "a header of before the rekey: status says $("$CLI" status | head -n 1)"
[[ $(lease gateway key) == 503* ]] || die "released under a header of before the rekey"
end_broker

# the rollback of everything but the log is found while it runs, too: at the next unlock
fresh
start_broker
put_back "$old" 'manifest-*' records
"$CLI" lock >/dev/null
"$CLI" unlock >/dev/null 2>&1 || true
[[ $(lease gateway key) != 20* ]] || die "released after a rollback behind a lock"
