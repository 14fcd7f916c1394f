#!/usr/bin/env python3
"""What 20 steps of pre-training make of the case "odd" of make_pretrain_goldens.py: LAMB by Google's schedule.

Writes pretraining.json: the learning rate, and of each step the loss, the norm of the gradient, and loss and share of
right answers of masked words and of the order, by PyTorch in float64. The model and the instances are those of
pretrain/odd.json.
"""
import json
import math
import os
import tempfile

import torch

import make_encoder_goldens as encoder
import make_pretrain_goldens as pretrain

STEPS, LR, WARMUP = 20, 0.02, 0.1


def rate_of(step):
    """Google's: from 0 in the warm-up, then not rebased."""
    warmup = math.ceil(WARMUP * STEPS)
    return LR * (step / warmup if step < warmup else 1 - step / STEPS)


def main():
    case, steps = pretrain.CASES["odd"], []
    with open(os.path.join(pretrain.OUT, "odd.json")) as f:
        batches = json.load(f)["batches"]
    with tempfile.TemporaryDirectory() as folder:
        encoder.build_folder(folder, case)
        model = encoder.load(folder, case["cls"]).double()
    pretrain.tie_biases(model)
    lamb = pretrain.Lamb(list(model.named_parameters()))
    for i in range(STEPS):
        model.zero_grad()
        loss, parts = pretrain.losses_of(model, batches[i % pretrain.BATCHES])
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), float("inf")).item()
        for _, p in lamb.named:
            p.grad *= 1 / max(norm, 1.0)
        pretrain.LR = rate_of(i)
        lamb.step()
        steps.append([loss.item(), norm] + parts)
    print(f"loss {steps[0][0]:.3f} to {steps[-1][0]:.3f}")
    with open(os.path.join(encoder.HERE, "pretraining.json"), "w") as f:
        rows = ",\n".join(" " + json.dumps(step) for step in steps)
        f.write(f'{{"lr": {LR}, "warmup": {WARMUP}, "steps": [\n{rows}\n]}}\n')


if __name__ == "__main__":
    torch.manual_seed(0)
    main()
