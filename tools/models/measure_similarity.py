#!/usr/bin/env python3
"""How near vectors of a model are to those of its teacher.

    measure_similarity.py VECTORS.npy TEACHER.npy
    measure_similarity.py --xquad xquad.en.json REPRISE MODEL

The first prints the mean cosine of rows of the same text, and the rank correlation of the cosines of all pairs of
texts. The second embeds XQuAD's questions and paragraphs and prints for how many questions their own paragraph is the
nearest, and among the nearest five. Needs numpy.
"""
import json
import os
import subprocess
import sys
import tempfile

import numpy


def unit(rows):
    return rows / numpy.linalg.norm(rows, axis=1, keepdims=True)


def ranks(values):
    return numpy.argsort(numpy.argsort(values)).astype(float)


def compare(own, teacher):
    own, teacher = (unit(numpy.load(path).astype(float)) for path in (own, teacher))
    above = numpy.triu_indices(len(own), 1)
    rank = numpy.corrcoef(ranks((own @ own.T)[above]), ranks((teacher @ teacher.T)[above]))[0, 1]
    print(f"mean cosine {(own * teacher).sum(1).mean():.4f}  rank correlation {rank:.4f}")


def embed(reprise, model, texts, folder):
    source, out = os.path.join(folder, "texts.txt"), os.path.join(folder, "vectors.npy")
    with open(source, "w", encoding="utf-8") as file:
        file.writelines(" ".join(text.split()) + "\n" for text in texts)
    subprocess.run([reprise, "embed", "-m", model, "--format", "npy", "-o", out, "-f", source], check=True)
    return unit(numpy.load(out))


def find(path, reprise, model):
    with open(path, encoding="utf-8") as file:
        paragraphs = [p for article in json.load(file)["data"] for p in article["paragraphs"]]
    questions = [(qa["question"], i) for i, p in enumerate(paragraphs) for qa in p["qas"]]
    with tempfile.TemporaryDirectory() as folder:
        passages = embed(reprise, model, [p["context"] for p in paragraphs], folder)
        asked = embed(reprise, model, [question for question, _ in questions], folder)
    order = numpy.argsort(-(asked @ passages.T), axis=1)[:, :5]
    own = numpy.array([i for _, i in questions])
    first, five = (order[:, 0] == own).mean(), (order == own[:, None]).any(1).mean()
    print(f"{len(questions)} questions, {len(paragraphs)} paragraphs: nearest {first:.2%}, among five {five:.2%}")


def main():
    if sys.argv[1:2] == ["--xquad"]:
        find(*sys.argv[2:])
    else:
        compare(*sys.argv[1:])


if __name__ == "__main__":
    main()
