#!/bin/sh
# Stands in for the language host, which is beside it. The engine sends the options of `runtime` in Pulumi.yaml with its
# requests; this host is too old to read them there and wants them as flags. It is started in the folder of the program:
# the project's file is there or above.
script=$(readlink -f "$0")
directory=$PWD
file=
while [ -z "$file" ]; do
  for name in Pulumi.yaml Pulumi.yml Pulumi.json; do
    if [ -z "$file" ] && [ -f "$directory/$name" ]; then file=$directory/$name; fi
  done
  if [ -z "$directory" ]; then break; fi
  directory=${directory%/*}
done

# Prints nodeargs and typescript of `runtime.options`, one a line. Block style, flow style and JSON; no anchors or tags.
options() {
  awk '
    { text = text $0 "\n" }
    # The keys that lead to the present place are a stack: by braces in flow style, by indentation otherwise.
    function push(key, column) {
      while (top > 0 && (depth > 0 ? flow[top] >= depth : flow[top] > 0 || indent[top] >= column)) top--
      top++; name[top] = key; indent[top] = column; flow[top] = depth
    }
    function set(value,    i, path) {
      for (i = 1; i <= top; i++) path = path "." name[i]
      if (path == ".runtime.options.nodeargs") nodeargs = value
      if (path == ".runtime.options.typescript") typescript = value
    }
    function quoted(    quote, char, result) {
      quote = substr(text, p++, 1)
      for (; p <= size; p++) {
        char = substr(text, p, 1)
        if (char == quote) {
          if (quote == "\"" || substr(text, p + 1, 1) != quote) { p++; break }
          p++
        } else if (char == "\\" && quote == "\"") char = substr(text, ++p, 1)
        result = result char
      }
      return result
    }
    function plain(    start, char, result) {
      for (start = p; p <= size; p++) {
        char = substr(text, p, 1)
        if (char == "\n" || (depth > 0 && index(",{}[]", char))) break
        if (char == ":" && substr(text, p + 1, 1) ~ /[ \t\r\n]/) break
        if (char == "#" && substr(text, p - 1, 1) ~ /[ \t]/) break
      }
      result = substr(text, start, p - start)
      sub(/[ \t\r]+$/, "", result)
      return result
    }
    # Lines after | or > that are indented deeper than their key.
    function folded(    end, line, result) {
      while (p <= size && substr(text, p, 1) != "\n") p++
      for (p++; p <= size; p += end) {
        end = index(substr(text, p), "\n")
        line = substr(text, p, end - 1)
        if (line !~ /^[ \t\r]*$/) {
          match(line, /^ */)
          if (RLENGTH <= indent[top]) break
          result = result (result == "" ? "" : " ") substr(line, RLENGTH + 1)
        }
      }
      begin = p
      return result
    }
    END {
      size = length(text); begin = 1
      for (p = 1; p <= size; ) {
        char = substr(text, p, 1)
        if (char == "\n") { begin = ++p; continue }
        if (char ~ /[ \t\r]/) { p++; continue }
        if (char == "#") { while (p <= size && substr(text, p, 1) != "\n") p++; continue }
        if (char ~ /[][{},]/) {
          if (char ~ /[[{]/) depth++
          if (char ~ /[]}]/) depth--
          waiting = 0; p++
          continue
        }
        column = p - begin
        word = char ~ /["\047]/ ? quoted() : plain()
        if (match(substr(text, p), /^[ \t]*:/)) { p += RLENGTH; push(word, column); waiting = 1; continue }
        if (!waiting) continue
        waiting = 0
        if (depth == 0 && char ~ /[|>]/) word = folded()
        set(word)
      }
      print nodeargs
      print typescript
    }' "$1"
}

nodeargs=
typescript=
if [ -n "$file" ]; then
  {
    IFS= read -r nodeargs
    IFS= read -r typescript
  } <<EOF
$(options "$file")
EOF
fi
exec "${script%/*}/pulumi-language-nodejs-host" -nodeargs="$nodeargs" -typescript="${typescript:-true}" "$@"
