#!/usr/bin/env bash
# tools/testbeds serve [SECONDS]: real clients against reprise serve.
#
# openai, huggingface_hub and langchain (from PyPI) ask it unchanged; curl sends what the documents of
# text-embeddings-inference send; schemathesis tries /openapi.json; promtool reads /metrics; wrk counts what /tokenize
# answers; and for SECONDS (20) 200 clients ask at once, beside 1,000 connections on which nothing is asked (serve/load.py).
# Needs a build in build/ (tools/quickstart). What cannot be fetched is passed over, and said.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. tools/packages.sh
seconds=${1:-20}
work=$PWD/build-testbeds/serve
reprise=$PWD/build/reprise
mkdir -p "$work"
export REPRISE_CACHE_DIR=$work/cache
install_packages "$work/packages.log" curl wrk python3-venv || say "Going on without what is missing"
if [ ! -x "$work/venv/bin/python" ]; then
    say "Fetching clients from PyPI"
    python3 -m venv "$work/venv"
    "$work/venv/bin/pip" install -q openai huggingface_hub numpy langchain-openai langchain-huggingface schemathesis \
        >"$work/pip.log" 2>&1 </dev/null || say "Not all of them can be had; see ${work#"$PWD"/}/pip.log"
fi
if [ ! -x "$work/older/bin/python" ]; then # which takes the address of a server of text-embeddings-inference
    python3 -m venv "$work/older"
    { "$work/older/bin/pip" install -q --no-deps langchain-huggingface==0.1.2 &&
        "$work/older/bin/pip" install -q huggingface_hub==0.29.3 'langchain-core>=0.3.15,<0.4' tokenizers numpy; } \
        >"$work/older.log" 2>&1 </dev/null || say "Going on without an older langchain"
fi
if [ ! -x "$work/usr/bin/promtool" ]; then
    (cd "$work" && apt-get download prometheus && dpkg -x prometheus_*.deb .) >"$work/promtool.log" 2>&1 ||
        say "Going on without promtool"
fi

"$reprise" serve --port 0 -m sentiment -m pretrained -m entities -m similarity >"$work/server.log" 2>"$work/server.err" </dev/null &
server=$!
trap 'kill $server 2>/dev/null || true' EXIT
until grep -q listening "$work/server.log"; do
    kill -0 $server || exit 1
    sleep 0.2
done
url=$(sed -n 's/.*listening on //p' "$work/server.log")
failed=

# expect STATUS PATH BODY: as the documents of text-embeddings-inference ask.
expect() {
    local got
    got=$(curl -s -o "$work/answer" -w '%{http_code}' "$url$2" -X POST -d "$3" -H 'Content-Type: application/json')
    [ "$got" = "$1" ] || { say "$2 $3: $got, not $1"; failed="$failed curl"; }
}
expect 200 /embed '{"inputs":"What is Deep Learning?"}'
expect 200 /embed '{"inputs":["Today is a nice day", "I like you"]}'
expect 200 /rerank '{"query":"What is Deep Learning?", "texts": ["Deep Learning is not...", "Deep learning is..."]}'
expect 200 /predict '{"inputs":"I like you."}'
expect 200 /predict '{"inputs":[["I like you."], ["I hate pineapples"]]}'
expect 200 /v1/embeddings '{"input":"What is Deep Learning?", "model":"similarity"}'
expect 200 /tokenize '{"inputs":"My name is Olivier and I"}'
expect 200 /decode '{"ids":[2, 48, 25, 3], "skip_special_tokens":true}'
expect 422 /embed '{"input":"a"}'
say "curl: as in the documents of text-embeddings-inference${failed:+, FAILED}"

for python in venv older; do
    "$work/$python/bin/python" tools/serve/use_clients.py "$url" || failed="$failed clients"
done
if [ -x "$work/venv/bin/schemathesis" ]; then
    (cd "$work" && venv/bin/schemathesis run "$url/openapi.json" --max-examples 20 --phases examples,coverage,fuzzing) \
        >"$work/schemathesis.log" 2>&1 || failed="$failed schemathesis"
    grep 'generated' "$work/schemathesis.log" || tail -n 5 "$work/schemathesis.log"
fi
if [ -x "$work/usr/bin/promtool" ]; then
    curl -s "$url/metrics" | "$work/usr/bin/promtool" check metrics && say "promtool: passed" || failed="$failed promtool"
fi
if command -v wrk >/dev/null; then
    printf 'wrk.method = "POST"\nwrk.body = [[{"inputs": "What a warm and funny film it was."}]]\n%s\n' \
        'wrk.headers["Content-Type"] = "application/json"' >"$work/tokenize.lua"
    wrk -t1 -c16 -d5s -s "$work/tokenize.lua" "$url/tokenize" | grep -E 'Requests/sec|Non-2xx' | sed 's/^/tokenize: /'
fi
python3 tools/serve/load.py "$url" $server "$seconds" || failed="$failed load"

kill -TERM $server
status=0
wait $server || status=$?
[ $status = 0 ] || failed="$failed end"
if [ -n "$failed" ]; then
    say "serve: failed:$failed"
    exit 1
fi
say "serve: passed"
