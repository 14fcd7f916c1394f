#!/usr/bin/env python3
"""The rows that `sentiment` is taught: phrases with their labels, and sentences of books without.

    make_taught.py train.tsv books.txt.xz taught.tsv

train.tsv has the columns sentence and label; books.txt.xz a paragraph a line. 12,000 sentences of 6 to 28 words
follow the phrases, with an empty label: `reprise finetune --teacher` learns them from the teacher alone.
"""
import lzma
import random
import re
import sys

SENTENCES, FEWEST, MOST = 12000, 6, 28


def sentences(path):
    found = {}
    with lzma.open(path, "rt", encoding="utf-8") as books:
        for line in books:
            for text in re.split(r"(?<=[.!?])\s+", line.rstrip("\n")):
                if FEWEST <= len(text.split()) <= MOST and "\t" not in text and '"' not in text:
                    found[text] = True
    return list(found)


def main():
    phrases, books, out = sys.argv[1:]
    chosen = sentences(books)
    random.Random(1).shuffle(chosen)
    with open(phrases, encoding="utf-8") as rows, open(out, "w", encoding="utf-8") as file:
        file.write(rows.read().rstrip("\n") + "\n")
        file.writelines(text + "\t\n" for text in chosen[:SENTENCES])


if __name__ == "__main__":
    main()
