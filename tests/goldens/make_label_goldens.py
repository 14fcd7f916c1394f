#!/usr/bin/env python3
"""Expected labels of long texts and of labels that no model was taught.

    make_label_goldens.py [CASE...]

writes tasks/CASE.json as make_task_goldens.py does, whose folders and texts it takes. A long text is cut by Hugging
Face's fast tokenizer (return_overflowing_tokens), each window is scored by itself, and the scores are put together
here. Labels of a text's own come from Hugging Face's zero-shot-classification pipeline or, where the model has no
entailment head, from the cosine of sentence-transformers' vectors. Answers are {label: score}.
"""
import os
import shutil
import sys
import tempfile
import warnings

import numpy as np
import torch
import transformers
from transformers import pipeline

from make_task_goldens import (LABELS, SHORT, STORY, World, albert, bert, build, labels, rounded, sentence_files, write)


def windows(w, text, pair, stride):
    """The ids and types of every window."""
    options = dict(max_length=w.limit, stride=stride, return_overflowing_tokens=True)
    if pair:
        encoded = w.fast(text, pair, truncation="only_second", **options)
    else:
        encoded = w.fast(text, truncation=True, **options)
    return list(zip(encoded["input_ids"], encoded["token_type_ids"]))


def long(w, params, inputs):
    answers = []
    for i in inputs:
        scores = []
        for ids, types in windows(w, i["text"], i.get("text_pair"), params["stride"]):
            with torch.no_grad():
                logits = w.model(input_ids=torch.tensor([ids]), token_type_ids=torch.tensor([types])).logits[0]
            many = w.model.config.problem_type == "multi_label_classification"
            raw = w.model.config.problem_type == "regression"
            scores.append((logits if raw else logits.sigmoid() if many else logits.softmax(-1)).double().numpy())
        scores = np.stack(scores)
        if params["long"] == "mean":
            got = scores.mean(0)
        elif params["long"] == "max":
            got = scores.max(0)
        elif many:
            got = (scores >= 0.5).mean(0)
        else:
            got = np.eye(scores.shape[1])[scores.argmax(1)].mean(0)
        answers.append({w.model.config.id2label[k]: float(v) for k, v in enumerate(got)})
        best = np.sort(scores, 1)[:, -2:]
        close = np.abs(scores - 0.5) if many else best[:, 1] - best[:, 0] if not raw else np.ones(1)
        if params["long"] == "vote" and close.min() < 1e-4:
            sys.exit("a vote is too close to call")
    return answers


def zero_shot(w, params, inputs):
    pipe = pipeline("zero-shot-classification", model=w.model, tokenizer=w.fast, device="cpu")
    answers = []
    for text in inputs:
        got = pipe(text, params["labels"], multi_label=params.get("multi_label", False),
                   hypothesis_template=params.get("template", "This example is {}."))
        answers.append(dict(zip(got["labels"], got["scores"])))
    return answers


def by_vectors(w, params, inputs):
    from sentence_transformers import SentenceTransformer, util
    st = SentenceTransformer(w.root, device="cpu")
    asked = st.encode([params.get("template", "This example is {}.").format(n) for n in params["labels"]])
    return [dict(zip(params["labels"], util.cos_sim(st.encode(t), asked)[0].tolist())) for t in inputs]


TASKS = {"long": long, "zero-shot": zero_shot, "by-vectors": by_vectors}
TEXTS = [{"text": t} for t in (*SHORT, STORY, STORY + " " + STORY)]
PAIRS = [{"text": SHORT[0], "text_pair": STORY}, {"text": SHORT[0], "text_pair": "dull."}, {"text": "dull.", "text_pair": ""}]
NAMES = ["weather", "the river", "engines, and letters", "Zürich"]
ASKED = [*[t for t in SHORT if t], STORY]


def long_calls(inputs, ways=("mean", "max", "vote")):
    return [("long", {"long": how, **more}, inputs) for how in ways for more in ({"stride": 8}, {"stride": 1})]


def shot_calls(task="zero-shot"):
    return [(task, {"labels": NAMES}, ASKED), (task, {"labels": NAMES, "template": "{}: is it so?"}, ASKED[:3]),
            (task, {"labels": NAMES[:1]}, ASKED[:3])]


INFERENCE = ["contradiction", "neutral", "ENTAILMENT"]
CASES = {
    "long": {**albert("ForSequenceClassification", 48, LABELS, **labels(["bad", "so-so", "good"])),
             "calls": [*long_calls(TEXTS + PAIRS), ("long", {"long": "mean", "stride": 35}, TEXTS)]},
    "long_many": {**bert("ForSequenceClassification", 48, LABELS, problem_type="multi_label_classification",
                         **labels(["a", "b", "c", "d"])),
                  "calls": long_calls(TEXTS + PAIRS)},
    "long_value": {**albert("ForSequenceClassification", 40, LABELS, problem_type="regression", **labels(["score"])),
                   "calls": long_calls(TEXTS, ("mean", "max"))},
    "zero_shot": {**albert("ForSequenceClassification", 64, LABELS, **labels(INFERENCE)),
                  "calls": [*shot_calls(), ("zero-shot", {"labels": NAMES, "multi_label": True}, ASKED)]},
    "zero_shot_first": {**bert("ForSequenceClassification", 90, LABELS, **labels(["entails", "other", "no"])),
                        "calls": [*shot_calls(), ("zero-shot", {"labels": NAMES, "multi_label": True}, ASKED)]},
    "zero_shot_vectors": {**albert("Model", 64), "files": sentence_files("mean", True, max_seq_length=40,
                                                                         do_lower_case=False),
                          "calls": shot_calls("by-vectors")},
}


def make_case(name):
    folder, case = tempfile.mkdtemp(), CASES[name]
    try:
        torch.manual_seed(0)
        golden = build(folder, case)
        world = World(folder, case["cls"], root=folder)
        calls = [{"task": task, "params": params, "inputs": inputs, "answers": rounded(TASKS[task](world, params, inputs))}
                 for task, params, inputs in case["calls"]]
        write(name, golden, calls)
    finally:
        shutil.rmtree(folder)


def main():
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity_error()
    for name in sys.argv[1:] or CASES:
        if name not in CASES:
            sys.exit(f"{name}: choose among {' '.join(CASES)}")
        make_case(name)


if __name__ == "__main__":
    main()
