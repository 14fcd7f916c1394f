#!/usr/bin/env python3
"""Expected early exits (PABEE): behind which layer each text leaves, and with which logits.

    make_exit_goldens.py

writes exits.json. The encoder is Hugging Face's AlbertModel; the internal classifiers stand on its pooler, and each
text is run alone, as the example "bert-loses-patience" of Hugging Face does: behind each layer its classifier chooses a
label, the counter grows where that is the label of the layer before and is zero where not, and the text leaves when the
counter is the patience.
"""
import json
import os
import tempfile

import numpy as np
import torch
import transformers

from make_encoder_goldens import HERE, albert, build_folder, copy_weights, generate, sequences_of
from safetensors.torch import load_file

LAYERS, LABELS = 8, 2
PATIENCES = (1, 2, 3, 7, 20)
CLOSE = 1e-3  # two logits that are nearer than this could be in another order elsewhere


def logits_of(model, classifiers, sequence):
    """The logits behind each layer."""
    ids = torch.tensor([sequence["ids"]])
    types = torch.tensor([sequence.get("types", [0] * len(sequence["ids"]))])
    hidden = model(input_ids=ids, token_type_ids=types, output_hidden_states=True).hidden_states[1:]
    pooled = [model.pooler_activation(model.pooler(h[:, 0])) for h in hidden]
    return [(p @ weight.T + bias)[0] for p, (weight, bias) in zip(pooled, classifiers)]


def leave(logits, patience):
    """(layers, logits) of one text."""
    counter, before = 0, None
    for layer, now in enumerate(logits, 1):
        label = int(now.argmax())
        counter = counter + 1 if before is not None and label == before else 0
        before = label
        if counter == patience:
            break
    return layer, now.tolist()


def make(name, groups):
    case = albert("Model", [1 + 5 * i % 23 for i in range(24)], layers=LAYERS, num_hidden_groups=groups, num_labels=LABELS)
    with tempfile.TemporaryDirectory() as folder:
        config, tensors, _ = build_folder(folder, case)
        model = transformers.AlbertModel.from_pretrained(folder, attn_implementation="eager")
        copy_weights(model, load_file(os.path.join(folder, "model.safetensors")))
    config["architectures"] = ["AlbertForSequenceClassificationWithPabee"]
    tensors = [{**t, "name": "albert." + t["name"]} for t in tensors]
    state = {}
    for t in tensors:  # the generator hashes the name, which has another prefix now
        state[t["name"][len("albert."):]] = torch.from_numpy(generate(t["name"], t["shape"], t["scale"], t["offset"]))
    copy_weights(model, state)
    model.eval()
    classifiers = []
    for i in range(LAYERS):
        own = [{"name": f"classifiers.{i}.weight", "shape": [LABELS, case["config"]["hidden_size"]], "scale": 1.0,
                "offset": 0.0}, {"name": f"classifiers.{i}.bias", "shape": [LABELS], "scale": 0.25, "offset": 0.0}]
        tensors += own
        classifiers.append([torch.from_numpy(generate(t["name"], t["shape"], t["scale"], t["offset"])) for t in own])
    sequences = sequences_of(name, case["lengths"], config["vocab_size"], 2)
    with torch.no_grad():
        logits = [logits_of(model, classifiers, s) for s in sequences]
    gaps = [np.diff(np.sort(np.array([one.numpy() for one in text])))[:, -1].min() for text in logits]
    kept = [i for i, gap in enumerate(gaps) if gap > CLOSE]
    runs = [{"patience": p, "texts": [leave(logits[i], p) for i in kept]} for p in PATIENCES]
    for run in runs:
        print(name, run["patience"], [t[0] for t in run["texts"]])
    return {"name": name, "config": config, "tensors": tensors, "sequences": [sequences[i] for i in kept], "runs": runs}


def main():
    torch.manual_seed(0)
    cases = [make("albert", 1), make("groups", 2)]
    with open(os.path.join(HERE, "exits.json"), "w") as f:
        json.dump(cases, f, indent=0)
        f.write("\n")


if __name__ == "__main__":
    main()
