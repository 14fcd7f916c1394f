#!/usr/bin/env bash
# tools/testbeds page: open the server's page in headless Chromium, and use it as a person would (tools/serve/use_page.py).
#
# Needs a build in build/ (tools/quickstart), and Debian's chromium-driver, which it installs; axe-core, which looks for what
# keeps people out of a page, comes from PyPI where that can be reached. Two servers run: one asks for a key. What it looked
# like stays in build-testbeds/page, a picture for each step and width. A minute.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. tools/packages.sh
work=$PWD/build-testbeds/page
reprise=$PWD/build/reprise
mkdir -p "$work"
rm -f "$work"/*.png
install_packages "$work/packages.log" chromium chromium-driver fonts-dejavu-core curl
export REPRISE_CACHE_DIR=$work/cache

axe=$work/axe/axe_playwright_python/axe.min.js
[ -e "$axe" ] || {
    python3 -m pip download --quiet --no-deps --dest "$work/axe" axe-playwright-python &&
        python3 -m zipfile -e "$work"/axe/*.whl "$work/axe"
} >"$work/axe.log" 2>&1 </dev/null || say "Going on without axe-core (see ${work#"$PWD"/}/axe.log)"
[ -e "$axe" ] || axe=

# Models that answer questions and choose, or rather one question and one choice; and an index.
if [ ! -d "$work/questions" ]; then
    cat >"$work/questions.json" <<'END'
{"version": "1.1", "data": [{"title": "machines", "paragraphs": [{"context": "Ada Lovelace wrote the first program.", "qas": [
 {"id": "1", "question": "Who wrote the first program?", "answers": [{"text": "Ada Lovelace", "answer_start": 0}]}]}]}]}
END
    say "Teaching a model one question"
    quietly "$work/questions.log" "$reprise" finetune -m pretrained --task answer --train "$work/questions.json" --steps 60 \
        --batch-size 1 --lr 3e-4 --max-length 64 -o "$work/questions"
fi

if [ ! -d "$work/choices" ]; then
    echo '{"text": "It rained, so", "choices": ["they went inside.", "they sang."], "label": 0}' >"$work/choices.jsonl"
    say "Teaching a model one choice"
    quietly "$work/choices.log" "$reprise" finetune -m pretrained --task choose --train "$work/choices.jsonl" --steps 5 \
        --batch-size 1 --max-length 32 -o "$work/choices"
fi
# A model whose texts may leave early: behind each layer stands the classifier of the last.
rm -rf "$work/exits"
cp -R tools/models/sentiment "$work/exits"
python3 - "$work/exits/model.safetensors" <<'END'
import json
import sys

data = open(sys.argv[1], "rb").read()
start = 8 + int.from_bytes(data[:8], "little")
header, tensors = json.loads(data[8:start]), data[start:]
for layer in range(6):
    for part in ("weight", "bias"):
        entry = header["classifier." + part]
        begin, end = entry["data_offsets"]
        header[f"classifiers.{layer}.{part}"] = {**entry, "data_offsets": [len(tensors), len(tensors) + end - begin]}
        tensors += tensors[begin:end]
text = json.dumps(header).encode()
text += b" " * (-len(text) % 8)
open(sys.argv[1], "wb").write(len(text).to_bytes(8, "little") + text + tensors)
END
quietly "$work/index.log" "$reprise" index -f tools/examples/pets.txt -o "$work/pets.index"

servers=()
trap '[ ${#servers[@]} = 0 ] || kill "${servers[@]}"' EXIT
# serve PORT OPTION...: a server, which is ready when this returns.
serve() {
    "$reprise" serve --port "$1" -m sentiment -m pretrained -m entities -m similarity -m questions="$work/questions" \
        -m choices="$work/choices" -m exits="$work/exits" --index pets="$work/pets.index" "${@:2}" >"$work/server-$1.log" 2>&1 </dev/null &
    servers+=($!)
    for _ in $(seq 300); do
        ! curl -sf -o "$work/ready" "http://127.0.0.1:$1/ready" || return 0
        kill -0 "${servers[-1]}" || break
        sleep 0.2
    done
    say "The server does not become ready; see ${work#"$PWD"/}/server-$1.log"
    return 1
}
serve 8931
API_KEY=a-key-for-this-bed serve 8932
# shellcheck disable=SC2086  # no axe, no argument
python3 tools/serve/use_page.py "$work" http://127.0.0.1:8931/ http://127.0.0.1:8932/ a-key-for-this-bed $axe
say "page: passed; look at the pictures in ${work#"$PWD"/}"
