#!/usr/bin/env python3
"""How right a model of internal classifiers is, and how deep its texts go, for each patience.

    measure_exits.py REPRISE MODEL test.tsv [CURVE.svg]

MODEL is a folder of `reprise finetune --early-exit`; test.tsv has the columns sentence and label, and the model its
labels or their numbers. `REPRISE classify -m MODEL --patience P` answers for each P from 1 to the number of layers,
and once without. Prints a table; CURVE.svg shows accuracy over mean depth.
"""
import json
import os
import subprocess
import sys

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 560, 340, 62, 24, 24, 50


def read(path):
    with open(path, encoding="utf-8") as file:
        rows = [line.rstrip("\n").split("\t") for line in file]
    text, label = rows[0].index("sentence"), rows[0].index("label")
    return [row[text] for row in rows[1:]], [row[label] for row in rows[1:]]


def classify(command, model, texts, patience):
    """The best label and the depth of each text."""
    ask = [command, "classify", "-m", model, "--jsonl"] + (["--patience", str(patience)] if patience else [])
    lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
    answers = subprocess.run(ask, input=lines, stdout=subprocess.PIPE, encoding="utf-8", check=True).stdout
    found = [json.loads(line) for line in answers.splitlines()]
    if len(found) != len(texts):
        sys.exit(f"{len(texts)} texts had {len(found)} answers")
    if patience:
        return [(answer["labels"][0]["label"], answer["layers"]) for answer in found]
    return [((answer[0] if isinstance(answer, list) else answer)["label"], None) for answer in found]


def measure(command, model, texts, labels, config):
    names, layers = config["id2label"], config["num_hidden_layers"]
    rows = []
    for patience in [*range(1, layers + 1), None]:
        answers = classify(command, model, texts, patience)
        right = sum(names.get(want, want) == got for want, (got, _) in zip(labels, answers))
        depth = sum(deep or layers for _, deep in answers) / len(answers)
        rows.append((patience, depth, right / len(texts)))
        print(f"| {patience or 'none'} | {depth:.2f} of {layers} | {100 * right / len(texts):.2f} % ({right}) |", flush=True)
    return rows


def draw(rows, layers, path):
    low = min(accuracy for _, _, accuracy in rows)
    low = (int(low * 100) - 1) / 100
    high = max(accuracy for _, _, accuracy in rows) + 0.005
    x = lambda depth: LEFT + (depth - 1) / (layers - 1) * (WIDTH - LEFT - RIGHT)
    y = lambda accuracy: TOP + (high - accuracy) / (high - low) * (HEIGHT - TOP - BOTTOM)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" '
           'font-size="12">', '<rect width="100%" height="100%" fill="#fff"/>']
    for depth in range(1, layers + 1):
        out += [f'<path d="M{x(depth):.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="#e4e4e4"/>',
                f'<text x="{x(depth):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{depth}</text>']
    for percent in range(int(low * 100), int(high * 100) + 1):
        out += [f'<path d="M{LEFT} {y(percent / 100):.1f}H{WIDTH - RIGHT}" stroke="#e4e4e4"/>',
                f'<text x="{LEFT - 8}" y="{y(percent / 100) + 4:.1f}" text-anchor="end">{percent} %</text>']
    early = [row for row in rows if row[0]]
    full = rows[-1][2]
    out += [f'<path d="M{LEFT} {y(full):.1f}H{WIDTH - RIGHT}" stroke="#888" stroke-dasharray="5 4"/>',
            f'<text x="{LEFT + 6}" y="{y(full) - 6:.1f}" fill="#555">without patience</text>',
            '<path d="M' + 'L'.join(f'{x(depth):.1f} {y(accuracy):.1f}' for _, depth, accuracy in early)
            + '" fill="none" stroke="#1f6feb" stroke-width="2"/>']
    places = {}
    for patience, depth, accuracy in early:
        places.setdefault((depth, accuracy), []).append(str(patience))
    for (depth, accuracy), patience in places.items():
        out += [f'<circle cx="{x(depth):.1f}" cy="{y(accuracy):.1f}" r="4" fill="#1f6feb"/>',
                f'<text x="{x(depth):.1f}" y="{y(accuracy) + 18:.1f}" text-anchor="middle">{", ".join(patience)}</text>']
    out += [f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 10}" text-anchor="middle">mean layers of a text, at '
            'the patience beside each point</text>', '</svg>']
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(out) + "\n")


def main():
    if len(sys.argv) not in (4, 5):
        sys.exit(__doc__)
    command, model, test = sys.argv[1:4]
    with open(os.path.join(model, "config.json"), encoding="utf-8") as file:
        config = json.load(file)
    texts, labels = read(test)
    print("| patience | mean depth | right |\n|---|---|---|")
    rows = measure(command, model, texts, labels, config)
    if len(sys.argv) == 5:
        draw(rows, config["num_hidden_layers"], sys.argv[4])


if __name__ == "__main__":
    main()
