# Shared by the tests that are named after promises: lib.bash, and a count of what was seen, so that what needs root is counted as skipped.
# shellcheck shell=bash disable=SC2034
. "$(dirname "${BASH_SOURCE[0]}")/lib.bash"
shopt -s lastpipe # the last part of a pipe counts too
seen=0 left_out=0
# where every uid can read it, whoever owns the source tree
install -m 644 -D "$ROOT/tests/fake/unixhttp.py" "$T/py/unixhttp.py"
chmod 755 "$T/py"
export PYTHONPATH=$T/py PYTHONDONTWRITEBYTECODE=1
PATH=/usr/bin:/bin:$PATH # a python that other uids can run too
PYTHON=$(command -v python3)

# holds SENTENCE CMD…: the command succeeds, or the test has failed with the sentence
holds() {
    local what=$1
    shift
    "$@" || die "$what"
    seen=$((seen + 1))
}
refused() { ! "$@" >/dev/null 2>&1; }
is() { [[ $1 == "$2" ]] || { echo "it is \"$1\", not \"$2\"" >&2; return 1; }; }
# begins CALLED PREFIX: the answer of call() has this status
begins() { [[ $1 == "$2"* ]] || { echo "answer: $1" >&2; return 1; }; }
leave_out() { # COUNT WHY
    left_out=$((left_out + $1))
    echo "skip ($1) $2"
}
tally() {
    ((seen > 0)) || die "nothing was asserted"
    echo "$seen passed, 0 failed, $left_out skipped"
}
# what a python program on standard input asserted counts too: it prints "ok SENTENCE" for each
asserts() {
    timeout 60 "$PYTHON" - "$@" >"$T/asserted" || { cat "$T/asserted"; die "see above"; }
    local n
    n=$(grep -c '^ok ' "$T/asserted" || true)
    ((n > 0)) || die "a program asserted nothing"
    seen=$((seen + n))
}
as_uid() { # UID CMD…
    local uid=$1
    shift
    setpriv --reuid="$uid" --regid="$uid" --clear-groups "$@"
}
audit_has() { eventually 3 audit_line "$@"; } # refusals are written within 100 ms, behind the answer
audit_line() { # KEY=VALUE…: one line of the log has them all
    "$CLI" audit export >"$T/export.jsonl" 2>/dev/null || return 1
    python3 - "$T/export.jsonl" "$@" <<'PY'
import json, sys
want = dict(a.split("=", 1) for a in sys.argv[2:])
sys.exit(not any(all(str(json.loads(l).get(k, "")) == v for k, v in want.items()) for l in open(sys.argv[1])))
PY
}
status_of() { "$CLI" status --json | python3 -c 'import json,sys
v=json.load(sys.stdin)
for k in sys.argv[1].split("."): v=v[int(k)] if isinstance(v,list) else v[k]
print(v)' "$1"; }
worker_pid() { # ROLE, as the broker itself says it
    "$CLI" status --json | python3 -c 'import json,sys
print(next(w["pid"] for w in json.load(sys.stdin)["workers"] if w["role"]==sys.argv[1]))' "$1"
}
all_pids() { pgrep -P "$BROKER"; echo "$BROKER"; }
live_leases() { "$CLI" lease list --json | python3 -c 'import json,sys; print(len(json.load(sys.stdin)["leases"]))'; }
enroll_key() { "$CLI" enroll "${1:-key}" --provider anthropic <"$LOGINS/anthropic.txt" >/dev/null 2>&1; }
enroll_claude() { "$CLI" enroll claude --provider claude <"$LOGINS/claude.json" >/dev/null 2>&1; }
