#!/usr/bin/env python3
"""The rows that `spam` learns and is measured by, from the SMS Spam Collection.

    make_spam.py SMSSpamCollection train.jsonl dev.jsonl test.jsonl

Labels: `spam`, as the collection has it, and `call_or_click`, by the rule below. 500 messages go to test.jsonl and 300
to dev.jsonl, by the hash of the text without case, spaces and signs and with each digit a 0: copies of a message,
and those that differ in their numbers alone, lie in one file.
"""
import hashlib
import json
import re
import sys

HELD_OUT = (("test", 500), ("dev", 300))
CLICK = re.compile(r"\bclick\b|https?://|\bwww\b", re.I)
CALL = re.compile(r"\b(call|phone|ring|dial|tel|speak)", re.I)
NUMBER = re.compile(r"(?:\d[ -]?){7}")


def call_or_click(text):
    """Asks to follow a link, or to call a number of seven digits or more."""
    return bool(CLICK.search(text) or CALL.search(text) and NUMBER.search(text))


def key(text):
    plain = re.sub(r"[\W_]", "", re.sub(r"\d", "0", text.lower()))
    return hashlib.sha256(plain.encode()).hexdigest()


def read(path):
    groups = {}
    with open(path, encoding="utf-8") as file:
        for line in file:
            name, text = line.rstrip("\n").split("\t", 1)
            if name not in ("ham", "spam"):
                continue
            labels = ["spam"] * (name == "spam") + ["call_or_click"] * call_or_click(text)
            groups.setdefault(key(text), []).append({"text": text, "labels": labels})
    return [groups[k] for k in sorted(groups)]


def take(groups, count):
    """Groups from the front, without those that would make it more than `count` messages."""
    taken, rest = [], []
    for group in groups:
        if len(taken) + len(group) <= count:
            taken += group
        else:
            rest.append(group)
    return taken, rest


def main():
    source, *outs = sys.argv[1:]
    groups, files = read(source), {}
    for name, count in HELD_OUT:
        files[name], groups = take(groups, count)
    files["train"] = [row for group in groups for row in group]
    for name, out in zip(("train", "dev", "test"), outs):
        with open(out, "w", encoding="utf-8") as file:
            file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in files[name])


if __name__ == "__main__":
    main()
