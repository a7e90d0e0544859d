#!/usr/bin/env bash
# Every case of placeholders.json with the real client (try.py), in network and mount namespaces of its own. Without root all are skipped.
#   run.sh [--only TEXT] [--write]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$here/../../..
build=${BUILD:-$root/build}
if ((EUID != 0)); then
    echo "needs root, for a network namespace of its own"
    echo "0 passed, 0 failed, $(grep -c '"case":' "$here/placeholders.json") skipped"
    exit
fi
"$here/../install.sh" "$build/clients"
export PYTHONDONTWRITEBYTECODE=1
exec unshare --net --mount --propagation private -- python3 "$here/try.py" "$build/clients" "$@"
