#!/usr/bin/env bash
# Fails on an include that points upward or sideways in the house, and on a library used outside its one folder.
set -euo pipefail
cd "$(dirname "$0")/../.."
bad=0
say() { printf '%s\n' "$*"; bad=1; }

# folder: what it may include (besides itself, <broker/…> contracts and the C library)
declare -A may=(
    [base]=""
    [crypto]="base"
    [keysource]="base crypto"
    [keyring]="base crypto keysource"
    [store]="base"
    [provider]="base"
    [vault]="base crypto keysource store provider"
    [supervisor]="base vault keysource"
    [api]="base provider"
    [proxy]="base"
    [oauth]="base provider"
    [client]="base"
    [exec]="client base"
    [cli]="client exec base provider crypto"
)
for file in broker/*/*.c broker/*/*.h; do
    folder=$(basename "$(dirname "$file")")
    [[ -v may[$folder] ]] || { say "$file: folder $folder is not in the layer table"; continue; }
    while IFS=: read -r line target; do
        to=${target%%/*}
        [[ $to == "$folder" ]] && continue
        [[ " ${may[$folder]} " == *" $to "* ]] || say "$file:$line: $folder may not include \"$target\""
    done < <(grep -nE '^#include "[a-z]+/' "$file" | sed -E 's/^([0-9]+):#include "([^"]+)".*/\1:\2/')
done

# library header: the only folders (or files) that may include it
only() {
    local header=$1 allowed=$2 file
    while read -r file; do
        [[ $file =~ $allowed ]] || say "$file: only $allowed may include <$header>"
    done < <(grep -lE "#include <$header" broker/*/*.[ch] broker/*.c include/broker/*.h 2>/dev/null)
}
only microhttpd.h '^broker/api/'
only libsecret '^broker/keyring/'
only curl/ '^broker/oauth/'
only openssl/ '^broker/proxy/'
only ares.h '^broker/proxy/resolve'
only zstd.h '^broker/proxy/model'
only cyaml/ '^broker/base/config'
only seccomp.h '^broker/base/sandbox'
only jansson.h '^broker/(base/json|provider/|cli/|api/|oauth/reply)'
only sodium.h '^broker/(crypto/|base/secret\.c)'
exit $bad
