"""What instances of pre-training look like in the mean, for tests/test_instances.c.

The rules are those of google-research/albert's create_pretraining_data.py, written down anew: n-grams of whole words
are drawn with p(n) ~ 1/n in a random order of their first words, one that exceeds the budget gets shorter, and one that
touches a masked token is passed over. Each word has one token here, so that the lengths of runs of masked tokens show
how n-grams were drawn. Prints the shares of runs of 1, 2, 3, ... tokens: python3 make_instance_goldens.py
"""

import random


def masked(rng, words, budget, longest):
    """The numbers of the words that are masked, of `words`."""
    starts = list(range(words))
    rng.shuffle(starts)
    covered = set()
    for start in starts:
        if len(covered) >= budget:
            break
        lengths = range(1, min(longest, words - start) + 1)
        n = rng.choices(lengths, [1 / n for n in lengths])[0]
        n = max(1, min(n, budget - len(covered)))
        run = range(start, start + n)
        if not covered.intersection(run):
            covered.update(run)
    return covered


def shares(words, budget, longest, rounds, most=6):
    rng = random.Random(1)
    counts = [0] * most
    for _ in range(rounds):
        covered, run = masked(rng, words, budget, longest), 0
        for word in range(words + 1):
            if word in covered:
                run += 1
            elif run:
                counts[min(run, most) - 1] += 1
                run = 0
    return [count / sum(counts) for count in counts]


for words, budget, longest in [(125, 19, 3), (125, 19, 1), (125, 19, 5)]:
    row = ", ".join("%.4f" % share for share in shares(words, budget, longest, 200000))
    print("{%d, {%s}}," % (longest, row))
