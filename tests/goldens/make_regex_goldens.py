#!/usr/bin/env python3
"""What Hugging Face's tokenizers (Oniguruma) make of regular expressions.

    make_regex_goldens.py

writes regex/regex.json: "hand": for each pattern written by hand the texts of "texts" with # for every match; "made": for
each pattern that a seeded generator makes, where Oniguruma reads it, texts and the same texts with #. README.md lists the versions.
"""
import json
import os
import random

from tokenizers import Regex, normalizers

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "regex")
MADE = 300
PATTERNS = r"""
'' `` \s+ \S+ \w+ \d \d+ \D+ \p{L}+ \p{N}{1,3} [\p{P}\p{S}]+ \P{L}+ \p{^L}+ \P{^L}+ \h+ \H+ . .+
^ $ ^. .$ \A. .\z .\Z \b \B \b\w \w\b ^$ ^\n \n$ \n\Z (?:^|a)b a(?:$|b)
a* a+ a? a{2} a{2,} a{,2} a{1,2} a*? a+? a?? a{1,2}? a{,2}? a{2,}? a{2}? a{0} a{,} a{2 { } ] a{1,2}{2} a{2}{2} a{1,2}+ (a+)+b (?:a|ab)(?:c|bcd)(?:d*)
(a|b)*c (?:a|b|)+ (|a)* (|a)+ (a|b*)* (?:|b)*y () a| |a | (?:)* ((a)|(b))+ (a*)+ (a*)* (?:a?){3} (?:a|b?){2,3} (?:b{0,2}|c)+ ab|a|abc a|b|
[abc] [^abc] [a-c] [^a-c\s] []a] [^]a] [a-] [-a] [a-c-e] [\d\s] [\W] [\w] \w \W [^\w] [^\W] [\p{L}\d] [^\p{L}] [\P{L}] [\n] [\]] [.] [$^*] [\x41-\x{5a}]
[\u0041-Z] [一-龥]+ [à-ÿ] [\s\S] \w+|[^\w\s]+ \x61 \x{e9} \u00e9 \x9 \t \n \r \f \v \a \e \. \\ \/ \- \_ \é \( \[ \{ \"
\p{Lu} \p{Ll} \p{Lt} \p{Lm} \p{Lo} \p{LC} \p{M} \p{Mn} \p{Mc} \p{Nd} \p{Nl} \p{No} \p{P} \p{Pc} \p{Pd} \p{Ps} \p{Pe} \p{Pi} \p{Pf} \p{Po} \p{S} \p{Sm} \p{Sc}
\p{Sk} \p{So} \p{Z} \p{Zs} \p{Zl} \p{Zp} \p{C} \p{Cc} \p{Cf} \p{Cn} \p{Co} \p{Cs} \p{Letter} \p{Nonspacing_Mark} \p{Punctuation} \p{Decimal-Number} \p{Symbol}
\p{Other} \p{White_Space} \p{Space} \p{Alpha} \p{Alphabetic} \p{Word} \p{Any} \p{Digit}
\p{Han} \p{Hani}+ \P{Han}+ \p{^Latin} [\p{Hiragana}\p{Katakana}]+ [^\p{Latn}\s] \p{Common}+ \p{Zinh} \p{Old_Italic} [\P{Greek}]
""".split() + [" {2,}", r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+", "", r"[ -~]", r"\p{uppercase letter}",
               r"(?:a+?|(?:b\Z||,)|[^ ])*[&\W]"]
TEXTS = ["", "a", "aa  aaa b", "a\nb\n\nab\n", "``It's'' ``done'', they'll say: 12,345.60!", "x² é\u0301 中文 一a\u200db\u2028", "Ab_c-d e\tf\r\n\x0b\x0c\x07\x1b \u00a0\u3000",
         "aab abcd aabc yby", "漢字かなカナー한글 Ωμέγα кит שלום \U00010300a\u0301", "]-[a^b$.*{2} }\\/\"(", "ǅ ʰ ٣ Ⅷ ½ €+^~© «“)”» \u0903\u0e31\u00ad\ue000\u0378\u1e030\U0001f600"]


def atom(rng, depth):
    kind = rng.random()
    if kind < 0.4:
        return rng.choice("abcé \n,1.")
    if kind < 0.55:
        return rng.choice([r"\s", r"\d", r"\w", r"\S", r"\D", r"\W", r"\h", r"\p{L}", r"\P{L}", r"\p{^Lu}", r"\p{P}", r"\p{Mn}", r"\x{4e00}"])
    if kind < 0.7:
        items = ["a", "b", "é", "a-c", "b-z", "0-9", r"\s", r"\w", r"\d", r"\p{L}", r"\P{L}", "^", ".", "*", " ", r"\]", r"\W", r"\n", "à-ÿ", "一"]
        return "[" + rng.choice(["", "^"]) + "".join(rng.choice(items) for _ in range(rng.randint(1, 4))) + "]"
    if kind < 0.78:
        return rng.choice(["^", "$", r"\b", r"\B", r"\A", r"\z"])
    return "a" if depth > 2 else rng.choice(["(", "(?:"]) + alternatives(rng, depth + 1) + ")"


def sequence(rng, depth):
    text = ""
    for _ in range(rng.choice([1, 1, 2, 3])):
        text += atom(rng, depth)
        if rng.random() < 0.4:
            text += rng.choice(["*", "+", "?", "*?", "+?", "??", "{2}", "{1,2}", "{,2}", "{2,}", "{1,}?", "{2}?", "{1,2}{2}"])
    return text


def alternatives(rng, depth):
    return "|".join(sequence(rng, depth) for _ in range(rng.choice([1, 1, 1, 2, 3])))


def replaced(pattern, texts):
    change = normalizers.Replace(Regex(pattern), "#")
    return [change.normalize_str(text) for text in texts]


def main():
    hand = [[pattern, *replaced(pattern, TEXTS)] for pattern in PATTERNS]
    made, rng = [], random.Random(1)
    while len(made) < MADE:
        pattern = alternatives(rng, 0)
        texts = ["".join(rng.choice("aaabbbccé \n,1-]^é2一²A\u0301.z😀") for _ in range(rng.randint(1, 12))) for _ in range(3)]
        try:
            made.append([pattern, texts, replaced(pattern, texts)])
        except Exception:
            pass  # Oniguruma does not repeat a condition
    lines = {name: ",\n".join(json.dumps(row) for row in rows) for name, rows in (("hand", hand), ("made", made))}
    os.makedirs(OUT, exist_ok=True)
    with open(os.path.join(OUT, "regex.json"), "w", encoding="utf-8", newline="\n") as out:
        out.write(f'{{"texts": {json.dumps(TEXTS)},\n"hand": [\n{lines["hand"]}],\n"made": [\n{lines["made"]}]}}\n')


if __name__ == "__main__":
    main()
