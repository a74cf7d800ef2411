#!/bin/sh
# Build `load`, and hold it against its own `echo`: sh benchmarks/load/selfcheck.sh [port]. It takes about five seconds.
# Exits with 1 where something is not as it should be.
set -eu

port=${1:-21930} # and the two after it
source=$(dirname "$0")/load.c
folder=$(mktemp -d)
servers=
trap 'kill $servers 2>/dev/null || true; rm -rf "$folder"' EXIT
load=$folder/load

cc -O2 -std=gnu11 -Wall -Wextra -Werror -o "$load" "$source" -lm

# Start an `echo`, and wait until it listens.
serve() { # port transport answer option...
    number=$1
    mkfifo "$folder/$1"
    "$load" echo --port "$1" --transport "$2" --answer "$3" >"$folder/$1" $4 &
    servers="$servers $!"
    read -r listening <"$folder/$number"
    test "$listening" = "{\"listening\": $number}"
}

# Run `load`, and look for a pattern in what it prints.
expect() { # pattern argument...
    pattern=$1
    shift
    if ! printed=$("$load" "$@" 2>&1) || ! echo "$printed" | grep -Eq "$pattern"; then
        echo "load $*: expected $pattern, got: $printed" >&2
        exit 1
    fi
}

# Run `load` where it must fail, with one line that says this.
refuse() { # pattern argument...
    pattern=$1
    shift
    if printed=$("$load" "$@" 2>&1) || ! echo "$printed" | grep -Eq "$pattern" || test "$(echo "$printed" | wc -l)" != 1; then
        echo "load $*: expected a failure with $pattern, got: $printed" >&2
        exit 1
    fi
}

http=$((port + 1))
good='"calls": [1-9].*"errors": 0,'
printf '{"id":{id},"name":"a"}' >"$folder/request"
printf '{"id":10000000,"result":"right"}' >"$folder/answer"
printf 'POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}' >"$folder/http"
{ printf '{"id":{id},"name":"'; head -c 4000000 /dev/zero | tr '\0' a; printf '"}'; } >"$folder/large"
printf 'one\n!two\n?\n' >"$folder/script" # two messages said, two waited for
printf '{"method":"subscribe"}' >"$folder/subscribe"
printf '{"method":"turns","args":[30]}' >"$folder/turns"
printf '{"method":"burst","args":[30]}' >"$folder/burst"
printf '{"method":"turns","args":[1]}' >"$folder/one"
printf '{"push":"HERE"}' >"$folder/pushed"
pushes=$((port + 2))
serve "$port" ws "$folder/answer" ""
serve "$http" http "$folder/answer" ""
serve "$pushes" ws "$folder/answer" "--push $folder/pushed"

ws="--transport ws --port $port --request $folder/request --expect right --warmup 0.1 --seconds 0.5"
expect "$good" call $ws --connections 50
expect "$good" call $ws --connections 10 --in-flight 20 --open "$folder/script"
expect "$good" call $ws --connections 2 --request "$folder/large"
over_http="--transport http --port $http --request $folder/http --expect right --warmup 0.1 --seconds 0.5"
expect "$good" call $over_http --connections 50
expect "$good" call $over_http --connections 10 --in-flight 20
expect '"opened": [1-9].*"errors": 0,' connect --port "$port" --connections 20 --seconds 0.5 --open "$folder/script"

# Thirty pushes to each of 100, once in one write for each and once in thirty; and one at a time.
to_push="push --port $pushes --connections 100 --open $folder/subscribe --marker HERE"
expect '"deliveries": 3000,.*"errors": 0,' $to_push --pushes 30 --trigger "$folder/burst" --repeat 3
expect '"deliveries": 3000,.*"errors": 0,' $to_push --pushes 30 --trigger "$folder/turns" --repeat 3
expect '"p99_us": [1-9].*"errors": 0,' $to_push --mode latency --pushes 20 --trigger "$folder/one"

# An answer without the text that is expected counts as an error.
expect '"calls": 0,.*"errors": [1-9]' call --port "$port" --request "$folder/request" --expect wrong --warmup 0 --seconds 0.1

printf 'send %s\nquit\n' "$folder/request" >"$folder/commands"
held=$("$load" hold --port "$port" --connections 200 --open "$folder/script" <"$folder/commands" | tr '\n' ' ')
test "$held" = '{"held": 200} {"answered": 200} ' || { echo "load hold: $held" >&2; exit 1; }

refuse 'refused' call --port 1 --request "$folder/request" --expect right
refuse 'no such option' call --ports 1
refuse '/missing: No such file' call --port "$port" --expect right --request "$folder/missing"
echo "load: all is well"
