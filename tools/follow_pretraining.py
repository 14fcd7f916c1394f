#!/usr/bin/env python3
"""Does a pre-training with Reprise follow PyTorch's loss?

    tools/follow_pretraining.py CORPUS [--reprise build/reprise] [--steps 300] [--batch-size 32] [--max-length 64] ...

Makes instances of the corpus with `reprise pretrain --write-instances`, a small AlbertForPreTraining with random
weights, and trains it twice on the same batches from the same weights: with `reprise pretrain --instances --init`, and
with PyTorch and the LAMB of google-research/albert, written out below. Prints the losses as means over 20 steps, and
fails where the two differ by more than 1 %; follow_pretraining.txt has a run. Needs torch and transformers.
"""

import argparse
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile

import torch
from transformers import AlbertConfig, AlbertForPreTraining

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", nargs="+")
    parser.add_argument("--reprise", default=os.path.join(ROOT, "build", "reprise"))
    parser.add_argument("--tokenizer", default=os.path.join(ROOT, "tools", "models", "pretrained"))
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--max-length", type=int, default=64)
    parser.add_argument("--hidden", type=int, default=96)
    parser.add_argument("--layers", type=int, default=3)
    parser.add_argument("--lr", type=float, default=0.00176)
    parser.add_argument("--optimizer", default="lamb", choices=["lamb", "adamw"])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--summary", help="file that gets the means as JSON lines")
    return parser.parse_args()


def make_model(args, folder):
    torch.manual_seed(args.seed)
    config = AlbertConfig(vocab_size=8192, embedding_size=64, hidden_size=args.hidden, num_hidden_layers=args.layers,
                          num_attention_heads=4, intermediate_size=4 * args.hidden, hidden_act="gelu_new",
                          max_position_embeddings=args.max_length, hidden_dropout_prob=0,
                          attention_probs_dropout_prob=0, classifier_dropout_prob=0, attn_implementation="eager")
    model = AlbertForPreTraining(config)
    model.save_pretrained(folder)
    for name in os.listdir(args.tokenizer):
        if name.startswith(("spiece", "tokenizer", "special_tokens", "vocab")):
            shutil.copy(os.path.join(args.tokenizer, name), folder)
    return model.train()


def run(command):
    print("$", " ".join(command), flush=True)
    subprocess.run(command, check=True)


def batch_of(lines):
    """The tensors of some instances; what is not to be predicted has the label -100."""
    longest = max(len(line["input_ids"]) for line in lines)
    ids = torch.zeros(len(lines), longest, dtype=torch.long)
    types, mask, labels = torch.zeros_like(ids), torch.zeros_like(ids), torch.full_like(ids, -100)
    for i, line in enumerate(lines):
        count = len(line["input_ids"])
        ids[i, :count] = torch.tensor(line["input_ids"])
        types[i, :count] = torch.tensor(line["token_type_ids"])
        mask[i, :count] = 1
        labels[i, line["masked_positions"]] = torch.tensor(line["masked_ids"])
    order = torch.tensor([line["order"] for line in lines])
    return dict(input_ids=ids, token_type_ids=types, attention_mask=mask, labels=labels, sentence_order_label=order)


def rate_of(args, step):
    """Of step `step`, from 0: warm-up from 0, then (1 - s / t), as google-research/albert has it."""
    warmup = math.ceil(0.025 * args.steps)
    return args.lr * (step / warmup if step < warmup else 1 - step / args.steps)


def update(args, named, state, rate, step):
    """One step of LAMB without bias correction, one ratio a tensor; or of PyTorch's AdamW. Decay is 0.01."""
    lamb = args.optimizer == "lamb"
    beta1, beta2, eps, decay = 0.9, 0.999, 1e-6 if lamb else 1e-8, 0.01
    for name, p in named:
        m, v = state.setdefault(name, (torch.zeros_like(p), torch.zeros_like(p)))
        m.mul_(beta1).add_(p.grad, alpha=1 - beta1)
        v.mul_(beta2).addcmul_(p.grad, p.grad, value=1 - beta2)
        excluded = "LayerNorm" in name or "layer_norm" in name or "bias" in name
        if lamb:
            change = m / (v.sqrt() + eps)
        else:
            change = m / (1 - beta1 ** (step + 1)) / ((v / (1 - beta2 ** (step + 1))).sqrt() + eps)
        if not excluded:
            change = change + decay * p
        ratio = 1.0
        if lamb and not excluded:
            weights, size = p.norm().item(), change.norm().item()
            ratio = weights / size if weights > 0 and size > 0 else 1.0
        p.sub_(change, alpha=rate * ratio)


def train(args, model, lines):
    """The losses of PyTorch: (both, masked words, order) of each step."""
    named, state, losses = list(model.named_parameters()), {}, []
    for step in range(args.steps):
        batch = batch_of(lines[step * args.batch_size:(step + 1) * args.batch_size])
        model.zero_grad()
        out = model(**batch)
        order = torch.nn.functional.cross_entropy(out.sop_logits, batch["sentence_order_label"]).item()
        out.loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        with torch.no_grad():
            update(args, named, state, rate_of(args, step), step)
        losses.append((out.loss.item(), out.loss.item() - order, order))
    return losses


def compare(args, ours, theirs):
    """The largest relative difference of means over 20 steps, of the whole loss."""
    worst, rows = 0.0, []
    for first in range(0, args.steps, 20):
        means = [[sum(step[k] for step in losses[first:first + 20]) / len(losses[first:first + 20]) for k in range(3)]
                 for losses in (ours, theirs)]
        off = abs(means[0][0] - means[1][0]) / means[1][0]
        worst = max(worst, off)
        rows.append({"first": first + 1, "reprise": means[0], "pytorch": means[1], "difference": off})
        print("steps %4d to %4d   reprise %.4f (mlm %.4f, sop %.4f)   pytorch %.4f (mlm %.4f, sop %.4f)   %.4f %%"
              % (first + 1, min(first + 20, args.steps), *means[0], *means[1], 100 * off), flush=True)
    return worst, rows


def main():
    args = parse()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    with tempfile.TemporaryDirectory() as folder:
        start, instances, log = (os.path.join(folder, name) for name in ("start", "instances.jsonl", "log.jsonl"))
        model = make_model(args, start)
        sizes = ["--steps", str(args.steps), "--batch-size", str(args.batch_size), "--max-length", str(args.max_length)]
        run([args.reprise, "pretrain", "--corpus", *args.corpus, "--tokenizer", start, "--write-instances", instances,
             "--seed", str(args.seed), *sizes])
        run([args.reprise, "pretrain", "--instances", instances, "--init", start, "--no-shuffle", "--log", log, "--lr",
             str(args.lr), "--optimizer", args.optimizer, "--schedule", "polynomial", "-o", os.path.join(folder, "out"),
             *sizes])
        with open(instances) as file:
            lines = [json.loads(line) for line in file]
        with open(log) as file:
            ours = [(step["loss"], step["mlm_loss"], step["sop_loss"]) for step in map(json.loads, file)]
        AlbertForPreTraining.from_pretrained(os.path.join(folder, "out"))
    worst, rows = compare(args, ours, train(args, model, lines))
    if args.summary:
        with open(args.summary, "w") as file:
            for row in rows:
                file.write(json.dumps(row) + "\n")
    print("largest difference of a mean over 20 steps: %.4f %%" % (100 * worst))
    return 0 if len(ours) == args.steps and worst <= 0.01 else 1


if __name__ == "__main__":
    sys.exit(main())
