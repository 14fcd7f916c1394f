#!/usr/bin/env python3
"""chrF2 of sentences as sacrebleu computes it (pip install sacrebleu; made with 2.6.0).

    make_chrf_goldens.py

writes chrf.json: [[hypothesis, reference, score], ...].
"""
import json
import os
import random

from sacrebleu.metrics import CHRF

HERE = os.path.dirname(os.path.abspath(__file__))
FIXED = [("", ""), ("", "a"), ("a", ""), ("a", "a"), ("a", "b"), ("ab", "ab"), ("abcdef", "abcdef"),
         ("the cat is on the mat", "the cat sat on the mat"), ("  spaces  and\ttabs ", "spaces and tabs"),
         ("aaaaaaaaaa", "aaaa"), ("aaaa", "aaaaaaaaaa"), ("The Cat", "the cat"), ("abc", "abcdefghij"),
         ("東京 は 日本", "東京は日本です"), ("😀 😀", "😀"), ("Zoë", "Zoe\u0308"), ("no\u00a0break", "nobreak"),
         ("x\u3000y", "xy"), ("mot à mot", "mot a mot")]


def main():
    random.seed(1)
    words = "the a cat dog mat sat on is was house green über straße 1,000 .".split()
    pairs = list(FIXED)
    for _ in range(40):
        reference = [random.choice(words) for _ in range(random.randint(1, 20))]
        hypothesis = [random.choice(words) if random.random() < 0.3 else w for w in reference]
        random.random() < 0.5 and random.shuffle(hypothesis)
        pairs.append((" ".join(hypothesis[:random.randint(1, 20)]), " ".join(reference)))
    metric = CHRF()
    rows = [[h, r, round(metric.sentence_score(h, [r]).score, 9)] for h, r in pairs]
    with open(os.path.join(HERE, "chrf.json"), "w") as f:
        f.write("[\n" + ",\n".join(json.dumps(r, ensure_ascii=False) for r in rows) + "\n]\n")


if __name__ == "__main__":
    main()
