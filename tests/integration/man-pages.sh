#!/usr/bin/env bash
# The manual pages are formatted without a warning by groff (and mandoc where it is installed), and say what the programs do: the table
# of exit codes, the keys of the configuration, the options of brokerd and the environment.
. "$(dirname "$0")/lib.bash" || exit 1
for tool in man groff; do command -v "$tool" >/dev/null || skip "needs $tool (man-db, groff-base)"; done
M=$ROOT/contrib/man
bad=0
miss() { echo "$*" >&2; bad=$((bad + 1)); }
pages=("$M"/*.[1-8])
((${#pages[@]} == 5)) || die "${#pages[@]} pages, not 5"
for page in "${pages[@]}"; do
    name=${page##*/}
    groff -mandoc -ww -Tutf8 "$page" >/dev/null 2>"$T/said"
    [[ ! -s $T/said ]] || miss "groff on $name: $(cat "$T/said")"
    LC_ALL=C.UTF-8 MANWIDTH=80 man --warnings -E UTF-8 -l "$page" >"$T/page" 2>"$T/said"
    [[ ! -s $T/said ]] || miss "man on $name: $(cat "$T/said")"
    for section in NAME DESCRIPTION EXAMPLES "SEE ALSO"; do grep -qx "$section" "$T/page" || miss "$name has no section $section"; done
    if command -v mandoc >/dev/null; then
        mandoc -Tlint -Wwarning "$page" >"$T/said" 2>&1 || miss "mandoc on $name: $(cat "$T/said")"
    fi
    # every page of ours that it points to is there
    sed -n 's/^\.Xr \([^ ]*\) \([1-8]\).*/\1.\2/p' "$page" | grep -E '^(broker|credential-broker)' | while read -r other; do
        [[ -e $M/$other ]] || echo "$name points to $other, which is not there"
    done >"$T/said"
    [[ ! -s $T/said ]] || miss "$(cat "$T/said")"
done

# the exit codes, number, word and sentence
while read -r number word text; do
    grep -qxF ".It $number Ta $word Ta $text" "$M/broker-cli.1" || miss "broker-cli.1 lacks exit code $number $word: $text"
done < <("$CLI" help exit)
[[ $(grep -c '^\.It [0-9]* Ta ' "$M/broker-cli.1") == $("$CLI" help exit | wc -l) ]] || miss "broker-cli.1 has codes that are not there"
for code in 124 125 126 127; do
    "$EXEC" --help | grep -q "$code" || miss "broker-exec does not tell of $code"
    grep -qx ".It $code" "$M/broker-exec.1" || miss "broker-exec.1 lacks $code"
done
# brokerd's options
for option in $("$DAEMON" --help | sed -n 's/^  --\([a-z-]*\).*/\1/p'); do
    grep -qE "^\.It Fl -$option( |$)" "$M/brokerd.8" || miss "brokerd.8 lacks --$option"
done
# the schema's keys, and the defaults that it tells
for key in $(sed -n '/^static const cyaml_schema_field_t/,/^static const cyaml_schema_value_t root/p' "$ROOT/broker/base/config_yaml.c" |
    grep -oE '(STRING_PTR|FLAGS|SEQUENCE|OPTIONAL_TEXT|OPTIONAL_LIST|OPTIONAL_MAP|OPTIONAL_WORD)\([^;]*' |
    sed -nE 's/^(STRING_PTR|FLAGS|SEQUENCE)\("([a-z_]+)".*/\2/p; s/^OPTIONAL_TEXT\([^,]*, "([a-z_]+)".*/\1/p; s/^OPTIONAL_[A-Z]+\([^,]*, ([a-z_]+).*/\1/p' |
    sort -u); do
    grep -qE "^\.It Cm $key( |$)" "$M/broker.yaml.5" || miss "broker.yaml.5 lacks the key $key"
    keys=$((${keys:-0} + 1))
done
((${keys:-0} >= 20)) || miss "only ${keys:-0} keys were read from the schema"
# the example is a configuration
sed -n '/^\.Sh EXAMPLES/,/^\.Ed/p' "$M/broker.yaml.5" | sed '/^\./d' >"$CONFIG"
grep -q '^consumers:' "$CONFIG" || miss "broker.yaml.5 has no example"
init_broker
[[ $("$CLI" consumer list --json | grep -o '"name":"[a-z-]*"' | sort -u | wc -l) -ge 3 ]] || miss "the example of broker.yaml.5 gives no three consumers"
# variables of ours that the programs read
for variable in $(grep -rhoE 'CREDENTIAL_BROKER_[A-Z]+' "$ROOT"/broker --include='*.c' | sort -u); do
    grep -q "Ev.*$variable" "${pages[@]}" || miss "no page tells of $variable"
done
((bad == 0)) || die "$bad faults"
echo "${#pages[@]} pages, ${keys:-0} keys"
