#!/usr/bin/env python3
"""PyTorch's side of a comparison: fine-tune with transformers what `reprise finetune` does, with the same settings.

    with_pytorch.py classify MODEL train.tsv OUT --epochs 3 --batch-size 64 --lr 3e-4 --warmup 0.05 --seed 42
    with_pytorch.py tag MODEL train.conll OUT --epochs 10 --batch-size 32 --lr 3e-4 --warmup 0.1 --seed 42
    with_pytorch.py answer MODEL train.json OUT --epochs 2 --batch-size 16 --lr 3e-4 --warmup 0.1 --seed 42

AdamW without decay, a linear schedule behind a warm-up, gradients clipped to a norm of 1, dropout as config.json says,
float32. Words are tokenized one by one and their first piece has the tag; contexts are cut into windows of 384 tokens
that share 128. The order of rows and the head's first numbers are PyTorch's. OUT is a folder for `reprise eval`, and
each step is printed as `reprise finetune --log` writes it.
"""
import argparse
import json
import random

import torch
from transformers import AlbertForQuestionAnswering, AlbertForSequenceClassification, AlbertForTokenClassification
from transformers import AutoConfig, AutoTokenizer

WINDOW, STRIDE = 384, 128


def classes(tokenizer, path):
    with open(path, encoding="utf-8") as file:
        rows = [line.rstrip("\n").split("\t") for line in list(file)[1:]]
    names = sorted({label for _, label in rows})
    ids = tokenizer([text for text, _ in rows], truncation=True, max_length=512)["input_ids"]
    return [(ids[i], None, names.index(label)) for i, (_, label) in enumerate(rows)], names


def tagged(tokenizer, path):
    rows, row = [], []
    with open(path, encoding="utf-8") as file:
        for line in list(file) + [""]:
            fields = line.split()
            if fields:
                row.append((fields[0], fields[-1]))
            elif row:
                rows.append(row)
                row = []
    names = sorted({tag for row in rows for _, tag in row})
    examples = []
    for row in rows:
        ids, labels = [], []
        for word, tag in row:
            pieces = tokenizer(word, add_special_tokens=False)["input_ids"]
            ids += pieces
            labels += [names.index(tag)] * bool(pieces) + [-100] * (len(pieces) - 1)
        examples.append(
            ([tokenizer.cls_token_id, *ids[:510], tokenizer.sep_token_id], None, [-100, *labels[:510], -100])
        )
    return examples, names


def spans(encoded, window, context, start, end):
    """The first and last token of the answer, or [CLS] where the window does not hold all of it."""
    offsets = encoded["offset_mapping"][window]
    inside = [i for i, part in enumerate(encoded.sequence_ids(window)) if part == 1]
    if start is None or offsets[inside[0]][0] > start or offsets[inside[-1]][1] < end:
        return [0, 0]
    return [
        max(i for i in inside if offsets[i][0] <= start),
        min(i for i in inside if offsets[i][1] >= end),
    ]


def questions(tokenizer, path):
    examples = []
    with open(path, encoding="utf-8") as file:
        paragraphs = [p for article in json.load(file)["data"] for p in article["paragraphs"]]
    for paragraph in paragraphs:
        for qa in paragraph["qas"]:
            encoded = tokenizer(
                qa["question"],
                paragraph["context"],
                truncation="only_second",
                max_length=WINDOW,
                stride=STRIDE,
                return_overflowing_tokens=True,
                return_offsets_mapping=True,
            )
            start = qa["answers"][0]["answer_start"] if qa["answers"] else None
            end = start + len(qa["answers"][0]["text"]) if qa["answers"] else None
            for window, ids in enumerate(encoded["input_ids"]):
                label = spans(encoded, window, paragraph["context"], start, end)
                examples.append((ids, encoded["token_type_ids"][window], label))
    return examples, None


def batch(examples, task):
    width = max(len(ids) for ids, _, _ in examples)
    pad = lambda row, value: row + [value] * (width - len(row))
    labels = torch.tensor([pad(label, -100) if task == "tag" else label for _, _, label in examples])
    out = {
        "input_ids": torch.tensor([pad(ids, 0) for ids, _, _ in examples]),
        "attention_mask": torch.tensor([pad([1] * len(ids), 0) for ids, _, _ in examples]),
        "token_type_ids": torch.tensor([pad(types or [0] * len(ids), 0) for ids, types, _ in examples]),
    }
    if task != "answer":
        return dict(out, labels=labels)
    return dict(out, start_positions=labels[:, 0], end_positions=labels[:, 1])


def train(model, examples, args):
    steps = -(-len(examples) // args.batch_size) * args.epochs
    warm = int(steps * args.warmup + 0.999999)
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr, weight_decay=0)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda n: n / warm if n < warm else (steps - n) / max(1, steps - warm)
    )
    order, step = random.Random(args.seed), 0
    model.train()
    for _ in range(args.epochs):
        order.shuffle(examples)
        for first in range(0, len(examples), args.batch_size):
            rows = batch(examples[first : first + args.batch_size], args.task)
            loss = model(**rows).loss
            loss.backward()
            norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            step += 1
            print(json.dumps({"step": step, "loss": loss.item(), "grad_norm": norm.item()}), flush=True)


def main():
    parser = argparse.ArgumentParser()
    for name in ("task", "model", "train", "out"):
        parser.add_argument(name)
    for name, kind in (("epochs", int), ("batch-size", int), ("lr", float), ("warmup", float), ("seed", int)):
        parser.add_argument("--" + name, type=kind, required=True)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    tokenizer = AutoTokenizer.from_pretrained(args.model)
    read, kind = {
        "classify": (classes, AlbertForSequenceClassification),
        "tag": (tagged, AlbertForTokenClassification),
        "answer": (questions, AlbertForQuestionAnswering),
    }[args.task]
    examples, names = read(tokenizer, args.train)
    config = AutoConfig.from_pretrained(args.model)
    if names:
        config.num_labels = len(names)
        config.id2label = dict(enumerate(names))
        config.label2id = {name: i for i, name in enumerate(names)}
    model = kind.from_pretrained(args.model, config=config, torch_dtype=torch.float32)
    train(model, examples, args)
    config.torch_dtype = torch.float32
    model.save_pretrained(args.out)
    tokenizer.save_pretrained(args.out)


if __name__ == "__main__":
    main()
