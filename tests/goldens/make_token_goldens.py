#!/usr/bin/env python3
"""Expected tokens, offsets, words and decoded texts, from Hugging Face's own tokenizers.

    make_token_goldens.py

writes tokens/vocab.txt (a small WordPiece vocabulary) and tokens/tokens.json: folders (the text of every file, and
whether the bundled spiece.model or vocab.txt belongs to it), and for each of them texts with what the tokenizers
make of them. Those of vocab.txt are what AutoTokenizer gives, all of it from the fast tokenizers. With spiece.model the
ids come from the slow tokenizer, which is the original algorithm; offsets and word numbers exist in the fast one only,
and are given where that finds the same ids. Decoded texts come from the fast ones. README.md lists the versions.
"""
import json
import os
import shutil
import tempfile
import warnings

os.environ.setdefault("HF_HUB_OFFLINE", "1")
warnings.filterwarnings("ignore")

import transformers
from transformers import AddedToken, AlbertTokenizer, AlbertTokenizerFast, BertTokenizer, BertTokenizerFast
from transformers.models.bert.tokenization_bert import BasicTokenizer

transformers.logging.set_verbosity_error()

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, "tokens")
SPIECE = os.path.join(HERE, "..", "..", "tools", "models", "sentiment", "spiece.model")
VOCAB = os.path.join(OUT, "vocab.txt")

TEXTS = [
    "", " ", "\t\n ", "a", "This film is a quiet, unhurried delight.", "  spaces   everywhere \t and\ttabs\n\nlines\r\n",
    "Café crème, naïve façade; Ångström ÅNGSTRÖM e\u0301te\u0301", "İstanbul ISTANBUL ıi \u212bngstro\u0308m",
    "ΟΔΟΣ ΣΑΣ Σ σας \U0001d6ba\U0001d6ba", "straße STRASSE ẞ ŉ ǰ ﬁne eﬃcient ﬆop", "½ ¼ ² ³ ① ⑳ ㎏ ㍿ ™ ℃ Ⅷ ⅷ ª º",
    "1,000,000 people, 9,9 and (5,6) $3,4 12, 7,,8 ,9", "３，４ ٣,٤ ²,³ x1,y", "1,", "a1,", ",1", "..., ,,, 1.000,5",
    "``quoted'' text ''two'' `single' ```three'''", "don't can't they'll 'tis rock'n'roll it''s", "“curly” ‘quotes’ «angles» „low“",
    "[MASK]", "Paris is the [MASK] of France.", "a[MASK]b", "a [MASK]  [MASK] b", "\u00a0[MASK]\u3000x", "[mask] [Mask] [MASK",
    "[CLS] in [SEP] text <pad> <s>", "x\x1f[MASK]\x85y", "中文字符 and 日本語のテキスト", "한국어 문장 \u1112\u1161\u11ab 각", "ﾊﾝｶｸ ｶﾞ ガ が",
    "हिन्दी में க்ஷி ก็ดี", "שלום עִבְרִית שּׁ", "العربية ﷺ لا ﻻ ـــ", "👍 👍🏽 👨‍👩‍👧 🇫🇷 ❤️ ☺", "zero\u200bwidth\u200djoin\ufeffer soft\u00adhyphen",
    "a\u2028b\u2029c\u0085d\u000be\u000cf", "nul\u0000inside \u0000 \u0001\u0002 \u007f \ufffd", "\u0301start q\u0323\u0307 q\u0307\u0323 a\u0300\u0301\u0302z",
    "a\u20ddb \u0345 ᾳ ᾼ \u1e9b\u0323", "▁literal ▁ symbols a▁b ##x x##y _under_", "http://example.com/path?q=1&r=2#frag me@mail.org",
    "C++ C# .NET a+b=c 50% <tag> {x} | ~ ^ \\ @user #tag", "!!! ??? ... ---- ==== ****", "supercalifragilisticexpialidocious antidisestablishmentarianism",
    "x" * 101, "y" * 100, "\u4e00\u4e01\u9fff\u3400\U00020000\uf900\U0002f800", "豈 \ufa0e \u3007", "𝐁𝐨𝐥𝐝 𝒮𝒸𝓇𝒾𝓅𝓉 Ｆｕｌｌ ｗｉｄｔｈ",
    "\u2126 \u2460 \u3250 \u33a1 \ufb01 \ufdfa", "wasn 't it ? no . yes ! ok , ' s n't 've 're 'm", "MiXeD CaSe WoRDs AND SHOUTING",
    "\u1680x\u2003y\u202fz\u205fw\u3000v", "— – - ‐ ‑ ‒ ― … ‥ ·", "£5 €6 ¥7 ¢8 ₹9", "a\u0338 \u226e \u2260", "Ǆ ǅ ǆ Ǉ", "¿Qué? ¡No!",
    "It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness.",
]
PAIRS = [("a quick test", "another one"), ("", "x"), ("x", ""), ("one two three four five six seven", "eight nine"),
         ("short", "a much longer second text, with 1,000 words"), ("same size here", "same size there"),
         ("é", "[MASK] b"), ("a b c d e f g h", "i j k l m n o p")]
