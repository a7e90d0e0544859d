#!/bin/sh
# A small ACP agent (Agent Client Protocol: JSON-RPC 2.0, one message a line, on stdio) that answers `initialize` and shows, in
# `_meta`, which login variables and files it was started with: names, lengths and the last four characters, never a value.
shown() {
    for name in CLAUDE_CODE_OAUTH_TOKEN ANTHROPIC_AUTH_TOKEN ANTHROPIC_API_KEY CODEX_API_KEY OPENAI_API_KEY GEMINI_API_KEY; do
        eval "value=\${$name-}"
        [ -n "$value" ] && printf '"%s":"%s characters, …%s",' "$name" "${#value}" "$(printf %s "$value" | tail -c 4)"
    done
    for file in "${CLAUDE_CONFIG_DIR:-$HOME/.claude}/.credentials.json" "${CODEX_HOME:-$HOME/.codex}/auth.json"; do
        [ -r "$file" ] && printf '"%s":"%s bytes, refresh token: %s",' "${file##*/}" "$(wc -c <"$file" | tr -d ' ')" \
            "$(grep -qE '"refresh_?[tT]oken":"[^"]' "$file" && echo yes || echo none)"
    done
}
while IFS= read -r line; do
    id=$(printf '%s' "$line" | sed -n 's/.*"id"[ ]*:[ ]*\([0-9][0-9]*\).*/\1/p')
    case $line in
    *'"method":"initialize"'*)
        environment=$(shown)
        printf '{"jsonrpc":"2.0","id":%s,"result":{"protocolVersion":1,"agentInfo":{"name":"sample-adapter","version":"0"},"agentCapabilities":{},"authMethods":[],"_meta":{"environment":{%s}}}}\n' \
            "${id:-0}" "${environment%,}"
        ;;
    *) printf '{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"this sample only knows initialize"}}\n' "${id:-0}" ;;
    esac
done
