#!/bin/sh
# How a shell script logs for Tidegauge: POSIX sh and the usual tools, no jq.
#
#     sh shell_service.sh DIRECTORY [REQUESTS]
#
# answers so many requests from four processes and writes DIRECTORY/predictions.jsonl and DIRECTORY/feedback.jsonl.
# Copy text, now, new_id and append; the rest stands in for your job.
#
# Keep a line below 4 KB: the shell writes longer ones in pieces, and those of several processes may mix.
set -eu

directory=$1
requests=${2:-100}

# A JSON string of any text: backslashes, quotes and control characters are escaped, bytes above ASCII are left as they
# are (they must be UTF-8). Never put a value into a line without it.
text() {
    printf '%s' "$1" | LC_ALL=C awk '
        BEGIN { for (code = 1; code < 32; code++) escape[sprintf("%c", code)] = sprintf("\\u%04x", code)
                escape["\\"] = "\\\\"; escape["\""] = "\\\""; printf "\"" }
        NR > 1 { printf "\\n" }
        { for (place = 1; place <= length($0); place++) {
              letter = substr($0, place, 1)
              printf "%s", (letter in escape) ? escape[letter] : letter } }
        END { printf "\"" }'
}

# RFC 3339 in UTC, with the Z that says so.
now() {
    date -u +%Y-%m-%dT%H:%M:%SZ
}

# One id a prediction, handed on to whoever learns the truth.
new_id() {
    if [ -r /proc/sys/kernel/random/uuid ]; then cat /proc/sys/kernel/random/uuid; else uuidgen; fi
}

# One line in one write: >> opens with O_APPEND, and printf writes once. The file is opened anew for each line, so that
# rotation by renaming needs nothing.
append() {
    printf '%s\n' "$2" >>"$1"
}

# Stands in for a model: prints 0 or 1, or fails.
answer() {
    [ "$1" -le 990 ] && echo $(($1 / 500))
}

serve() {
    id=$(new_id)
    asked=$(now)
    amount=$(awk -v seed="$1" 'BEGIN { srand(seed); print int(rand() * 1000) }')
    head="{\"prediction_id\":$(text "$id"),\"timestamp\":\"$asked\",\"model\":\"fraud\",\"version\":\"v1\""
    # Only what is worth watching: never names, card numbers, tokens or free text of users.
    features="\"features\":{\"amount\":$amount,\"shop\":$(text "Käthe's \"Eck\" \\ 角	")}"
    if decided=$(answer "$amount"); then
        append "$directory/predictions.jsonl" "$head,$features,\"prediction\":$(text "$decided")}"
    else
        # A failed request is logged too: without an answer, with the reason.
        append "$directory/predictions.jsonl" "$head,$features,\"error\":$(text "amount $amount is beyond the model")}"
    fi
    # When the truth arrives, minutes or weeks later; here at once.
    append "$directory/feedback.jsonl" "{\"prediction_id\":$(text "$id"),\"timestamp\":\"$(now)\",\"label\":\"$(($1 % 2))\"}"
}

worker() {
    number=$1
    while [ "$number" -le "$requests" ]; do
        serve "$number"
        number=$((number + 4))
    done
}

for first in 1 2 3 4; do
    worker "$first" &
done
wait
