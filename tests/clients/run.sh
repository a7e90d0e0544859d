#!/usr/bin/env bash
# The real clients against the fake provider, directly and through the broker (matrix.py), in network and mount namespaces of their own, so that
# any other host is seen and none is reached. Installs the clients below build/clients first. Without root everything counts as skipped.
#   run.sh [--only TEXT] [--way direct|broker|gateway|session] [--keep]     CLIENTS: where they are;  RECORD=1: the results go into contrib/clients.md
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
build=${BUILD:-$root/build} clients=${CLIENTS:-${BUILD:-$root/build}/clients}
if ((EUID != 0)); then
    echo "needs root, for a network namespace of its own"
    echo "0 passed, 0 failed, 28 skipped"
    exit
fi
"$root/tests/clients/install.sh" "$clients"
record=()
[[ -z ${RECORD:-} ]] || record=(--table "$root/contrib/clients.md")
export PYTHONDONTWRITEBYTECODE=1
exec unshare --net --mount --propagation private -- python3 "$root/tests/clients/matrix.py" "$build" "$clients" "${record[@]}" "$@"
