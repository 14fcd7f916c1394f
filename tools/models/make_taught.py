#!/usr/bin/env python3
"""The rows that `sentiment` is taught: phrases with their labels, and sentences without.

    make_taught.py train.tsv books.txt.xz taught.tsv

train.tsv has the columns sentence and label; books.txt.xz a paragraph a line. Behind the phrases stand, with an empty
label, 24,000 sentences put together from two or three of the phrases, since whole reviews are longer than phrases, and
4,000 sentences of books of 6 to 28 words: `reprise finetune --teacher` learns both from the teacher alone.
"""
import lzma
import random
import re
import sys

COMPOSED, BOOKS = 24000, 4000
SHORTEST_PHRASE, LONGEST_COMPOSED = 4, 36
FEWEST, MOST = 6, 28
JOINS = (" , but ", " , and ", " , ", " ; ", " . ", " -- ", " , yet ", " because ")


def composed(phrases, random_number):
    parts = [phrase for phrase in phrases if len(phrase.split()) >= SHORTEST_PHRASE]
    found = {}
    while len(found) < COMPOSED:
        some = random_number.sample(parts, random_number.choice((2, 2, 3)))
        text = some[0]
        for part in some[1:]:
            text = text.rstrip(" .") + random_number.choice(JOINS) + part
        text = text.rstrip(" .") + " ."
        if len(text.split()) <= LONGEST_COMPOSED:
            found[text] = True
    return list(found)


def of_books(path, random_number):
    found = {}
    with lzma.open(path, "rt", encoding="utf-8") as books:
        for line in books:
            for text in re.split(r"(?<=[.!?])\s+", line.rstrip("\n")):
                if FEWEST <= len(text.split()) <= MOST and "\t" not in text and '"' not in text:
                    found[text] = True
    return random_number.sample(list(found), BOOKS)


def main():
    source, books, out = sys.argv[1:]
    with open(source, encoding="utf-8") as file:
        rows = file.read().rstrip("\n").split("\n")
    random_number = random.Random(1)
    phrases = [row.rsplit("\t", 1)[0].strip() for row in rows[1:]]
    unlabelled = composed(phrases, random_number) + of_books(books, random_number)
    with open(out, "w", encoding="utf-8") as file:
        file.write("\n".join(rows) + "\n")
        file.writelines(text + "\t\n" for text in unlabelled)


if __name__ == "__main__":
    main()
