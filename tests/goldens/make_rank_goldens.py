#!/usr/bin/env python3
"""Scores of a cross-encoder, given by sentence-transformers' CrossEncoder.

    make_rank_goldens.py

writes tasks/rank.json: texts in the order of CrossEncoder.rank for each query, by the folder of the case
classify_one, with the sigmoid that it uses for one label, and with the raw values.
"""
import json
import os
import shutil
import tempfile

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
import transformers
from safetensors.torch import load_file
from sentence_transformers import CrossEncoder

import make_task_goldens as tasks
from make_encoder_goldens import copy_weights

QUERIES = [tasks.SHORT[3], "dull.", ""]


def ranked(encoder, query, **options):
    found = encoder.rank(query, tasks.SHORT + [tasks.STORY], **options)
    return [{"index": hit["corpus_id"], "score": float(f"{hit['score']:.6g}")} for hit in found]


def main():
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    folder = tempfile.mkdtemp()
    try:
        torch.manual_seed(0)
        tasks.build(folder, tasks.CASES["classify_one"])
        encoder = CrossEncoder(folder, device="cpu", max_length=512)
        copy_weights(encoder.model, load_file(os.path.join(folder, "model.safetensors")))
        answers = [{"query": q, "sigmoid": ranked(encoder, q),
                    "raw": ranked(encoder, q, activation_fct=torch.nn.Identity())} for q in QUERIES]
    finally:
        shutil.rmtree(folder)
    with open(os.path.join(tasks.OUT, "rank.json"), "w") as f:
        json.dump({"documents": tasks.SHORT + [tasks.STORY], "answers": answers}, f, ensure_ascii=False, indent=1)
        f.write("\n")


if __name__ == "__main__":
    main()
