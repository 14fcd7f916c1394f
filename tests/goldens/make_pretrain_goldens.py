#!/usr/bin/env python3
"""What pre-training makes of Hugging Face's classes in 10 steps, without dropout: LAMB and AdamW.

    make_pretrain_goldens.py [CASE...]

writes pretrain/CASE.json: the config and the tensors of a model, whose weights tests/support_fixture.c makes as
make_encoder_goldens.py does; prepared instances; and for each optimizer the losses and the norm of the whole gradient
at each step, the shares of right answers, and elements of every tensor at the end; and what an evaluation finds of all
instances before the first step. LAMB is written here from its
formula, as google-research/albert has it: no bias correction, no limit of the ratio, one ratio a tensor, and neither
ratio nor decay for biases and LayerNorms. Everything is computed in float64; the script says how far PyTorch's own
float32 is from it.
"""
import json
import math
import os
import sys
import tempfile

import numpy as np
import torch

import make_encoder_goldens as encoder
import make_train_goldens as train

OUT = os.path.join(encoder.HERE, "pretrain")
STEPS, BATCHES, COUNT, LONGEST = 10, 5, 5, 24
LR, DECAY, MOST_NORM, BETAS = 3e-3, 0.01, 1.0, (0.9, 0.999)
EPS = {"lamb": 1e-6, "adamw": 1e-8}

CASES = {
    "odd": encoder.albert("ForPreTraining", [], 39, 3, 91, 22, max_position_embeddings=40),
    "head26": encoder.albert("ForPreTraining", [], 78, 3, 312, 128, hidden_act="relu", max_position_embeddings=40),
    "inner": encoder.albert("ForPreTraining", [], layers=4, num_hidden_groups=2, inner_group_num=2, hidden_act="gelu",
                            max_position_embeddings=40),
    "mlm": encoder.albert("ForMaskedLM", [], 39, 3, 91, 70, hidden_act="gelu_pytorch_tanh", layer_norm_eps=1e-5,
                          max_position_embeddings=40, vocab_size=517),
    "untied": encoder.albert("ForMaskedLM", [], 32, 2, 64, 16, tie_word_embeddings=False, max_position_embeddings=40),
    "bert": encoder.bert("ForPreTraining", [], 39, 3, 91, 3, max_position_embeddings=40),
}


