#!/usr/bin/env python3
"""Write tests/goldens/metrics/metrics.json: random labels, numbers, tags and answers, and what the implementations that
published results are made with say of them: scikit-learn, SciPy, seqeval 1.2.2 and transformers 4.44.2 (squad_metrics).

    pip install scikit-learn scipy seqeval==1.2.2 transformers==4.44.2
    python3 tests/goldens/make_metric_goldens.py
"""
import json
import math
import os
import random
import types
import warnings

import numpy
from scipy import stats
from seqeval.metrics import sequence_labeling
from sklearn import metrics
from transformers.data.metrics import squad_metrics

warnings.filterwarnings("ignore")
OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "metrics", "metrics.json")

TAGS = ["O", "O", "O", "B-PER", "I-PER", "B-LOC", "I-LOC", "E-LOC", "S-LOC", "I-a-b", "B-a-b", "B", "I", "foo", "x",
        "ORG", "é-PER", "B-", "-", "."]
WORDS = ["the", "The", "a", "an", "An", "cat", "Cat's", "cat", "dog", "3", "3.5", "$3", "ÉTÉ", "été", "ΟΔΟΣ", "οδος",
         "İ", "a\u0301", "the-cat", "a_b", "«a»", "a,", "...", "\u3000", "\u00a0", "\u2028", "²", "a²", "漢字",
         "x\u001fy", "'the'", "\u0300a", "€a", "A.", "THE", "ﬁ", "ǅ", "ẞ"]


def number(value):
    return None if isinstance(value, float) and math.isnan(value) else value


def classes(draw):
    count, rows = draw.choice([2, 2, 3, 7]), draw.randint(1, 30)
    skew = draw.choice([1, 1, 4])
    one = lambda: min(int(draw.random() ** skew * count), count - 1)
    right = [one() for _ in range(rows)]
    said = [r if draw.random() < 0.5 else one() for r in right]
    return {"count": count, "right": right, "said": said, "accuracy": metrics.accuracy_score(right, said),
            "f1": metrics.f1_score([int(r == 1) for r in right], [int(s == 1) for s in said], zero_division=0),
            "f1_macro": metrics.f1_score(right, said, average="macro", zero_division=0),
            "matthews": float(metrics.matthews_corrcoef(right, said))}


def many(draw):
    count, rows = draw.randint(1, 6), draw.randint(1, 20)
    row = lambda: [int(draw.random() < 0.3) for _ in range(count)]
    right = [row() for _ in range(rows)]
    said = [list(r) if draw.random() < 0.4 else row() for r in right]
    r, s = numpy.array(right), numpy.array(said)
    if count == 1:
        macro = micro = metrics.f1_score(r[:, 0], s[:, 0], zero_division=0)
    else:
        macro, micro = (metrics.f1_score(r, s, average=how, zero_division=0) for how in ("macro", "micro"))
    return {"count": count, "right": right, "said": said, "accuracy": float((r == s).all(axis=1).mean()),
            "f1_macro": macro, "f1_micro": micro}


def numbers(draw):
    rows = draw.randint(2, 30)
    kind = draw.randint(0, 4)
    value = {0: lambda: draw.gauss(0, 1), 1: lambda: float(draw.randint(0, 3)), 2: lambda: draw.gauss(1e6, 1e-2),
             3: lambda: draw.gauss(0, 1) ** 5, 4: lambda: 2.5}[kind]
    right = [value() for _ in range(rows)]
    said = [r + draw.choice([0, 0, 1]) * draw.gauss(0, 1) for r in right]
    return {"right": right, "said": said, "mse": float(metrics.mean_squared_error(right, said)),
            "pearson": number(float(stats.pearsonr(right, said)[0])),
            "spearman": number(float(stats.spearmanr(right, said)[0]))}


def tags(draw):
    tags = TAGS if draw.random() < 0.5 else TAGS[:9]
    right = [[draw.choice(tags) for _ in range(draw.randint(1, 8))] for _ in range(draw.randint(1, 6))]
    said = [[t if draw.random() < 0.7 else draw.choice(tags) for t in row] for row in right]
    return {"right": right, "said": said, "precision": float(sequence_labeling.precision_score(right, said)),
            "recall": float(sequence_labeling.recall_score(right, said)),
            "f1": float(sequence_labeling.f1_score(right, said)),
            "accuracy": float(sequence_labeling.accuracy_score(right, said)), "types": types_of(right, said)}


def types_of(right, said):
    """The lines of seqeval's report, but for its averages."""
    report = sequence_labeling.classification_report(right, said, output_dict=True, zero_division=0) \
        if sequence_labeling.get_entities(right) or sequence_labeling.get_entities(said) else {}
    return [[name, *(float(line[k]) for k in ("precision", "recall", "f1-score", "support"))]
            for name, line in report.items() if not name.endswith(" avg")]


def answers(draw):
    def phrase():
        space, between = draw.choice(["", " "]), draw.choice([" ", " ", "  ", "-"])
        return space + between.join(draw.choice(WORDS) for _ in range(draw.randint(0, 4)))

    questions, examples, best, none = [], [], {}, {}
    for i in range(draw.randint(1, 10)):
        right = [phrase() for _ in range(draw.choice([0, 1, 1, 2, 3]))]
        best[i] = draw.choice(right) if right and draw.random() < 0.4 else phrase()
        none[i] = draw.choice([draw.gauss(0, 2), 0.0, 1.0, -1.0])
        questions.append({"answers": right, "best": best[i], "none": none[i]})
        examples.append(types.SimpleNamespace(qas_id=i, answers=[{"text": text} for text in right]))
    one = squad_metrics.squad_evaluate(examples, best)
    two = squad_metrics.squad_evaluate(examples, best, dict(none), 0.0)
    keep = lambda result: {k: float(v) for k, v in result.items() if not k.endswith("total")}
    return {"questions": questions, "one": {"exact_match": one["exact"], "f1": one["f1"]}, "two": keep(two)}


def main():
    draw = random.Random(17)
    made = {make.__name__: [make(draw) for _ in range(40)] for make in (classes, many, numbers, tags, answers)}
    os.makedirs(os.path.dirname(OUT), exist_ok=True)
    with open(OUT, "w", encoding="utf-8") as file:
        json.dump(made, file, ensure_ascii=True, separators=(",", ":"))
        file.write("\n")


if __name__ == "__main__":
    main()
