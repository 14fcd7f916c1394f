#!/usr/bin/env python3
"""What PyTorch's AdamW makes of Hugging Face's classes in 20 steps, without dropout.

    make_train_goldens.py [CASE...]

writes train/CASE.json: the batches, the loss and the norm of the whole gradient at each step, and elements of
every tensor at the end. The gradients of the tensors in "noise" are zero, so that float32 leaves rounding alone, which
AdamW makes steps of: the biases of keys, and what moves all logits of a softmax alike. The model of a case is one of make_encoder_goldens.py, in F32, whose weights
tests/support_fixture.c makes again. Everything is computed in float64; the script says how far PyTorch's own
float32 is from it.
"""
import json
import math
import os
import sys
import tempfile

import numpy as np
import torch
from sentence_transformers import losses
from sentence_transformers.models import Pooling

import make_encoder_goldens as encoder

OUT = os.path.join(encoder.HERE, "train")
STEPS, BATCHES, SAMPLE = 20, 5, 24
LR, DECAY, MOST_NORM = 3e-3, 0.01, 1.0
LABEL_WEIGHT = 0.5  # beside a teacher; the default of rp_trainer_params.label_weight

# the encoder case, sequences of a batch (of a choice: questions of 3), longest sequence
CASES = {
    "classify": ("odd", 6, 20),
    "classify_bert": ("bert_classes", 6, 20),
    "classify_taught": ("odd", 6, 20),
    "multilabel": ("types3", 5, 24),
    "regress": ("inner", 5, 24),
    "tag": ("odd_bf16", 4, 20),
    "tag_relu": ("head26", 4, 20),
    "answer": ("bert_spans", 5, 24),
    "answer_groups": ("head32", 3, 24),
    "answer_odd": ("odd_spans", 4, 24),
    "answer_inner": ("inner_spans", 4, 24),
    "choose": ("bert_choice", 2, 16),
    "choose_odd": ("odd_choice", 3, 16),
    "choose_head26": ("head26_choice", 3, 16),
    "classify_frozen": ("bert_classes", 6, 20),
    "multilabel_frozen": ("types3", 5, 24),
    "tag_frozen": ("odd_bf16", 4, 20),
    "embed": ("odd", 5, 20),
    "embed_relu": ("head26", 3, 20),
    "embed_bert": ("bert", 4, 20),
    "embed_scored": ("inner", 4, 12),
    "embed_taught": ("odd", 5, 20),
}
# What keeps its weights: by the names that its parameters have, without the class's prefix.
FROZEN = {"classify_frozen": "embeddings.", "multilabel_frozen": "embeddings.",
          "tag_frozen": ("embeddings.", "encoder.")}

# Vectors of texts, by sentence-transformers' losses: the way of pooling, and whether pairs have scores. A batch has so
# many pairs.
VECTORS = {"embed": ("mean", False), "embed_relu": ("mean", False), "embed_bert": ("cls", False),
           "embed_scored": ("mean", True), "embed_taught": ("mean", False)}


def numbers(text, count):
    return encoder.stream(encoder.fnv1a(text), count)


def below(text, count, n):
    return (numbers(text, count) % np.uint64(n)).astype(int).tolist()


