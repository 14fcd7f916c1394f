#!/usr/bin/env python3
"""Small SentencePiece models, each with settings of its own, for test_spiece.c, which asks libsentencepiece for the results.

    make_spiece_models.py

writes spiece/NAME.model. README.md lists the versions.
"""
import io
import json
import os
import tempfile

import sentencepiece

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, "spiece")
# What becomes of characters: folded, taken apart, dropped, of several one, spaces, and prefixes of each other.
RULES = {"A": "a", "B": "b", "\u00c9": "\u00e9", "e\u0301": "\u00e9", "\ufb01": "fi", "\u00a0": " ", "\t": " ", "\u3000": "  ",
         "\u200b": "", "\u2126": "\u03c9", "a\u0300": "\u00e0", "a\u0300\u0301": "\u1e01", "1": "one ", "\u00bd": " 1 2", "xy": "z",
         "\uff21": "a", "\U0001f600": ":)", "\u0301": "", "``": "\"", "''": "\""}


def texts():
    with open(os.path.join(HERE, "tokens", "tokens.json"), encoding="utf-8") as file:
        folders = json.load(file)
    return sorted({case["text"] for case in folders[0]["cases"] if case["text"].strip() and all(" " <= c < "\u0100" for c in case["text"])})


def train(name, **options):
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts() * 4), model_writer=model, model_type="unigram", num_threads=1, hard_vocab_limit=False,
        minloglevel=2, normalization_rule_name=options.pop("normalization_rule_name", "identity"), **options)
    with open(os.path.join(OUT, name + ".model"), "wb") as file:
        file.write(model.getvalue())


os.makedirs(OUT, exist_ok=True)
with tempfile.TemporaryDirectory() as scratch:
    os.chdir(scratch)  # the model keeps the name of the file
    with open("rules.tsv", "w") as rules:
        for source, target in RULES.items():
            rules.write(" ".join("%X" % ord(c) for c in source) + "\t" + " ".join("%X" % ord(c) for c in target) + "\n")
    train("rules", vocab_size=150, character_coverage=0.98, normalization_rule_name="", normalization_rule_tsv="rules.tsv",
          user_defined_symbols=["xy", "A B", "\u00bd", "<e1>"])
    os.chdir(HERE)
train("bytes", vocab_size=420, character_coverage=0.98, byte_fallback=True)
train("suffix", vocab_size=150, character_coverage=0.98, treat_whitespace_as_suffix=True, user_defined_symbols=["(", ")", "a"])
train("spaces", vocab_size=150, character_coverage=0.98, remove_extra_whitespaces=False, add_dummy_prefix=False,
      allow_whitespace_only_pieces=True)
