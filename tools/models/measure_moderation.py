#!/usr/bin/env python3
"""How well a model of moderation does where somebody hides words from it.

    measure_moderation.py REPRISE MODEL test.jsonl [OUT]

test.jsonl has a text and its labels a line, as make_spam.py writes it. The texts are also written as one who hides
from a filter writes them: half of the words of four letters or more, in one way (leet, zero, homoglyph, spaced,
repeated) or, mixed, in any of them. `REPRISE moderate -m MODEL` scores them all, with and without --normalize, and
a table has for each label its precision at a recall of 0.95: at the highest threshold that reaches it on that very
text, so a column says how well scores part right from wrong. OUT keeps the texts that were made.
"""
import json
import os
import random
import re
import subprocess
import sys
import tempfile

RECALL = 0.95
LEET = {"a": "4@", "e": "3", "i": "1", "o": "0", "s": "5$", "t": "7", "l": "1"}
ZERO = ["\u200b", "\u200c", "\u200d", "\u2060", "\ufeff", "\u00ad"]
HOMOGLYPHS = dict(zip("aceopxyijs", "\u0430\u0441\u0435\u043e\u0440\u0445\u0443\u0456\u0458\u0455"),
                  A="\u0391", B="\u0392", C="\u0421", E="\u0395", H="\u041d", I="\u0399", K="\u039a", M="\u039c",
                  O="\u039f", P="\u03a1", T="\u03a4", X="\u03a7")


def leet(word, rng):
    """A first letter stays, or most words would be numbers."""
    return word[0] + "".join(rng.choice(LEET[c.lower()]) if c.lower() in LEET and rng.random() < 0.7 else c
                             for c in word[1:])


def zero(word, rng):
    at = rng.randrange(1, len(word))
    return word[:at] + rng.choice(ZERO) + word[at:]


def homoglyph(word, rng):
    return "".join(HOMOGLYPHS.get(c, c) if rng.random() < 0.7 else c for c in word)


def spaced(word, rng):
    return rng.choice(" .-_*").join(word)


def repeated(word, rng):
    at = rng.randrange(len(word))
    return word[:at] + word[at] * rng.randrange(3, 6) + word[at + 1:]


KINDS = {f.__name__: f for f in (leet, zero, homoglyph, spaced, repeated)}


def hide(text, kind):
    rng = random.Random(kind + text)

    def one(match):
        word = match.group()
        way = KINDS[kind] if kind in KINDS else rng.choice(list(KINDS.values()))
        return way(word, rng) if rng.random() < 0.5 else word
    return re.sub(r"[A-Za-z]{4,}", one, text)


def scores(reprise, model, texts, *options):
    """{label: score} of each text. Where no label counts, no time goes into its spans."""
    lines = "".join(json.dumps({"text": t}) + "\n" for t in texts)
    got = subprocess.run([reprise, "moderate", "-m", model, "--jsonl", *options], input=lines, text=True,
                         stdout=subprocess.PIPE, check=True).stdout.splitlines()
    return [{label["label"]: label["score"] for label in json.loads(line)["labels"]} for line in got]


def precision(label, rows, got):
    """At the highest threshold whose recall is RECALL or more."""
    ranked = sorted(((s[label], label in row["labels"]) for row, s in zip(rows, got)), reverse=True)
    wanted, right = RECALL * sum(is_right for _, is_right in ranked), 0
    for i, (score, is_right) in enumerate(ranked):
        right += is_right
        if right >= wanted and (i + 1 == len(ranked) or ranked[i + 1][0] < score):
            return right / (i + 1)


def main():
    reprise, model, path = sys.argv[1:4]
    out = sys.argv[4] if len(sys.argv) > 4 else tempfile.mkdtemp()
    os.makedirs(out, exist_ok=True)
    with open(path, encoding="utf-8") as f:
        rows = [json.loads(line) for line in f]
    names = sorted({label for row in rows for label in row["labels"]} & set(scores(reprise, model, [""])[0]))
    never = os.path.join(out, "never.json")
    with open(never, "w") as f:
        json.dump({"thresholds": {name: 1 for name in names}}, f)
    print("| texts | " + " | ".join(f"{n} | {n}, `--normalize`" for n in names) + " |")
    print("|---" * (1 + 2 * len(names)) + "|")
    for kind in ["plain", *KINDS, "mixed"]:
        texts = [row["text"] if kind == "plain" else hide(row["text"], kind) for row in rows]
        with open(os.path.join(out, kind + ".jsonl"), "w", encoding="utf-8") as f:
            f.writelines(json.dumps({**row, "text": t}, ensure_ascii=False) + "\n" for row, t in zip(rows, texts))
        plain, undone = (scores(reprise, model, texts, "--thresholds", never, *options)
                         for options in ((), ("--normalize",)))
        cells = [f"{100 * precision(n, rows, got):.1f} %" for n in names for got in (plain, undone)]
        right = [sum((s["spam"] >= 0.5) == ("spam" in r["labels"]) for r, s in zip(rows, got)) for got in (plain, undone)]
        print(f"| {kind} | " + " | ".join(cells) + " |", flush=True)
        print(f"{kind}: spam right at 0.5: {right[0]} and, normalized, {right[1]} of {len(rows)}", file=sys.stderr)


if __name__ == "__main__":
    main()