def labels_of(cls, name, lengths, config):
    """What rp_train_batch takes: labels, of which one in six is not learnt, or targets."""
    many = len(lengths)
    if name.split("/")[1] in VECTORS:
        _, scored = VECTORS[name.split("/")[1]]
        return {"targets": [x / 8 for x in below(name + "/scores", many // 2, 9)]} if scored else {}
    if cls.endswith("ForTokenClassification"):
        return {"labels": [-100 if skip == 0 else label for label, skip in
                           zip(below(name + "/labels", sum(lengths), config.num_labels),
                               below(name + "/skip", sum(lengths), 6))]}
    if cls.endswith("ForQuestionAnswering"):
        return {"labels": [int(x) for i, n in enumerate(lengths) for x in sorted(below(f"{name}/span{i}", 2, n))]}
    if cls.endswith("ForMultipleChoice"):
        return {"labels": below(name + "/labels", many // 3, 3)}
    if config.problem_type == "multi_label_classification":
        return {"targets": [float(x) for x in below(name + "/targets", many * config.num_labels, 2)]}
    if config.num_labels == 1:
        return {"targets": [x / 4 - 2 for x in below(name + "/targets", many, 17)]}
    return {"labels": below(name + "/labels", many, config.num_labels)}


def taught(name, batch, config):
    """What a teacher says, too; half of the labels are not known, and in the last batch none is."""
    many, last = len(batch["sequences"]), name.endswith(str(BATCHES - 1))
    if name.split("/")[1] in VECTORS:
        return {"labels": [-1 if last else 0 for _ in range(many // 2)],
                "teacher": [x / 8 - 1 for x in below(name + "/teacher", many * config.hidden_size, 17)]}
    return {"labels": [-1 if skip == 0 or last else label for label, skip in
                       zip(batch["labels"], below(name + "/skip", many, 2))],
            "teacher": [x / 4 - 2 for x in below(name + "/teacher", many * config.num_labels, 17)]}


def batches_of(name, cls, count, longest, config):
    out = []
    for b in range(BATCHES):
        at = f"train/{name}/{b}"
        many = 3 * count if cls.endswith("ForMultipleChoice") else count
        many = 2 * count if name in VECTORS else many
        lengths = [1 + n for n in below(at + "/lengths", many, longest)]
        sequences = encoder.sequences_of(at, lengths, config.vocab_size, config.type_vocab_size)
        batch = {"sequences": sequences, **labels_of(cls, at, lengths, config)}
        out.append({**batch, **(taught(at, batch, config) if name.endswith("_taught") else {})})
    return out


def padded(rows, value):
    longest = max(map(len, rows))
    return torch.tensor([row + [value] * (longest - len(row)) for row in rows])


class Vectors(torch.nn.Module):
    """What sentence-transformers calls a model: from features to vectors of texts."""

    def __init__(self, model, pooling):
        super().__init__()
        self.model = model.base_model
        self.pooling = Pooling(model.config.hidden_size, pooling_mode=pooling)

    def forward(self, features):
        return self.pooling({**features, "token_embeddings": self.model(**features).last_hidden_state})


def loss_of_vectors(model, batch, inputs, pooling):
    vectors = Vectors(model, pooling)
    sides = [{k: v[i::2] for k, v in inputs.items()} for i in (0, 1)]
    if "targets" in batch:
        scores = torch.tensor(batch["targets"])  # which the class makes float32 of
        mse = lambda cosines, wanted: torch.nn.functional.mse_loss(cosines, wanted.to(cosines.dtype))
        return losses.CosineSimilarityLoss(vectors, loss_fct=mse)(sides, scores)
    loss = losses.MultipleNegativesRankingLoss(vectors)(sides, None)
    if "teacher" in batch:  # as losses.MSELoss
        own = vectors(inputs)["sentence_embedding"]
        away = torch.nn.functional.mse_loss(own, torch.tensor(batch["teacher"], dtype=own.dtype).reshape(own.shape))
        loss = away + LABEL_WEIGHT * loss if batch["labels"][0] >= 0 else away
    return loss


def loss_of(model, batch, vectors=None):
    cls = type(model).__name__
    ids = [s["ids"] for s in batch["sequences"]]
    inputs = {"input_ids": padded(ids, model.config.pad_token_id),
              "attention_mask": padded([[1] * len(x) for x in ids], 0),
              "token_type_ids": padded([s.get("types", [0] * len(s["ids"])) for s in batch["sequences"]], 0)}
    if vectors:
        return loss_of_vectors(model, batch, inputs, vectors[0])
    if cls.endswith("ForQuestionAnswering"):  # one by one: in a batch the softmax would be over padding too
        spans = torch.tensor(batch["labels"]).reshape(-1, 2)
        losses = [model(**{k: v[i:i + 1, :len(x)] for k, v in inputs.items()}, start_positions=spans[i:i + 1, 0],
                        end_positions=spans[i:i + 1, 1]).loss for i, x in enumerate(ids)]
        return sum(losses) / len(losses)
    if cls.endswith("ForTokenClassification"):
        rest = iter(batch["labels"])
        return model(**inputs, labels=padded([[next(rest) for _ in x] for x in ids], -100)).loss
    if cls.endswith("ForMultipleChoice"):
        inputs = {k: v.reshape(-1, 3, v.shape[1]) for k, v in inputs.items()}
    if "targets" in batch:
        targets = torch.tensor(batch["targets"], dtype=model.dtype).reshape(len(ids), -1)
        return model(**inputs, labels=targets if model.config.num_labels > 1 else targets[:, 0]).loss
    if "teacher" in batch:
        logits, labels = model(**inputs).logits, torch.tensor(batch["labels"])
        teacher = torch.tensor(batch["teacher"], dtype=model.dtype).reshape(logits.shape)
        loss = torch.nn.functional.mse_loss(logits, teacher)
        known = torch.nn.functional.cross_entropy(logits, labels, ignore_index=-1)
        return loss + LABEL_WEIGHT * known if (labels >= 0).any() else loss
    return model(**inputs, labels=torch.tensor(batch["labels"])).loss


def parts_of(frozen):
    return [frozen] if isinstance(frozen, str) else list(frozen)


def freeze(model, parts):
    for name, parameter in model.named_parameters():
        if parts and name.split(".", 1)[1].startswith(parts):
            parameter.requires_grad = False


def train(model, batches, vectors=None, frozen=None):
    freeze(model, frozen)
    decays = [p for n, p in model.named_parameters() if "bias" not in n and "LayerNorm" not in n and "layer_norm" not in n]
    known = {id(p) for p in decays}
    rest = [p for p in model.parameters() if id(p) not in known]
    optimizer = torch.optim.AdamW([{"params": decays, "weight_decay": DECAY}, {"params": rest, "weight_decay": 0.0}],
                                  lr=LR, betas=(0.9, 0.999), eps=1e-8)
    steps, largest = [], {}
    for i in range(STEPS):
        optimizer.zero_grad()
        loss = loss_of(model, batches[i % BATCHES], vectors)
        loss.backward()
        for name, p in model.named_parameters():
            if p.grad is None:
                continue
            largest[name] = max(largest.get(name, 0), p.grad.abs().max().item())
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), MOST_NORM)
        optimizer.step()
        steps.append([loss.item(), norm.item()])
    noise = [name for name, value in largest.items() if value < 1e-12]
    return steps, noise, {k: v.detach().double().numpy() for k, v in model.state_dict().items()}


def elements(name, value):
    """Places in the tensor, and what is there."""
    flat = value.reshape(-1)
    at = (encoder.stream(encoder.fnv1a(name), SAMPLE) % np.uint64(flat.size)).astype(int) if flat.size > SAMPLE \
        else np.arange(flat.size)
    return [at.tolist(), [float(np.float32(x)) for x in flat[at]]]


def make(name):
    case, count, longest = CASES[name]
    described = {**encoder.CASES[case], "dtype": "F32", "shards": 1}
    with tempfile.TemporaryDirectory() as folder:
        _, tensors, _ = encoder.build_folder(folder, described)
        model = encoder.load(folder, described["cls"])
        batches = batches_of(name, described["cls"], count, longest, model.config)
        single, _, single_weights = train(model, batches, VECTORS.get(name), FROZEN.get(name))
        model = encoder.load(folder, described["cls"]).double()
        steps, noise, weights = train(model, batches, VECTORS.get(name), FROZEN.get(name))
    away = max(abs(a - b) / abs(b) for s, d in zip(single, steps) for a, b in zip(s, d))
    worst = max((np.abs(single_weights[t["name"]] - weights[t["name"]]).max(), t["name"]) for t in tensors
                if t["name"] not in noise)
    print(f"{name}: float32 is {away:.1e} from float64 in loss and norm, {worst[0]:.1e} in {worst[1]}; "
          f"loss {steps[0][0]:.3f} to {steps[-1][0]:.3f}")
    with open(os.path.join(OUT, name + ".json"), "w") as f:
        json.dump({"case": case, "lr": LR, "decay": DECAY, "vectors": VECTORS.get(name, [None])[0],
                   "freeze": len(parts_of(FROZEN.get(name, ()))), "batches": batches, "steps": steps, "noise": noise,
                   "weights": {t["name"]: elements(t["name"], weights[t["name"]]) for t in tensors}}, f)
        f.write("\n")


def main():
    torch.manual_seed(0)
    os.makedirs(OUT, exist_ok=True)
    for name in sys.argv[1:] or CASES:
        make(name)


if __name__ == "__main__":
    main()
