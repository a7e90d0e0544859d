#!/bin/sh
# Stands for a gateway that reads its logins once, at start-up, the way DeerFlow does: environment first, then the two files.
say() { printf '  gateway: %s\n' "$*"; }
last4() { printf %s "$1" | tail -c 4; }
if [ -n "${ANTHROPIC_API_KEY-}" ]; then say "Claude by ANTHROPIC_API_KEY …$(last4 "$ANTHROPIC_API_KEY")"
elif [ -n "${CLAUDE_CODE_OAUTH_TOKEN-}" ]; then say "Claude by CLAUDE_CODE_OAUTH_TOKEN …$(last4 "$CLAUDE_CODE_OAUTH_TOKEN")"
elif [ -r "${CLAUDE_CODE_CREDENTIALS_PATH:-$HOME/.claude/.credentials.json}" ]; then
    say "Claude by file ${CLAUDE_CODE_CREDENTIALS_PATH:-$HOME/.claude/.credentials.json}"
else say "no Claude login"; fi
if [ -r "${CODEX_AUTH_PATH:-$HOME/.codex/auth.json}" ]; then say "Codex by file ${CODEX_AUTH_PATH:-$HOME/.codex/auth.json}"
else say "no Codex login"; fi
[ -e "$HOME/.claude" ] || [ -e "$HOME/.codex" ] || say "there is no ~/.claude and no ~/.codex here"
for file in "${CLAUDE_CODE_CREDENTIALS_PATH-}" "${CODEX_AUTH_PATH-}"; do
    [ -r "$file" ] && grep -qE '"refresh_?[tT]oken":"[^"]' "$file" && say "A REFRESH TOKEN IS IN $file" && exit 1
done
exit 0
