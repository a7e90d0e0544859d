#!/usr/bin/env bash
# git, docker and aws get a secret in their own protocol, and only for the server it is for: any other scheme, host or port gets nothing. git
# itself is asked where it is installed; Claude's apiKeyHelper and Codex's auth.command are one line on standard output.
. "$(dirname "$0")/promise.bash" || exit 1
init_broker
SECRET=ghp_FAKE0123456789abcdefghijklmnopqrstuv
"$CLI" enroll forge --provider generic --origin https://git.example.invalid --username bot >/dev/null 2>&1 <<<"$SECRET"
"$CLI" enroll registry --provider generic --origin https://registry.example.invalid:5000 --username puller >/dev/null 2>&1 <<<"registry-FAKE-0123456789"
"$CLI" enroll nobody --provider generic --origin https://nobody.example.invalid >/dev/null 2>&1 <<<"nobody-FAKE-0123456789"
"$CLI" enroll lines --provider generic --origin https://lines.example.invalid --username x >/dev/null 2>&1 <"$LOGINS/generic-private-key.pem"
"$CLI" enroll cloud --provider generic --username AKIAFAKE >/dev/null 2>&1 <<<"aws-FAKE-secret-0123456789"
enroll_key
for name in forge registry nobody lines cloud; do consumer gateway $name helper; done
consumer gateway key helper
consumer gateway key secret,helper
helper() { "$CLI" helper "$1" --socket "$RUN/gateway" "${@:2}"; }

# ---- git
ask_git() { printf '%s\n' "$@" '' | helper git forge get; } # what git writes to a helper
holds "git's question" is "$(ask_git protocol=https host=git.example.invalid | sed '/^password_expiry_utc=/d')" \
    $'username=bot\npassword='"$SECRET"
expiry=$(ask_git protocol=https host=git.example.invalid | sed -n 's/^password_expiry_utc=//p')
holds "the expiry" test "$expiry" -gt "$(date +%s)" -a "$expiry" -le "$(($(date +%s) + 901))"
for wrong in "protocol=http host=git.example.invalid" "protocol=https host=git.example.invalid:8443" "protocol=https host=evil.invalid" \
    "protocol=https host=git.example.invalid.evil.invalid" "protocol=https host=xgit.example.invalid" "protocol=ssh host=git.example.invalid" \
    "protocol=https host=git.example.invalid username=root" "protocol=https host=GIT.EXAMPLE.INVALID@evil.invalid"; do
    read -ra lines <<<"$wrong"
    holds "the secret went to $wrong" is "$(ask_git "${lines[@]}")" ""
done
holds "a host in capitals is the same" grep -q '^password=' <<<"$(ask_git protocol=https host=Git.Example.Invalid)"
holds "the port by its number is the same" grep -q '^password=' <<<"$(ask_git protocol=https host=git.example.invalid:443)"
for operation in store erase; do
    holds "$operation" is "$(printf 'protocol=https\nhost=git.example.invalid\nusername=x\npassword=y\n\n' | helper git forge $operation)" ""
done
holds "store changed it" grep -q "^password=$SECRET" <<<"$(ask_git protocol=https host=git.example.invalid)"
code=0
printf 'protocol=https\nhost=lines.example.invalid\n\n' | helper git lines get >"$T/said" 2>/dev/null || code=$?
holds "a secret of several lines became attributes" is "$code $(<"$T/said")" "3 "
for bad in 'protocol=https\nhost' '=x' 'protocol=https\nhost=git.example.invalid\0.evil' 'protocol=https\nhost=git.example.invalid\r.evil'; do
    code=0
    printf '%b\n\n' "$bad" | helper git forge get >"$T/said" 2>/dev/null || code=$?
    holds "a broken question was answered: $(<"$T/said")" test ! -s "$T/said"
done
code=0
head -c 200000 /dev/zero | tr '\0' 'a' | helper git forge get >"$T/said" 2>&1 || code=$?
holds "a huge question: exit $code" is "$code" 12
if command -v git >/dev/null; then
    git_fill() { # URL
        GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null GIT_TERMINAL_PROMPT=0 GIT_ASKPASS=true HOME=$T \
            git -c credential.helper="!$CLI helper git --socket $RUN/gateway forge" credential fill <<<"url=$1"
    }
    holds "git itself gets it" grep -qx "password=$SECRET" <<<"$(git_fill https://git.example.invalid/some/repo.git)"
    holds "git itself sends it elsewhere" refused grep -q "$SECRET" <<<"$(git_fill https://evil.invalid/some/repo.git 2>&1 || true)"
else
    leave_out 2 "git is not installed"
fi

# ---- docker
docker_get() { echo "$1" | helper docker registry get; }
holds "docker's question" is "$(docker_get https://registry.example.invalid:5000 | python3 -c 'import json,sys; v=json.load(sys.stdin); print(v["Username"], v["Secret"])')" \
    "puller registry-FAKE-0123456789"
holds "without a scheme" grep -q registry-FAKE <<<"$(docker_get registry.example.invalid:5000)"
for wrong in https://registry.example.invalid http://registry.example.invalid:5000 https://evil.invalid:5000 https://registry.example.invalid:50000; do
    got=$(docker_get "$wrong" 2>/dev/null || true)
    holds "docker: the secret went to $wrong" refused grep -q registry-FAKE <<<"$got"
    holds "docker is not told in its own words: $got" is "$got" "credentials not found in native keychain"
done
holds "docker: store is not refused" refused helper docker registry store <<<'{"ServerURL":"https://registry.example.invalid:5000","Username":"x","Secret":"y"}'
got=$(echo https://nobody.example.invalid | helper docker nobody get 2>&1 || true)
holds "a secret without a user: $got" grep -q 'username' <<<"$got"

# ---- aws credential_process
helper aws cloud >"$T/aws" || die "aws is not answered"
holds "aws" is "$(python3 -c 'import json,sys; v=json.load(sys.stdin); print(v["Version"], v["AccessKeyId"], v["SecretAccessKey"])' <"$T/aws")" \
    "1 AKIAFAKE aws-FAKE-secret-0123456789"

# ---- apiKeyHelper, auth.command
holds "one line" is "$("$CLI" token key --socket "$RUN/gateway" | wc -l)" 1
holds "the key" is "$("$CLI" token key --socket "$RUN/gateway")" "$(<"$LOGINS/anthropic.txt")"
expect_fail 4 . "$CLI" token forge --deliver secret --socket "$RUN/gateway"
expect_fail 2 . "$CLI" helper svn --socket "$RUN/gateway" get
seen=$((seen + 2))
tally
