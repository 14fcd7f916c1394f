#!/usr/bin/env python3
"""The texts that `similarity` is taught, two on a line so that a step reads both.

    make_sentences.py books.txt.xz banking77.csv train.tsv dev.txt

books.txt.xz has a paragraph a line; of banking77.csv the column text is read. Chosen, by their hash, are sentences of
books of 3 to 24 words; for each nine of these the first 30 to 60 words of a paragraph, since texts that are searched in
are longer; and for each nine of these a question to a bank. dev.txt gets 1,000 sentences of books, one a line, that
train.tsv has not. The two texts of a line of train.tsv have nothing to do with each other.
"""
import csv
import hashlib
import lzma
import re
import sys

DEV, TRAIN, FEWEST, MOST, SHORT, LONG = 1000, 27000, 3, 24, 30, 60


def by_hash(texts):
    return sorted(texts, key=lambda text: hashlib.sha256(text.encode()).digest())


def of_books(path):
    sentences, long = {}, {}
    with lzma.open(path, "rt", encoding="utf-8") as books:
        for line in books:
            words = re.sub(r'[\s"]+', " ", line).split()
            if len(words) > SHORT:
                long[" ".join(words[:LONG])] = True
            for text in re.split(r"(?<=[.!?]) ", " ".join(words)):
                if FEWEST <= len(text.split()) <= MOST:
                    sentences[text] = True
    return by_hash(sentences), by_hash(long)


def main():
    books, bank, train, dev = sys.argv[1:]
    sentences, long = of_books(books)
    with open(bank, encoding="utf-8", newline="") as file:
        questions = by_hash({re.sub(r'[\s"]+', " ", row["text"]).strip() for row in csv.DictReader(file)})
    with open(dev, "w", encoding="utf-8") as file:
        file.writelines(text + "\n" for text in sentences[:DEV])
    share = TRAIN // 9
    rows = by_hash(sentences[DEV : DEV + TRAIN] + long[:share] + questions[:share])
    with open(train, "w", encoding="utf-8") as file:
        file.write("text\ttext_pair\n")
        file.writelines(f"{a}\t{b}\n" for a, b in zip(rows[::2], rows[1::2]))


if __name__ == "__main__":
    main()
