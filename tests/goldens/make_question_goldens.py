#!/usr/bin/env python3
"""What Hugging Face's run_qa makes of questions for training: windows, and where the answer lies in each.

    make_question_goldens.py

writes questions/train.json, a file as SQuAD 2.0 has it, and questions/features.json: for each longest sequence and
stride the token ids, the types and the labels of all features, by the tokenizer of tools/models/pretrained. The labels
are those of prepare_train_features of examples/pytorch/question-answering/run_qa.py (transformers 4.44), written anew
here, but for an answer that begins with the last token of its window: there run_qa names a token of the padding.
"""
import json
import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")

from transformers import AlbertTokenizerFast

import make_encoder_goldens as encoder

OUT = os.path.join(encoder.HERE, "questions")
CUTS = [(384, 128), (40, 12), (33, 5)]

STORY = ("The lighthouse at Kap Arkona was built in 1827, and its lamp burned rape oil. In 1905 a taller tower was built "
         "beside it, with an electric arc lamp made by Siemens & Halske. Since then the old tower has been a museum; "
         "Frau Müller, its keeper, counts 40,000 visitors a year. They climb 82 steps. From the gallery one sees Møn, "
         "60 km to the north, on clear days.")
SHORT = "Basalt is dark. Granite isn't."
PARAGRAPHS = [
    (STORY, [("When was the old lighthouse built?", "1827"), ("Who made the arc lamp?", "Siemens & Halske"),
             ("What is seen from the gallery?", "Møn, 60 km to the north"), ("Who keeps the museum?", "Frau Müller"),
             ("When does one see far?", "clear days."), ("What comes first?", "The"),
             ("How many steps are there from the ground to the gallery of the old tower at Kap Arkona?", "82"),
             ("Who painted the tower?", None)]),
    (SHORT, [("What is dark?", "Basalt"), ("Is granite dark?", "Granite isn't."), ("Where is gneiss?", None)]),
]


def dataset():
    paragraphs = []
    for context, questions in PARAGRAPHS:
        qas = []
        for question, answer in questions:
            answers = [] if answer is None else [{"text": answer, "answer_start": context.index(answer)}]
            qas.append({"id": str(len(qas)), "question": question, "answers": answers,
                        "is_impossible": answer is None})
        paragraphs.append({"context": context, "qas": qas})
    return {"version": "v2.0", "data": [{"title": "stones and towers", "paragraphs": paragraphs}]}


def label(encoding, answer):
    """The first and the last token of the answer in a feature."""
    sequences, offsets = encoding.sequence_ids, encoding.offsets
    context = [i for i, s in enumerate(sequences) if s == 1]
    if not answer or not context:
        return [0, 0]
    begin = answer["answer_start"]
    end = begin + len(answer["text"])
    first, last = context[0], context[-1]
    if offsets[first][0] > begin or offsets[last][1] < end:
        return [0, 0]
    while first <= context[-1] and offsets[first][0] <= begin:
        first += 1
    while offsets[last][1] >= end:
        last -= 1
    return [first - 1, last + 1]


def main():
    os.makedirs(OUT, exist_ok=True)
    data = dataset()
    tokenizer = AlbertTokenizerFast.from_pretrained(os.path.join(encoder.ROOT, "tools/models/pretrained"))
    cuts = []
    for longest, stride in CUTS:
        features = []
        for paragraph in data["data"][0]["paragraphs"]:
            for qa in paragraph["qas"]:
                encoded = tokenizer(qa["question"].lstrip(), paragraph["context"], truncation="only_second",
                                    max_length=longest, stride=stride, return_overflowing_tokens=True,
                                    return_offsets_mapping=True)
                for one in encoded.encodings:
                    features.append({"ids": one.ids, "types": one.type_ids,
                                     "labels": label(one, qa["answers"][0] if qa["answers"] else None)})
        cuts.append({"max_tokens": longest, "stride": stride, "features": features})
        found = sum(f["labels"] != [0, 0] for f in features)
        print(f"{longest} tokens, stride {stride}: {len(features)} features, {found} with an answer")
    with open(os.path.join(OUT, "train.json"), "w") as f:
        json.dump(data, f, indent=1, ensure_ascii=False)
        f.write("\n")
    with open(os.path.join(OUT, "features.json"), "w") as f:
        json.dump(cuts, f)
        f.write("\n")


if __name__ == "__main__":
    main()
