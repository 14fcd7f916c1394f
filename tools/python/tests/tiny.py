"""Models of random weights that are small enough for a test of every task, without NumPy: ALBERTs over the tokenizer of
the bundled models, one for each head."""
import array
import json
import os
import random
import shutil
import struct

import reprise

WIDTH, HIDDEN, INNER, POSITIONS = 8, 12, 16, 64
HEADS = {
    "classify": ("SequenceClassification", ["a", "b", "c"]), "multi": ("SequenceClassification", ["a", "b", "c"]),
    "entails": ("SequenceClassification", ["contradiction", "neutral", "entailment"]),
    "tag": ("TokenClassification", ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]),
    "answer": ("QuestionAnswering", ["LABEL_0", "LABEL_1"]), "choose": ("MultipleChoice", ["LABEL_0", "LABEL_1"]),
    "pretrained": ("PreTraining", ["LABEL_0", "LABEL_1"]),
}


def _shapes(head, labels, vocabulary):
    """(name, shape) of each tensor."""
    def linear(name, rows, columns):
        return [(f"{name}.weight", (rows, columns)), (f"{name}.bias", (rows,))]

    def norm(name, width):
        return [(f"{name}.weight", (width,)), (f"{name}.bias", (width,))]

    layer = "albert.encoder.albert_layer_groups.0.albert_layers.0."
    shapes = [(f"albert.embeddings.{name}_embeddings.weight", (rows, WIDTH))
              for name, rows in (("word", vocabulary), ("position", POSITIONS), ("token_type", 2))]
    shapes += norm("albert.embeddings.LayerNorm", WIDTH)
    shapes += linear("albert.encoder.embedding_hidden_mapping_in", HIDDEN, WIDTH)
    for name in ("query", "key", "value", "dense"):
        shapes += linear(f"{layer}attention.{name}", HIDDEN, HIDDEN)
    shapes += norm(f"{layer}attention.LayerNorm", HIDDEN) + norm(f"{layer}full_layer_layer_norm", HIDDEN)
    shapes += linear(f"{layer}ffn", INNER, HIDDEN) + linear(f"{layer}ffn_output", HIDDEN, INNER)
    if head in ("SequenceClassification", "MultipleChoice", "PreTraining"):
        shapes += linear("albert.pooler", HIDDEN, HIDDEN)
    if head == "PreTraining":
        shapes += [("predictions.bias", (vocabulary,)), *linear("predictions.dense", WIDTH, HIDDEN),
                   *norm("predictions.LayerNorm", WIDTH), *linear("sop_classifier.classifier", 2, HIDDEN)]
    elif head == "QuestionAnswering":
        shapes += linear("qa_outputs", 2, HIDDEN)
    else:
        shapes += linear("classifier", 1 if head == "MultipleChoice" else labels, HIDDEN)
    return shapes


def _write(path, shapes):
    """A file of safetensors with small random numbers."""
    rng, header, at, data = random.Random(7), {}, 0, []
    for name, shape in shapes:
        count = shape[0] * (shape[1] if len(shape) == 2 else 1)
        middle = 1.0 if "orm.weight" in name else 0.0
        data.append(array.array("f", (middle + rng.uniform(-0.7, 0.7) for _ in range(count))))
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + 4 * count]}
        at += 4 * count
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for numbers in data:
            numbers.tofile(file)


def folders(root):
    """Write all of HEADS into folders of `root`; their paths by name."""
    made, source = {}, reprise.find_model("sentiment")
    with open(os.path.join(source, "config.json")) as file:
        vocabulary = json.load(file)["vocab_size"]
    for name, (head, labels) in HEADS.items():
        made[name] = folder = os.path.join(root, name)
        os.makedirs(folder)
        config = {"architectures": [f"AlbertFor{head}"], "model_type": "albert", "vocab_size": vocabulary,
                  "embedding_size": WIDTH, "hidden_size": HIDDEN, "num_hidden_layers": 2, "num_hidden_groups": 1,
                  "inner_group_num": 1, "num_attention_heads": 3, "intermediate_size": INNER, "hidden_act": "gelu_new",
                  "max_position_embeddings": POSITIONS, "type_vocab_size": 2, "layer_norm_eps": 1e-12,
                  "pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3,
                  "id2label": {str(i): label for i, label in enumerate(labels)},
                  "label2id": {label: i for i, label in enumerate(labels)}}
        if name == "multi":
            config["problem_type"] = "multi_label_classification"
        with open(os.path.join(folder, "config.json"), "w") as file:
            json.dump(config, file)
        _write(os.path.join(folder, "model.safetensors"), _shapes(head, len(labels), vocabulary))
        for copied in ("spiece.model", "tokenizer.json", "tokenizer_config.json"):
            shutil.copy(os.path.join(source, copied), folder)
    return made
