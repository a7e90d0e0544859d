#!/usr/bin/env bash
# Sizes of the house: functions of at most 60 lines and 6 parameters (the sixth is `why`), files of at most 450 lines. Prints the medians.
set -euo pipefail
cd "$(dirname "$0")/../.."
bad=0
while read -r n file; do
    [[ $file == total ]] && continue
    ((n <= 450)) || { echo "$file has $n lines"; bad=1; }
done < <(wc -l broker/*.c broker/*/*.[ch] include/broker/*.h)
list=$(mktemp)
trap 'rm -f "$list"' EXIT
ctags -f - --fields=+neS --kinds-C=f broker/*.c broker/*/*.c | awk -F'\t' '
    { start = 0; end = 0; sig = ""
      for (i = 4; i <= NF; i++) {
          if ($i ~ /^line:/) start = substr($i, 6)
          if ($i ~ /^end:/) end = substr($i, 5)
          if ($i ~ /^signature:/) sig = substr($i, 11)
      }
      print end - start + 1, gsub(/,/, ",", sig) + 1, $2 ":" start ": " $1 }' | sort -n >"$list"
# callbacks whose parameters a library fixes: NAME FILE
fixed="on_request broker/api/http.c"
awk -v fixed="$fixed" '$1 > 60 { print $3, $4, "has", $1, "lines"; bad = 1 } $2 > 6 && index(fixed, $4 " " substr($3, 1, index($3, ":") - 1)) == 0 { print $3, $4, "has", $2, "parameters"; bad = 1 }
    { size[n++] = $1 }
    END { printf "%d functions, median %d lines, 95 %% under %d\n", n, size[int(n / 2)], size[int(n * .95)]; exit bad }' "$list" || bad=1
exit $bad