SHORT = [t for i, t in enumerate(TEXTS) if i % 3 == 1] + [
    "x <e1>y</e1> foo foobar foo, FOO <e1 > <E1> [ENT] [ent] a[ENT]b", "  <e1>  foo  [ENT]  bar", "left <l>  right <r>  both", "C++ c++ keep",
    "<unk> [UNK] <blank>", "<l><r><e1> foo [ENT]"]
ALBERT_CONFIG = {"tokenizer_class": "AlbertTokenizer", "model_max_length": 512}
BERT_CONFIG = {"tokenizer_class": "BertTokenizer", "model_max_length": 1e30}


def make_vocab():
    """Special tokens, every character of some texts, and a good part of their words."""
    words = []
    for text in TEXTS:
        for lower in (True, False):
            words += BasicTokenizer(do_lower_case=lower).tokenize(text)
    pieces = ["[PAD]", "[unused0]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    letters = sorted({c for w in words for c in w if ord(c) < 0x500 or "\u4e00" <= c <= "\u4fff"})
    pieces += letters + ["##" + c for c in letters if c.isalnum()]
    for i, word in enumerate(dict.fromkeys(words)):
        if 3 <= len(word) < 30 and word.isalpha():
            pieces += [word] if i % 3 == 0 else [word[: len(word) // 2], "##" + word[len(word) // 2:]]
    pieces += ["##ing", "##s", "##ed", "un", "C++", "##x"]
    with open(VOCAB, "w", encoding="utf-8", newline="\n") as file:
        file.write("\n".join(dict.fromkeys(pieces)) + "\n")


def saved(make):
    """The JSON files that save_pretrained writes for the tokenizer of `make`."""
    with tempfile.TemporaryDirectory() as folder:
        make().save_pretrained(folder)
        files = {}
        for name in ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"):
            path = os.path.join(folder, name)
            if os.path.exists(path):
                files[name] = open(path, encoding="utf-8").read()
        return files


def add_some(tokenizer):
    tokenizer.add_tokens(["<e1>", "</e1>"], special_tokens=True)
    tokenizer.add_tokens([AddedToken("foo", single_word=True), AddedToken("[ENT]", normalized=False)])
    tokenizer.add_tokens([AddedToken("<l>", lstrip=True, special=True), AddedToken("<r>", rstrip=True, normalized=True)])
    tokenizer.add_special_tokens({"additional_special_tokens": ["<blank>"]}, replace_additional_special_tokens=False)
    return tokenizer


def folders():
    one = lambda config: {"tokenizer_config.json": json.dumps(config)}
    yield "albert", True, one(ALBERT_CONFIG), TEXTS
    yield "albert_keep", True, one(dict(ALBERT_CONFIG, do_lower_case=False, keep_accents=True, remove_space=False,
                                        truncation_side="left", clean_up_tokenization_spaces=False)), SHORT
    yield "albert_saved", True, saved(lambda: add_some(AlbertTokenizer(SPIECE))), SHORT
    yield "albert_legacy", True, {
        "tokenizer_config.json": json.dumps({"do_lower_case": True}),
        "special_tokens_map.json": json.dumps({"unk_token": "<unk>", "additional_special_tokens": ["[ENT]", "<blank>"],
                                               "mask_token": {"content": "[MASK]", "lstrip": True, "rstrip": False,
                                                              "single_word": False, "normalized": False}}),
        "added_tokens.json": json.dumps({"<e1>": 8192, "foo": 8193}),
    }, SHORT
    yield "bert", False, one(BERT_CONFIG), TEXTS
    yield "bert_cased", False, one(dict(BERT_CONFIG, do_lower_case=False, never_split=["C++", "wasn"])), SHORT
    yield "bert_accents", False, one(dict(BERT_CONFIG, strip_accents=False, tokenize_chinese_chars=False,
                                          truncation_side="left", clean_up_tokenization_spaces=False)), SHORT
    yield "bert_plain", False, one(dict(BERT_CONFIG, do_lower_case=False, strip_accents=True)), SHORT
    yield "bert_saved", False, saved(lambda: add_some(BertTokenizer(VOCAB))), SHORT
    yield "bert_legacy", False, {
        "special_tokens_map.json": json.dumps({"cls_token": "[unused0]", "bos_token": {"content": "<s>", "lstrip": False,
                                               "rstrip": False, "single_word": False, "normalized": True}}),
        "added_tokens.json": json.dumps({"foo": 5000, "[ENT]": 5001}),
    }, SHORT


def pairwise(fast, text, pair, limit):
    """A call of one text or pair; to a fast tokenizer an empty second text is none, unless it stands in a list."""
    if pair != "":
        return fast(text, pair, return_offsets_mapping=True, **limit)
    got = fast([text], [pair], return_offsets_mapping=True, **limit)
    return transformers.BatchEncoding({key: value[0] for key, value in got.items()}, got.encodings)


def encode(slow, fast, text, pair, length):
    """What `slow` finds, with the offsets of `fast` where that finds the same; they may be the same tokenizer."""
    limit = {"truncation": True, "max_length": length} if length else {}
    case = {"text": text}
    if pair is not None:
        case["pair"] = pair
    if length:
        case["max"] = length
    got = slow(text, pair, **limit) if slow is not fast else None
    want = pairwise(fast, text, pair, limit)
    got = got or want
    case["ids"] = got["input_ids"]
    same = slow is fast or slow(text, pair)["input_ids"] == fast(text, pair)["input_ids"]
    if pair and length:
        # The two cut pairs differently; what the pipelines use counts. (To the fast ones an empty pair is none.)
        assert same, (text, pair)
        case["ids"] = want["input_ids"]
    if same:
        case["types"] = want["token_type_ids"]
        case["offsets"] = [n for span in want["offset_mapping"] for n in span]
        case["words"] = [-1 if word is None else word for word in want.word_ids()]
    return case


def decoded(fast, cases, base):
    out = []
    for i, case in enumerate(cases[:60:2]):
        ids = case["ids"]
        if i % 4 == 3:
            ids = [(7 * k * k + 13 * i + k) % base for k in range(12)]
        out.append({"ids": ids, "skip": i % 2 == 0, "text": fast.decode(ids, skip_special_tokens=i % 2 == 0)})
    return out


def run(name, spiece, files, texts):
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(SPIECE if spiece else VOCAB, os.path.join(folder, "spiece.model" if spiece else "vocab.txt"))
        for file, text in files.items():
            with open(os.path.join(folder, file), "w", encoding="utf-8") as out:
                out.write(text)
        fast = (AlbertTokenizerFast if spiece else BertTokenizerFast).from_pretrained(folder)
        slow = AlbertTokenizer.from_pretrained(folder) if spiece else fast
        if spiece and "added_tokens_decoder" not in files["tokenizer_config.json"]:
            # Here Reprise follows the original algorithm: "<unk>" in a text is text. transformers cuts it out.
            texts = [text.replace("<unk>", "<unc>") for text in texts]
        cases = [encode(slow, fast, text, None, 0) for text in texts]
        cases += [encode(slow, fast, texts[k], None, 5 + k % 4) for k in range(2, len(texts), 7)
                  if len(slow(texts[k])["input_ids"]) > 9]
        lengths = (0, 3, 8, 9) if name in ("albert", "bert") else (0, 7)
        cases += [encode(slow, fast, a, b, length) for a, b in PAIRS for length in lengths]
        special = sorted(set(fast.all_special_ids))
        base = slow.vocab_size
        return {"name": name, "spiece": spiece, "files": files, "special": special, "size": len(slow), "cases": cases,
                "decode": decoded(fast, cases, base)}


def main():
    os.makedirs(OUT, exist_ok=True)
    make_vocab()
    rows = [run(*folder) for folder in folders()]
    with open(os.path.join(OUT, "tokens.json"), "w", encoding="utf-8", newline="\n") as file:
        file.write("[\n" + ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows) + "\n]\n")
    for row in rows:
        cases = row["cases"]
        print(row["name"], len(cases), "texts,", sum("offsets" in c for c in cases), "with offsets,", len(row["decode"]), "decoded")


if __name__ == "__main__":
    main()
