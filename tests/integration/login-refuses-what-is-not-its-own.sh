#!/usr/bin/env bash
# A login takes the code that belongs to it, from nobody else: another login's code, another state, a page of another site, a second redirect. What
# goes wrong is said with what to do, ends the login and enrolls nothing; a login that works is not replaced unasked, one that ended is.
. "$(dirname "$0")/login.bash"
start_idp --issued "$ISSUED"
login_config </dev/null
init_broker
enrolled() { "$CLI" show "$1"; }
says() { grep -qE -- "$1" "$T/err" || { cat "$T/err" >&2; return 1; }; }

# another login's code, twice, and then its own
begin a --provider claude
other=$(person "${OPEN%state=*}state=$(printf 'x%.0s' {1..43})")
holds "a code with another state came: $other" test "${other#*#}" = "$(printf 'x%.0s' {1..43})"
echo "$other" >&"$TYPED"
eventually 5 says "of another login" || die "nothing was said"
echo "nonsense" >&"$TYPED"
eventually 5 says "paste all of it" || die "nothing was said"
holds "the refusal is recorded" audit_has event=login.denied credential=a reason=bad_token
person "$OPEN" >&"$TYPED"
echo >&"$TYPED"
holds "its own is taken after that" finish 0

# the code of a URL with another challenge: the state is right, and the verifier is not
begin b --provider claude
person "${OPEN/code_challenge=????????/code_challenge=AAAAAAAA}" >&"$TYPED"
echo >&"$TYPED"
holds "a code of another challenge is of no use" finish 4
holds "the provider's reason is said, and what to do" says "invalid_grant.*broker-cli login b"
holds "nothing is enrolled" refused enrolled b
holds "it is recorded" audit_has event=login.end credential=b outcome=denied

# declined in the browser
begin b --provider codex --device
agree deny
holds "declined on the device's page" finish 4
holds "is said so" says "declined"
idp "poll=expired_token"
begin b --provider corp --device
holds "a device code that expired" finish 22
holds "is said so" says "expired; begin again: broker-cli login b"
idp "device-life=1 poll=authorization_pending,authorization_pending,authorization_pending"
begin b --provider corp --device
holds "and one whose time is over" finish 22
idp "exchange=invalid_client"
begin b --provider claude
person "$OPEN" >&"$TYPED"
echo >&"$TYPED"
holds "a client that the provider does not take" finish 4
holds "is said with where it stands" says "client_id in broker.yaml"
idp ""

# the loopback listener
if ! (exec 3<>/dev/tcp/127.0.0.1/1455) 2>/dev/null; then
    begin b --provider codex
    at=http://localhost:1455/auth/callback
    holds "a redirect with another state gets nothing" is "$(person -o /dev/null -w '%{http_code}' "$at?code=x&state=y")" 400
    holds "nor one without" is "$(person -o /dev/null -w '%{http_code}' "$at?code=x")" 400
    holds "nor another path" is "$(person -o /dev/null -w '%{http_code}' "http://localhost:1455/?code=x&state=y")" 404
    holds "nor a page of another site" is "$(person -o /dev/null -w '%{http_code}' -H 'Host: evil.example:1455' "$at?code=x&state=${OPEN##*state=}")" 400
    holds "nor another method" is "$(person -o /dev/null -w '%{http_code}' -d x "$at?code=x&state=${OPEN##*state=}")" 405
    holds "a second login cannot have the port" expect_fail 8 "1455 of 127.0.0.1 is taken.*--device" "$CLI" login c --provider codex
    person -o /dev/null -L "$OPEN&answer=deny"
    holds "declined in the browser" finish 4
    holds "is said so" says "access_denied"
else
    leave_out 8 "port 1455 is taken"
fi

# given up
begin b --provider claude
kill -TERM "$LOGIN"
holds "a signal gives it up" finish 143
holds "and the broker knows" audit_has event=login.end credential=b reason=denied
holds "input that ends does too" expect_fail 2 "standard input, which has ended" "$CLI" login b --provider claude

# nobody there
stop_idp
begin b --provider claude
echo "code#${OPEN##*state=}" >&"$TYPED"
holds "a provider that cannot be reached" finish 21
holds "is named" says "127.0.0.1.*broker-cli login b"
holds "and for a device code" expect_fail 21 "127.0.0.1" "$CLI" login b --provider corp --device
start_idp --port "$PORT" --issued "$ISSUED"

# what is there
holds "a login that works is not replaced unasked" expect_fail 7 "broker-cli login a --replace" "$CLI" login a
holds "and not without a yes" expect_fail 2 "say --yes" "$CLI" login a --replace
holds "another provider's login does not take its place" expect_fail 8 "enrolled with provider claude" "$CLI" login a --provider corp --device --replace --yes
"$CLI" remove a --yes >/dev/null
login -10 "" >"$T/login.json" # without a refresh token, or the broker renews it by itself
"$CLI" enroll a --provider claude --file "$T/login.json" >/dev/null 2>&1
rm "$T/login.json"
begin a
person "$OPEN" >&"$TYPED"
echo >&"$TYPED"
holds "one that ended is replaced as it is" finish 0
holds "by the next version" is "$(show a 'c["version"]')" 2
holds "nobody's provider" expect_fail 3 "broker.yaml names in providers" "$CLI" login x --provider nobody --device
holds "a key is no login" expect_fail 2 "broker-cli enroll x --provider openai" "$CLI" login x --provider openai
holds "no more than sixteen at once" expect_fail 11 "under way already" bash -c "
    for n in {1..17}; do
        out=\$(curl -sS --unix-socket '$RUN/admin/broker.sock' -H 'content-type: application/json' -d '{\"name\":\"n'\$n'\",\"provider\":\"claude\",\"flow\":\"page\"}' http://localhost/v1/logins)
    done
    '$CLI' login more --provider claude"
tally
