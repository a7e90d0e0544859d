#!/usr/bin/env bash
# Which lines of a parser its fuzz target reaches with the committed corpus alone: built with gcc --coverage, counted by gcov. Fails when a
# source has less than LEAST (95) %. `coverage.sh -v` shows the lines that were not reached.
set -euo pipefail
cd "$(dirname "$0")/../.."
B=build/fuzz-coverage LEAST=${LEAST:-95}
# target: sources
table="gate: proxy/gate proxy/gate_fields proxy/gate_list proxy/gate_scan proxy/gate_path
gate_response: proxy/gate_response
chunk: proxy/chunk
model: proxy/model proxy/json_scan
usage: proxy/usage proxy/sse proxy/json_scan
request_policy: vault/request_policy base/glob
guard: proxy/guard proxy/guard_forms proxy/guard_trie
host: proxy/host
token_body: proxy/token_body
json_edit: cli/json_edit
token: crypto/token crypto/caveats
oauth_reply: oauth/reply
brought: cli/brought
acp_scan: exec/acp_scan
acp_text: exec/acp_text"
flags=(-std=gnu17 -D_GNU_SOURCE '-DBROKER_VERSION="0"' -Iinclude -Ibroker -Itests -Itests/fuzz -O0 -g --coverage -DBROKER_NO_SANDBOX)
archives=()
for folder in vault keysource store provider crypto api proxy oauth cli exec client base; do archives+=("$B/lib$folder.a"); done
make -s -j2 B="$B" HARD="-O0 -g --coverage -DBROKER_NO_SANDBOX -fPIE" LINK=-pie "${archives[@]}" >/dev/null
low=0
while read -r target sources; do
    target=${target%:}
    mkdir -p "$B/bin"
    gcc "${flags[@]}" "tests/fuzz/$target.c" tests/fuzz/coverage/replay.c -Wl,--start-group "${archives[@]}" -Wl,--end-group \
        -Wl,--as-needed -lmicrohttpd -ljansson -lsodium -lseccomp -lcyaml -lyaml -lssl -lcrypto -lcares -lzstd -lcurl -o "$B/bin/$target"
    find "$B" -name '*.gcda' -delete
    files=$("$B/bin/$target" "tests/fuzz/corpus/$target")
    for s in $sources; do
        said=$(gcov -n -o "$B/obj/broker/$s.gcda" "broker/$s.c" 2>/dev/null | grep -A1 "^File '.*broker/$s.c'" | tail -n 1)
        percent=$(sed -E 's/^Lines executed:([0-9.]+)% of ([0-9]+)$/\1/' <<<"$said") lines=${said##* }
        note=
        if ! awk -v p="$percent" -v l="$LEAST" 'BEGIN { exit !(p >= l) }'; then
            note="  under $LEAST %" low=$((low + 1))
        fi
        printf '%-14s %-26s %6s %% of %4s lines, %4s inputs%s\n' "$target" "$s.c" "$percent" "$lines" "$files" "$note"
        if [[ ${1:-} == -v ]]; then
            gcov -t -o "$B/obj/broker/$s.gcda" "broker/$s.c" 2>/dev/null | grep -E "^ *#####" | sed "s|^ *#####: *|    $s.c:|" || true
        fi
    done
done <<<"$table"
exit $((low > 0))