def batches_of(name, case):
    """Lengths from 1 on; of each sequence between none and a third of its tokens, in order; one in eight has no order."""
    config, out = case["config"], []
    for b in range(BATCHES):
        at = f"pretrain/{name}/{b}"
        lengths = [1 + n for n in train.below(at + "/lengths", COUNT, LONGEST)]
        sequences = encoder.sequences_of(at, lengths, config["vocab_size"], config.get("type_vocab_size", 2))
        for i, s in enumerate(sequences):
            n = len(s["ids"])
            places = sorted({int(x) for x in train.below(f"{at}/places/{i}", n // 3, n)} if n > 2 else [])
            s["masked_positions"] = places
            s["masked_ids"] = train.below(f"{at}/masked/{i}", len(places), config["vocab_size"]) if places else []
            s["order"] = train.below(f"{at}/order/{i}", 1, 2)[0] if train.below(f"{at}/none/{i}", 1, 8)[0] else -1
        out.append(sequences)
    return out


def inputs_of(model, batch):
    ids = [s["ids"] for s in batch]
    return {"input_ids": train.padded(ids, model.config.pad_token_id),
              "attention_mask": train.padded([[1] * len(x) for x in ids], 0),
              "token_type_ids": train.padded([s.get("types", [0] * len(s["ids"])) for s in batch], 0)}


def know_some(model, batches):
    """Every third token to be predicted is what the model says."""
    with torch.no_grad():
        for batch in batches:
            out = model(**inputs_of(model, batch))
            logits = out.logits if hasattr(out, "logits") else out.prediction_logits
            for i, s in enumerate(batch):
                for k in range(0, len(s["masked_ids"]), 3):
                    s["masked_ids"][k] = logits[i, s["masked_positions"][k]].argmax().item()


def losses_of(model, batch):
    """The loss that the class computes, its two parts, and the shares of right answers."""
    inputs = inputs_of(model, batch)
    labels = torch.full_like(inputs["input_ids"], -100)
    for i, s in enumerate(batch):
        labels[i, s["masked_positions"]] = torch.tensor(s["masked_ids"], dtype=torch.long)
    cross, chosen = torch.nn.functional.cross_entropy, labels >= 0
    if type(model).__name__.endswith("ForMaskedLM"):
        out = model(**inputs, labels=labels)
        logits, parts = out.logits, []
    else:
        order = torch.tensor([s["order"] if s["order"] >= 0 else -100 for s in batch])
        key = "sentence_order_label" if hasattr(model, "sop_classifier") else "next_sentence_label"
        out = model(**inputs, labels=labels, **{key: order})
        logits = out.prediction_logits
        of_order = out.sop_logits if hasattr(out, "sop_logits") else out.seq_relationship_logits
        there = order >= 0
        parts = [cross(of_order[there], order[there]), (of_order[there].argmax(1) == order[there]).double().mean()]
    mlm = [cross(logits[chosen], labels[chosen]), (logits[chosen].argmax(1) == labels[chosen]).double().mean()]
    return out.loss, [x.item() for x in mlm + parts]


def evaluate(model, batches):
    """Over all tokens and orders, and the perplexity."""
    alone = type(model).__name__.endswith("ForMaskedLM")
    sums, tokens, orders = [0.0] * 4, 0, 0
    with torch.no_grad():
        for batch in batches:
            parts = losses_of(model, batch)[1]
            masked, there = sum(len(s["masked_ids"]) for s in batch), sum(s["order"] >= 0 for s in batch)
            counts = [masked, masked] + ([] if alone else [there, there])
            sums = [a + b * n for a, b, n in zip(sums, parts + [0] * 2, counts + [0] * 2)]
            tokens, orders = tokens + masked, orders + there
    found = {"mlm_loss": sums[0] / tokens, "mlm_accuracy": sums[1] / tokens, "perplexity": math.exp(sums[0] / tokens)}
    return found if alone else {**found, "sop_loss": sums[2] / orders, "sop_accuracy": sums[3] / orders}


def is_excluded(name):
    return "bias" in name or "LayerNorm" in name or "layer_norm" in name


class Lamb:
    def __init__(self, named):
        self.named, self.moments = named, {name: [0.0, 0.0] for name, _ in named}

    @torch.no_grad()
    def step(self):
        for name, p in self.named:
            g, (m, v) = p.grad, self.moments[name]
            m, v = BETAS[0] * m + (1 - BETAS[0]) * g, BETAS[1] * v + (1 - BETAS[1]) * g * g
            self.moments[name] = [m, v]
            u, ratio = m / (v.sqrt() + EPS["lamb"]), 1.0
            if not is_excluded(name):
                u = u + DECAY * p
                w, n = p.norm(), u.norm()
                if w > 0 and n > 0:
                    ratio = w / n
            p -= LR * ratio * u


def optimizer_of(kind, named):
    if kind == "lamb":
        return Lamb(named)
    groups = [{"params": [p for n, p in named if not is_excluded(n)], "weight_decay": DECAY},
              {"params": [p for n, p in named if is_excluded(n)], "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=LR, betas=BETAS, eps=EPS["adamw"])


def tie_biases(model):
    """In 4.44 the bias of a masked language model is untied when it is loaded (make_encoder_goldens.copy_weights)."""
    head = model.cls.predictions if hasattr(model, "cls") else model.predictions
    head.bias = head.decoder.bias


def run(model, kind, batches):
    tie_biases(model)
    named = list(model.named_parameters())
    optimizer, steps, largest = optimizer_of(kind, named), [], {}
    for i in range(STEPS):
        model.zero_grad()
        loss, parts = losses_of(model, batches[i % BATCHES])
        loss.backward()
        for name, p in named:
            largest[name] = max(largest.get(name, 0), p.grad.abs().max().item())
        norm = torch.nn.utils.clip_grad_norm_([p for _, p in named], float("inf"))
        factor = MOST_NORM / max(norm.item(), MOST_NORM) if kind == "lamb" else min(1.0, MOST_NORM / (norm.item() + 1e-6))
        for _, p in named:
            p.grad *= factor
        optimizer.step()
        steps.append([loss.item(), norm.item()] + parts)
    noise = [name for name, value in largest.items() if value < 1e-12]
    return steps, noise, {k: v.detach().double().numpy() for k, v in model.state_dict().items()}


def make(name):
    case = CASES[name]
    batches = batches_of(name, case)
    with tempfile.TemporaryDirectory() as folder:
        config, tensors, checksum = encoder.build_folder(folder, case)
        golden = {"config": config, "tensors": tensors, "checksum": f"{checksum:016x}", "lr": LR, "decay": DECAY,
                  "batches": batches}
        model = encoder.load(folder, case["cls"])
        tie_biases(model)
        know_some(model.double(), batches)
        golden["evaluation"] = evaluate(model, batches)
        for kind in ("lamb", "adamw"):
            single, _, single_weights = run(encoder.load(folder, case["cls"]), kind, batches)
            steps, noise, weights = run(encoder.load(folder, case["cls"]).double(), kind, batches)
            away = max(abs(a - b) / abs(b) for s, d in zip(single, steps) for a, b in zip(s[:2], d[:2]))
            worst = max((np.abs(single_weights[t["name"]] - weights[t["name"]]).max(), t["name"]) for t in tensors
                        if t["name"] not in noise)
            print(f"{name}, {kind}: float32 is {away:.1e} from float64 in loss and norm, {worst[0]:.1e} in {worst[1]}; "
                  f"loss {steps[0][0]:.3f} to {steps[-1][0]:.3f}, norm {steps[0][1]:.2f}; noise {noise}")
            golden[kind] = {"steps": steps, "noise": noise,
                            "weights": {t["name"]: train.elements(t["name"], weights[t["name"]]) for t in tensors}}
    with open(os.path.join(OUT, name + ".json"), "w") as f:
        f.write(encoder.to_text(golden))


def main():
    torch.manual_seed(0)
    os.makedirs(OUT, exist_ok=True)
    for name in sys.argv[1:] or CASES:
        make(name)


if __name__ == "__main__":
    main()
