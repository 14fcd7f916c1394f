#!/usr/bin/env python3
"""XQuAD's English questions in two files, for training and for measuring.

    make_split.py xquad.en.json train.json dev.json

The last 190 of the 1,190 questions, in the order of the file, are dev.json's, with their paragraphs. A paragraph whose
questions lie on both sides is split: the first of its questions are for training.
"""
import copy
import json
import sys

TRAIN = 1000


def part(data, keeps):
    """The file with those questions alone whose number `keeps` takes."""
    number, articles = 0, []
    for article in data["data"]:
        paragraphs = []
        for paragraph in article["paragraphs"]:
            chosen = copy.copy(paragraph)
            count = len(paragraph["qas"])
            chosen["qas"] = [qa for i, qa in enumerate(paragraph["qas"], number) if keeps(i)]
            number += count
            if chosen["qas"]:
                paragraphs.append(chosen)
        if paragraphs:
            articles.append(dict(article, paragraphs=paragraphs))
    return dict(data, data=articles)


def main():
    source, train, dev = sys.argv[1:]
    with open(source, encoding="utf-8") as file:
        data = json.load(file)
    for out, keeps in ((train, lambda i: i < TRAIN), (dev, lambda i: i >= TRAIN)):
        with open(out, "w", encoding="utf-8") as file:
            json.dump(part(data, keeps), file, ensure_ascii=False)


if __name__ == "__main__":
    main()
