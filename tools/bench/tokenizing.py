"""Time Reprise's tokenizer beside Hugging Face's `tokenizers`, on one thread each; see tools/bench/peers.

Every contestant cuts the same lines in turn, round after round, and its processor time counts: the medians of the
rounds are compared. Reprise is called once a line through ctypes, which it has to pay for; `tokenizers` gets all lines
in one call (encode_batch). Before that the ids of all lines are compared.
"""

import os
import statistics
import sys
import time

import capi

os.environ["TOKENIZERS_PARALLELISM"] = "false"


class Ours:
    def __init__(self, name, build, folder):
        self.name, self.tokenizer = name, capi.Tokenizer(build, folder)

    def ids(self, lines):
        return [self.tokenizer.ids(line.encode()) for line in lines]

    def prepare(self, lines):
        self.lines = [line.encode() for line in lines]

    def run(self):
        for line in self.lines:
            self.tokenizer.count(line)


class Theirs:
    def __init__(self, folder):
        import tokenizers
        import transformers

        self.name = f"tokenizers {tokenizers.__version__}"
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(folder).backend_tokenizer
        self.tokenizer.no_truncation()
        self.tokenizer.no_padding()

    def ids(self, lines):
        return [encoding.ids for encoding in self.tokenizer.encode_batch(lines)]

    def prepare(self, lines):
        self.lines = lines

    def run(self):
        self.tokenizer.encode_batch(self.lines)


def contestants(options):
    yield Ours("Reprise", options.build, options.tokenize)
    if options.against:
        yield Ours("Reprise of " + options.against, options.against, options.tokenize)
    try:
        yield Theirs(options.tokenize)
    except Exception as problem:  # one that is missing must not stop the others
        print(f"tokenizers is left out: {problem}", file=sys.stderr)


def main(options):
    with open(options.lines, encoding="utf8") as file:
        lines = [line for line in file.read().split("\n") if line]
    if not lines:
        sys.exit(f"peers: {options.lines} has no lines")
    names, seconds, first = [], [], None
    all_of_them = list(contestants(options))
    for one in all_of_them:
        ids = one.ids(lines)
        first = first or ids
        differing = sum(a != b for a, b in zip(first, ids))
        names.append(one.name + (f" ({differing} lines differ)" if differing else ""))
        seconds.append([])
        one.prepare(lines)
    for _ in range(options.repeat):
        for one, times in zip(all_of_them, seconds):
            began = time.process_time()
            one.run()
            times.append(time.process_time() - began)
    print(f"{len(lines)} lines, {sum(map(len, first))} tokens, medians of {options.repeat} rounds\n")
    print("| tokenizer | lines a second of processor time | time, x of Reprise |\n|---|---|---|")
    for name, times in zip(names, seconds):
        ratio = statistics.median(t / ours for t, ours in zip(times, seconds[0]))
        print(f"| {name} | {len(lines) / statistics.median(times):,.0f} | {ratio:.2f} |")
