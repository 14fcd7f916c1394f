#!/usr/bin/env python3
"""How well `reprise chat` refuses, and how well `reprise answer --documents` finds.

    measure_apps.py chat REPRISE MODEL KNOWN.csv UNKNOWN... [-- OPTION...]
        KNOWN.csv has columns text and category (BANKING77's test.csv); an UNKNOWN is a file with a text a line, a TSV
        whose text is in the last column but for a header (SMS Spam), one that begins with "sentence" (SST-2), or
        SQuAD's JSON, whose questions are taken. Says how many intents are right before the threshold, the area under
        the ROC curve by which scores tell known texts from unknown ones, and what thresholds keep and refuse.

    measure_apps.py documents REPRISE MODEL SQUAD.json [-- OPTION...]
        Answers every question from all paragraphs together, and from the right one alone, and compares both with the
        answers by SQuAD's metric. Says too how often the answer is of the right paragraph.

What stands behind "--" goes to the command.
"""
import collections
import csv
import json
import re
import string
import subprocess
import sys
import tempfile


def run(arguments, lines):
    """The answers to JSON lines, each a value."""
    text = "".join(json.dumps(line) + "\n" for line in lines)
    done = subprocess.run(arguments, input=text, stdout=subprocess.PIPE, text=True, check=False)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    if len(answers) != len(lines):
        sys.exit(f"{len(answers)} answers to {len(lines)} inputs")
    return answers


# ---- chat ----


def area(known, unknown):
    """Of all pairs of a known and an unknown text, those where the known one scores higher; equal ones count half."""
    ordered = sorted([(score, 1) for score in known] + [(score, 0) for score in unknown])
    wins = below = at = 0
    while at < len(ordered):
        end = at
        while end < len(ordered) and ordered[end][0] == ordered[at][0]:
            end += 1
        ones = sum(kind for _, kind in ordered[at:end])
        wins += ones * (below + (end - at - ones) / 2)
        below += end - at - ones
        at = end
    return wins / (len(known) * len(unknown))


def texts_of(path):
    if path.endswith(".json"):
        articles = json.load(open(path, encoding="utf-8"))["data"]
        return [qa["question"] for article in articles for p in article["paragraphs"] for qa in p["qas"]]
    lines = [line.rstrip("\n") for line in open(path, encoding="utf-8")]
    if lines[0].startswith("sentence\t"):
        return [line.split("\t")[0] for line in lines[1:]]
    return [line.split("\t")[-1] for line in lines if line.split("\t")[-1]]


def measure_chat(reprise, model, known, *files, options):
    command = [reprise, "chat", "-m", model, "--jsonl", "--threshold", "0", *options]
    rows = list(csv.DictReader(open(known, encoding="utf-8")))
    answers = run(command, [{"text": row["text"]} for row in rows])
    right = [answer["intent"] == row["category"] for answer, row in zip(answers, rows)]
    inside = [answer["score"] for answer in answers]
    print(f"{len(rows)} known texts, {100 * sum(right) / len(right):.2f} % of intents right before the threshold")
    outside = {}
    for path in files:
        answers = run(command, [{"text": text} for text in texts_of(path)])
        scores = outside[path] = [answer["score"] for answer in answers if "score" in answer]
        print(f"{path}: {len(scores)} unknown texts, AUROC {area(inside, scores):.4f}")
    every = [score for scores in outside.values() for score in scores]
    print(f"all: AUROC {area(inside, every):.4f}")
    for threshold in (0.3, 0.4, 0.5, 0.55, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95):
        kept = [r for r, score in zip(right, inside) if score >= threshold]
        refused = sum(score < threshold for score in every)
        share = 100 * sum(kept) / len(kept) if kept else 0
        kept_share = 100 * len(kept) / len(right)
        print(f"threshold {threshold}: {kept_share:.1f} % of known texts kept, of these {share:.1f} % right; "
              f"{100 * refused / len(every):.1f} % of unknown ones refused")


# ---- documents ----


def plain(text):
    text = re.sub(r"\b(a|an|the)\b", " ", "".join(c for c in text.lower() if c not in string.punctuation))
    return text.split()


def overlap(got, want):
    got, want = plain(got), plain(want)
    common = sum((collections.Counter(got) & collections.Counter(want)).values())
    if not got or not want:
        return float(got == want)
    return 2 * common / (len(got) + len(want)) if common else 0.0


def show(name, answers, wanted):
    exact = sum(max(plain(a["answer"]) == plain(w) for w in ws) for a, ws in zip(answers, wanted))
    f1 = sum(max(overlap(a["answer"], w) for w in ws) for a, ws in zip(answers, wanted))
    print(f"{name}: exact {100 * exact / len(wanted):.2f}, F1 {100 * f1 / len(wanted):.2f}")


def measure_documents(reprise, model, squad, options):
    paragraphs, questions = [], []
    for article in json.load(open(squad, encoding="utf-8"))["data"]:
        for p in article["paragraphs"]:
            for qa in p["qas"]:
                questions.append((qa["question"], len(paragraphs), [answer["text"] for answer in qa["answers"]]))
            paragraphs.append(p["context"])
    wanted = [want for _, _, want in questions]
    command = [reprise, "answer", "-m", model]
    alone = run(command + ["--jsonl"], [{"question": q, "context": paragraphs[i]} for q, i, _ in questions])
    show("on the right paragraph", alone, wanted)
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as file:
        for i, text in enumerate(paragraphs):
            file.write(json.dumps({"id": str(i), "text": text}) + "\n")
        file.flush()
        command += ["--documents", file.name, "--jsonl"] + options
        for more in ([], ["--passages", "1"], ["--passages", "10"]):
            answers = run(command + more, [{"question": q} for q, _, _ in questions])
            name = " ".join(more) or "as it is"
            show(f"among {len(paragraphs)} paragraphs, {name}", answers, wanted)
            right = sum(a["document"] == str(i) for a, (_, i, _) in zip(answers, questions))
            print(f"  of the right paragraph: {100 * right / len(questions):.2f} %")


if __name__ == "__main__":
    split = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    given, rest = sys.argv[1:split], sys.argv[split + 1:]
    if len(given) < 4 or given[0] not in ("chat", "documents"):
        sys.exit(__doc__)
    (measure_chat if given[0] == "chat" else measure_documents)(*given[1:], options=rest)
