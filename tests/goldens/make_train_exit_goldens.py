#!/usr/bin/env python3
"""What PyTorch's AdamW makes of internal classifiers (PABEE) and the model below them in 20 steps, without dropout.

    make_train_exit_goldens.py

writes train/exits.json and train/exits_groups.json: the model, the batches, the loss and the norm of the whole gradient
at each step, and elements of every tensor at the end. The loss is that of Hugging Face's example "bert-loses-patience":
the mean of the cross entropies of all classifiers, each weighted by the number of its layer. All in float64.
"""
import json
import os
import tempfile

import torch
import transformers

from make_encoder_goldens import HERE, albert, build_folder, copy_weights, generate, sequences_of
from make_exit_goldens import LABELS, LAYERS
from make_train_goldens import BATCHES, DECAY, LR, MOST_NORM, STEPS, below, elements, padded

COUNT, LONGEST = 6, 20


def batches_of(name, config):
    out = []
    for b in range(BATCHES):
        at = f"train/{name}/{b}"
        lengths = [1 + n for n in below(at + "/lengths", COUNT, LONGEST)]
        out.append({"sequences": sequences_of(at, lengths, config["vocab_size"], 2),
                    "labels": below(at + "/labels", COUNT, LABELS)})
    return out


def loss_of(model, classifiers, batch):
    ids = [s["ids"] for s in batch["sequences"]]
    hidden = model(input_ids=padded(ids, 0), attention_mask=padded([[1] * len(x) for x in ids], 0),
                   token_type_ids=padded([s.get("types", [0] * len(s["ids"])) for s in batch["sequences"]], 0),
                   output_hidden_states=True).hidden_states[1:]
    labels = torch.tensor(batch["labels"])
    losses = [(i + 1) * torch.nn.functional.cross_entropy(one(torch.tanh(model.pooler(h[:, 0]))), labels)
              for i, (one, h) in enumerate(zip(classifiers, hidden))]
    return sum(losses) / sum(range(1, LAYERS + 1))


def train(model, classifiers, batches):
    named = [("albert." + n, p) for n, p in model.named_parameters()]
    named += [(f"classifiers.{n}", p) for n, p in classifiers.named_parameters()]
    decays = [p for n, p in named if "bias" not in n and "LayerNorm" not in n and "layer_norm" not in n]
    known = {id(p) for p in decays}
    optimizer = torch.optim.AdamW([{"params": decays, "weight_decay": DECAY},
                                   {"params": [p for _, p in named if id(p) not in known], "weight_decay": 0.0}], lr=LR)
    steps, largest = [], {}
    for i in range(STEPS):
        optimizer.zero_grad()
        loss = loss_of(model, classifiers, batches[i % BATCHES])
        loss.backward()
        for name, p in named:
            largest[name] = max(largest.get(name, 0), p.grad.abs().max().item())
        norm = torch.nn.utils.clip_grad_norm_([p for _, p in named], MOST_NORM)
        optimizer.step()
        steps.append([loss.item(), norm.item()])
    noise = [name for name, value in largest.items() if value < 1e-12]
    return steps, noise, {n: p.detach().numpy() for n, p in named}


def make(name, groups):
    case = albert("Model", [1], layers=LAYERS, num_hidden_groups=groups, num_labels=LABELS)
    with tempfile.TemporaryDirectory() as folder:
        config, tensors, _ = build_folder(folder, case)
        model = transformers.AlbertModel.from_pretrained(folder, attn_implementation="eager")
    copy_weights(model, {t["name"]: torch.from_numpy(generate("albert." + t["name"], t["shape"], t["scale"], t["offset"]))
                         for t in tensors})
    classifiers = torch.nn.ModuleList(torch.nn.Linear(case["config"]["hidden_size"], LABELS) for _ in range(LAYERS))
    for i, one in enumerate(classifiers):
        one.weight.data = torch.from_numpy(generate(f"classifiers.{i}.weight", list(one.weight.shape), 1.0, 0.0))
        one.bias.data = torch.from_numpy(generate(f"classifiers.{i}.bias", list(one.bias.shape), 0.25, 0.0))
    batches = batches_of(name, config)
    steps, noise, weights = train(model.double().eval(), classifiers.double(), batches)
    print(f"{name}: loss {steps[0][0]:.3f} to {steps[-1][0]:.3f}")
    config["architectures"] = ["AlbertForSequenceClassification"]
    made = [{**t, "name": "albert." + t["name"]} for t in tensors]
    for i in range(LAYERS):
        made += [{"name": f"classifiers.{i}.weight", "shape": list(classifiers[i].weight.shape), "scale": 1.0, "offset": 0.0},
                 {"name": f"classifiers.{i}.bias", "shape": [LABELS], "scale": 0.25, "offset": 0.0}]
    return {"config": config, "tensors": made, "vectors": None, "freeze": 0, "early_exit": True, "lr": LR, "decay": DECAY, "batches": batches, "steps": steps, "noise": noise,
            "weights": {n: elements(n, value) for n, value in weights.items()}}


def main():
    torch.manual_seed(0)
    for name, groups in (("exits", 1), ("exits_groups", 2)):
        case = make(name, groups)
        with open(os.path.join(HERE, "train", name + ".json"), "w") as f:
            json.dump(case, f)
            f.write("\n")


if __name__ == "__main__":
    main()
