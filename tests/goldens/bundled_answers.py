#!/usr/bin/env python3
"""What transformers answers with the bundled models: the numbers of tests/test_bundled.c.

    bundled_answers.py intents|spam|entities|similarity

The weights are the committed float16 ones, the arithmetic is float32.
"""
import os
import sys

import torch
from transformers import AutoModel, AutoModelForSequenceClassification, AutoModelForTokenClassification, AutoTokenizer

MODELS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools", "models")
TEXTS = {
    "intents": ["I am still waiting on my card?", "How much do you charge to exchange dollars for euros?"],
    "spam": ["You have won a prize! Call 09061701461 now to claim it.", "see you at the station at six",
             "I put the pictures on www.example.org"],
    "entities": ["Ada Lovelace was born in London", "the new phone from Apple is out in Japan"],
    "similarity": ["The dog ran into the garden.", "A hound came running through the yard.",
                   "Interest rates are set by the bank."],
}  # fmt: skip


def labels(model, tokenizer, texts):
    multi = model.config.problem_type == "multi_label_classification"
    for text in texts:
        logits = model(**tokenizer(text, return_tensors="pt")).logits[0]
        scores = logits.sigmoid() if multi else logits.softmax(0)
        best = scores.argsort(descending=True)[:2].tolist()
        print(text, [(model.config.id2label[i], round(scores[i].item(), 6)) for i in best])


def tags(model, tokenizer, texts):
    for text in texts:
        encoded = tokenizer(text, return_tensors="pt")
        scores = model(**encoded).logits[0].softmax(1)
        pieces = tokenizer.convert_ids_to_tokens(encoded["input_ids"][0])
        for piece, row in zip(pieces[1:-1], scores[1:-1]):
            print(piece, model.config.id2label[row.argmax().item()], round(row.max().item(), 6))


def cosines(model, tokenizer, texts):
    rows = [model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].mean(0) for text in texts]
    rows = torch.nn.functional.normalize(torch.stack(rows), dim=1)
    print((rows @ rows.T).tolist(), rows[:, :3].tolist())


def main():
    name = sys.argv[1]
    folder = os.path.join(MODELS, name)
    kinds = {
        "intents": (AutoModelForSequenceClassification, labels),
        "spam": (AutoModelForSequenceClassification, labels),
        "entities": (AutoModelForTokenClassification, tags),
        "similarity": (AutoModel, cosines),
    }
    kind, say = kinds[name]
    with torch.no_grad():
        model = kind.from_pretrained(folder, torch_dtype=torch.float32).eval()
        say(model, AutoTokenizer.from_pretrained(folder), TEXTS[name])


if __name__ == "__main__":
    main()
