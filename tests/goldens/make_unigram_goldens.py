#!/usr/bin/env python3
"""Expected segmentations of unigram models, from Hugging Face's tokenizers 0.19.1.

    make_unigram_goldens.py

writes unigram/unigram.json: small models made at random (ties, scores above zero, pieces that stand twice, unknown
pieces in the text, pieces of bytes) and texts, each with the ids and byte ranges that `Unigram.tokenize` gives.
"""
import json
import os
import random

from tokenizers.models import Unigram

HERE = os.path.dirname(os.path.abspath(__file__))
LETTERS = "abcdefx\u2581\u00e9\u4e2d\U0001f600"  # what texts have; not all of it is in a vocabulary


def words(chance, letters, count, longest):
    return ["".join(chance.choices(letters, k=chance.randint(1, longest))) for _ in range(count)]


def model(seed, **options):
    """A vocabulary of pieces whose scores are of the kind `scores`."""
    chance = random.Random(seed)
    scores = {"even": lambda: float(-chance.randint(1, 3)), "fine": lambda: -chance.random() * 10,
              "high": lambda: 30 + chance.random() * 5, "mixed": lambda: chance.choice([-4.0, 4.0, -0.1, 0.1, 0.3]),
              "small": lambda: -chance.random() * 1e-17}[options.get("scores", "fine")]
    unknown = "<unk>" if options.get("unknown", 0) is not None else "a"
    vocab = [(unknown, 0.0)] + [(word, scores()) for word in words(chance, "abcde\u2581\u00e9", 40, 5)]
    vocab = [entry for i, entry in enumerate(vocab) if options.get("twice") or entry[0] not in [v[0] for v in vocab[:i]]]
    byte_pieces = options.get("bytes", range(0))
    vocab += [("<0x%02X>" % byte, scores()) for byte in byte_pieces]
    texts = words(chance, LETTERS, 24, 12) + words(chance, "abcde", 24, 30) + words(chance, "x\u4e2d", 4, 6)
    texts += ["", "a<unk>b", "<unk><unk>", "x<unk>x", "<0x61>", "xx", "\x00", "a\x00b"]
    return {"unknown": options.get("unknown", 0), "byte_fallback": bool(byte_pieces), "vocab": vocab, "texts": texts}


MODELS = [model(1), model(2, scores="even"), model(3, scores="even", twice=True), model(4, scores="high"),
          model(5, scores="mixed"), model(6, scores="small"), model(7, bytes=range(256)), model(8, bytes=range(0xa0)),
          model(9, scores="high", bytes=range(256)), model(10, unknown=None), model(11, unknown=5, scores="even")]

for made in MODELS:
    unigram = Unigram([tuple(entry) for entry in made["vocab"]], made["unknown"], made["byte_fallback"])
    cases = []
    for text in made.pop("texts"):
        try:
            tokens = unigram.tokenize(text)
            cases.append([text, [token.id for token in tokens], [list(token.offsets) for token in tokens]])
        except Exception as error:  # of an unknown character where no piece stands for it
            assert made["unknown"] is None and "unk_id" in str(error), error
            cases.append([text, None])
    made["cases"] = cases
os.makedirs(os.path.join(HERE, "unigram"), exist_ok=True)
with open(os.path.join(HERE, "unigram", "unigram.json"), "w") as file:
    file.write("[\n" + ",\n".join(json.dumps(made, separators=(",", ":")) for made in MODELS) + "\n]\n")
