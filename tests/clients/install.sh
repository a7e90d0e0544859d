#!/usr/bin/env bash
# Installs the programs of package.json, each at its one version, below DIRECTORY, and does nothing when they are there already. Install
# scripts of packages do not run; the two that put a native program into its place are run by name. Needs an npm of any recent version.
#   install.sh DIRECTORY
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
to=${1:?usage: install.sh DIRECTORY}
cmp -s "$here/package.json" "$to/installed" && exit 0
command -v npm >/dev/null || { echo "npm is missing" >&2; exit 1; }
mkdir -p "$to"
cd "$to"
rm -f installed
cp "$here/package.json" package.json
npm install --no-audit --no-fund --no-package-lock --ignore-scripts --loglevel=error >npm.log 2>&1 || { tail -n 20 npm.log >&2; exit 1; }
node=$(echo "$to"/node_modules/node-linux-*/bin/node)
export PATH=${node%/*}:$PATH
(cd node_modules/@anthropic-ai/claude-code && node install.cjs)
(cd node_modules/opencode-ai && node postinstall.mjs)
# one folder with all programs; two of them have one name
mkdir -p bin zed
ln -sf ../node_modules/.bin/{claude,claude-agent-acp,codex,codex-acp,gemini,opencode} bin/
ln -sf "$node" bin/node
ln -sf "$(echo "$to"/node_modules/@zed-industries/codex-acp-linux-*/bin/codex-acp)" zed/codex-acp
cp "$here/package.json" installed
