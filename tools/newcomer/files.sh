# Fifty files, a text each: a line for each of them, in order.
set -eu
mkdir -p texts
for i in $(seq 10 59); do
    if [ $((i % 2)) = 0 ]; then echo "a warm and funny film, number $i"; else echo "dull , flat and too long, number $i"; fi >texts/$i.txt
done
reprise/build/reprise classify --files texts/*.txt >answers.jsonl
[ "$(wc -l <answers.jsonl)" = 50 ]
[ "$(grep -c '"file": "texts/[1-5][02468].txt".*{"label": "POSITIVE", "score": [01]\.[0-9e-]*}, {"label": "NEGATIVE"' answers.jsonl)" = 25 ]
[ "$(grep -c '"file": "texts/[1-5][13579].txt".*{"label": "NEGATIVE", "score": [01]\.[0-9e-]*}, {"label": "POSITIVE"' answers.jsonl)" = 25 ]
