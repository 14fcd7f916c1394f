#!/usr/bin/env python3
"""What Hugging Face's tokenizers make of small tokenizer.json files that together have every component and option.

    make_tokenizer_json_goldens.py

writes tokens/tokenizer_json.json: folders (the text of every file), and for each of them texts and pairs with the ids,
type ids, offsets and word numbers of AutoTokenizer, and ids with the texts that they are decoded to. README.md lists the
versions.
"""
import base64
import json
import os
import struct
import tempfile
import warnings

os.environ.setdefault("HF_HUB_OFFLINE", "1")
warnings.filterwarnings("ignore")

import transformers
from transformers import AutoTokenizer

transformers.logging.set_verbosity_error()

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tokens", "tokenizer_json.json")
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789.,!?'\"-_()#$é"
WORDS = "the film was good hello world some thing un believ able 12 café foo bar is it a".split()

TEXTS = [
    "", " ", "a", "Hello, World!", "the film was unbelievable", "  two  spaces \t and\ttabs\n\nlines ", "Café café CAFÉ e\u0301 é",
    "12 123,456 1.5 ²³ ½ Ⅷ ٣", "中文字 hello", "foo bar foobar FOO Foo <x> <X> <y> a<x>b", "  <x>  <y>  <z>  b ", "a\u0301\u0323b q\u0307\u0323",
    "ﬁne ﷺ ① ㎏ 각 \u1112\u1161\u11ab", "don't 'tis ``x'' --- ... ???", "nul\u0000 \u0001\u200b\ufeff\u00ad x\u0085y\u2028z\u3000w",
    "▁a▁b ▁▁c", "[CLS] [MASK] [SEP] [UNK]x [mask]", "İI ΟΔΟΣ ẞ ǅ", "x" * 12 + " " + "y" * 30, "👍🏽 👨‍👩‍👧 🇫🇷 ok", "a_b-c (d) e.f", "1a2b3c",
    "\U0002b820 \U0002b91f \U0002a700 \u3400", "\ue000 \u0378 \U000e0001", "\r\n a\rb", "foo_bar foo-bar foo.bar barfoo foo", "<s>a</s> <unk>",
]
PAIRS = [("a film", "the world"), ("", "a"), ("hello", "good <x> it"), ("the film was good and it is", "some thing")]


def added(token_id, content, **flags):
    return {"id": token_id, "content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
            "special": False, **flags}


SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def wordpiece(prefix="##", longest=100, unk="[UNK]", extra=()):
    pieces = SPECIALS + list(LETTERS) + [prefix + c for c in LETTERS] + WORDS + [prefix + w for w in WORDS] + list(extra)
    vocab = {p: i for i, p in enumerate(dict.fromkeys(pieces))}
    return {"type": "WordPiece", "unk_token": unk, "continuing_subword_prefix": prefix, "max_input_chars_per_word": longest,
            "vocab": vocab}


def unigram(space="▁", **more):
    pieces = [["<pad>", 0.0], ["<unk>", 0.0], ["[CLS]", 0.0], ["[SEP]", 0.0], ["[MASK]", 0.0], [space, -2.5]]
    for i, c in enumerate(LETTERS):
        pieces.append([c, -4.0 - i / 64])
    for i, w in enumerate(WORDS):
        pieces += [[w, -6.0 - i / 32], [space + w, -5.0 - i / 16]]
    pieces += [["aa", -8.0], ["ab", -8.03125], ["a" + space, -7.0]]
    seen = {}
    for piece, score in pieces:
        seen.setdefault(piece, score)
    return {"type": "Unigram", "unk_id": 1, "vocab": [[p, s] for p, s in seen.items()], "byte_fallback": False, **more}


def byte_pieces(model):
    model["vocab"] += [[f"<0x{i:02X}>", -20.0] for i in range(256)]
    return model


def template(cls=2, sep=3):
    special = lambda t, n: {"SpecialToken": {"id": t, "type_id": n}}
    sequence = lambda t, n: {"Sequence": {"id": t, "type_id": n}}
    return {"type": "TemplateProcessing", "single": [special("[CLS]", 0), sequence("A", 0), special("[SEP]", 0)],
            "pair": [special("[CLS]", 0), sequence("A", 0), special("[SEP]", 0), sequence("B", 1), special("[SEP]", 1)],
            "special_tokens": {t: {"id": t, "ids": [n], "tokens": [t]} for t, n in (("[CLS]", cls), ("[SEP]", sep))}}


BERT_NORMALIZER = {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None,
                   "lowercase": True}
BERT_PRE = {"type": "BertPreTokenizer"}
METASPACE = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
WORDPIECE_DECODER = {"type": "WordPiece", "prefix": "##", "cleanup": True}
BERT_ADDED = [added(i, t, special=True) for i, t in enumerate(SPECIALS)]


def charsmap(entries):
    """A character map: the double array of Darts over the UTF-8 of the keys, and the values."""
    block, values = b"", {}
    for key, value in entries.items():
        values[key.encode()] = len(block)
        block += value.encode() + b"\0"
    units, used = [0] * 256, {0}

    def place(node, prefix):
        children = sorted({k[len(prefix)] for k in values if k.startswith(prefix) and len(k) > len(prefix)})
        labels = ([0] if prefix in values else []) + children
        base = 256
        while True:  # blocks of 256 are never shared by two nodes: simple, and small enough here
            if all(base ^ label not in used for label in labels) and base not in bases:
                break
            base += 256
        bases.add(base)
        units.extend([0] * (base + 256 - len(units)))
        for label in labels:
            used.add(base ^ label)
        offset = node ^ base
        units[node] |= (offset << 10) if offset < 1 << 21 else (offset >> 8 << 10 | 1 << 9)
        if prefix in values:
            units[node] |= 1 << 8
            units[base] = values[prefix] | 1 << 31
        for label in children:
            units[base ^ label] = label
        for label in children:
            place(base ^ label, prefix + bytes([label]))

    bases = set()
    place(0, b"")
    trie = b"".join(struct.pack("<I", unit) for unit in units)
    return base64.b64encode(struct.pack("<I", len(trie)) + trie + block).decode()


def full(normalizer=None, pre=None, model=None, post=None, decoder=None, tokens=(), **more):
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": list(tokens), "normalizer": normalizer,
            "pre_tokenizer": pre, "post_processor": post, "decoder": decoder, "model": model or wordpiece(), **more}


def sequence(kind, key, steps):
    return {"type": "Sequence", key: steps} if kind else None


def normalizers(*steps):
    return sequence(True, "normalizers", list(steps))


def pretokenizers(*steps):
    return sequence(True, "pretokenizers", list(steps))


def replace(content, text=None, regex=None):
    return {"type": "Replace", "pattern": {"String": text} if regex is None else {"Regex": regex}, "content": content}


def split(behavior, invert=False, text=None, regex=None):
    return {"type": "Split", "pattern": {"String": text} if regex is None else {"Regex": regex}, "behavior": behavior,
            "invert": invert}


GENERIC = {"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]",
           "pad_token": "[PAD]", "mask_token": "[MASK]"}
UNI = {**GENERIC, "unk_token": "<unk>", "pad_token": "<pad>"}


def folders():
    """Name, tokenizer.json (None: vocab.txt alone), tokenizer_config.json, other files."""
    words = lambda **k: full(pre={"type": "WhitespaceSplit"}, decoder=WORDPIECE_DECODER, post=template(), **k)
    for name, step in {
        "nfc": {"type": "NFC"}, "nfd": {"type": "NFD"}, "nfkc": {"type": "NFKC"}, "nfkd": {"type": "NFKD"},
        "lowercase": {"type": "Lowercase"}, "strip_accents": normalizers({"type": "NFD"}, {"type": "StripAccents"}),
        "strip": {"type": "Strip", "strip_left": True, "strip_right": True},
        "strip_left": {"type": "Strip", "strip_left": True, "strip_right": False},
        "strip_right": {"type": "Strip", "strip_left": False, "strip_right": True},
        "prepend": {"type": "Prepend", "prepend": "foo"}, "nmt": {"type": "Nmt"}, "replace": replace("xyz", "a"),
        "replace_longer": replace("", "foo"), "replace_special": replace("#", "."), "replace_regex": replace("1", regex=r"[0-9]+"),
        "replace_spaces": replace(" ", regex=" {2,}"), "replace_classes": replace("_", regex=r"[^\w\s]|\d{2,3}"),
        "replace_groups": replace("<>", regex=r"(?:ab|a)(c|d)?|\p{Lu}+"), "replace_ends": replace("-", regex=r"\s+$|^\s+"),
        "replace_empty": normalizers({"type": "Lowercase"}, replace("-", regex="z*")),
        "nested": normalizers(normalizers({"type": "NFKD"}, {"type": "Lowercase"}), normalizers({"type": "StripAccents"})),
        "many": normalizers({"type": "Nmt"}, {"type": "NFKC"}, replace("\"", "``"), replace("\"", "''"), {"type": "Lowercase"},
                            {"type": "Strip", "strip_left": True, "strip_right": True}, {"type": "Prepend", "prepend": "▁"}),
        "precompiled": {"type": "Precompiled", "precompiled_charsmap": charsmap(
            {"é": "e", "É": "E", "½": "1/2", "①": "1", "\u00ad": "", "\t": " ", "\n": " ", "e\u0301": "é!", "ab": "q", "ﷺ": "a b c d",
             "\u0301": "", "👍": "ok", "x": "y"})},
    }.items():
        yield "normalizer_" + name, words(normalizer=step), GENERIC, {}
    for clean in (True, False):
        for chinese in (True, False):
            for strip in (None, True, False):
                for lower in (True, False):
                    step = {"type": "BertNormalizer", "clean_text": clean, "handle_chinese_chars": chinese, "strip_accents": strip,
                            "lowercase": lower}
                    if clean != chinese and strip is not None:
                        continue
                    yield (f"bert_normalizer_{clean}_{chinese}_{strip}_{lower}",
                           full(step, BERT_PRE, post=template(), decoder=WORDPIECE_DECODER, tokens=BERT_ADDED), GENERIC, {})
    for name, step in {
        "bert": BERT_PRE, "whitespace": {"type": "Whitespace"}, "whitespace_split": {"type": "WhitespaceSplit"}, "none": None,
        "digits": {"type": "Digits", "individual_digits": False}, "digits_each": {"type": "Digits", "individual_digits": True},
        "split_words": split("Removed", True, regex=r"\w+|[^\w\s]+"), "split_literal": split("MergedWithNext", text="."),
        "split_ends": split("Isolated", regex=r"^a|b$|\bfoo"), "split_star": split("Isolated", regex=r"x*"),
        "mixed": pretokenizers({"type": "WhitespaceSplit"}, {"type": "Punctuation"}, {"type": "Digits", "individual_digits": True}),
        "nested": pretokenizers(pretokenizers({"type": "Whitespace"}), split("Removed", text="o")),
        "metaspace_then": pretokenizers(METASPACE, {"type": "Punctuation", "behavior": "Isolated"}),
    }.items():
        yield "pre_" + name, full(pre=step, post=template(), decoder=WORDPIECE_DECODER, tokens=BERT_ADDED), GENERIC, {}
    for behavior in ("Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"):
        for invert in (False, True):
            yield (f"pre_split_{behavior}_{invert}", full(pre=split(behavior, invert, regex=r"[ .o]"), post=template(),
                                                          decoder=WORDPIECE_DECODER), GENERIC, {})
        yield (f"pre_punctuation_{behavior}", full(pre={"type": "Punctuation", "behavior": behavior}, post=template()), GENERIC, {})
    meta = {
        "always": METASPACE, "first": {**METASPACE, "prepend_scheme": "first"}, "never": {**METASPACE, "prepend_scheme": "never"},
        "whole": {**METASPACE, "split": False}, "old": {"type": "Metaspace", "replacement": "▁", "add_prefix_space": True},
        "old_rep": {"type": "Metaspace", "replacement": "▁", "str_rep": "▁", "add_prefix_space": True},
        "underscore": {**METASPACE, "replacement": "_"}, "first_whole": {**METASPACE, "prepend_scheme": "first", "split": False},
    }
    for name, step in meta.items():
        model = unigram("_" if name == "underscore" else "▁")
        yield "metaspace_" + name, full(None, step, model, template(), step, BERT_ADDED[2:]), UNI, {}
        yield ("split_metaspace_" + name,
               full({"type": "Lowercase"}, pretokenizers({"type": "WhitespaceSplit"}, step), model, template(), step,
                    BERT_ADDED[2:] + [added(0, "<x>", lstrip=True), added(0, "foo", normalized=True, single_word=True)]), UNI, {})
    bytes_decoder = {"type": "Sequence", "decoders": [replace(" ", "▁"), {"type": "ByteFallback"}, {"type": "Fuse"},
                                                      {"type": "Strip", "content": " ", "start": 1, "stop": 0}]}
    yield "unigram_bytes", full(None, METASPACE, byte_pieces(unigram(byte_fallback=True)), template(), bytes_decoder), UNI, {}
    some = unigram(byte_fallback=True)
    some["vocab"] += [["<0xC3>", -9.0], ["<0xA9>", -9.0]]
    yield "unigram_some_bytes", full(None, METASPACE, some, template(), bytes_decoder), UNI, {}
    yield "unigram_whole", full(None, None, unigram(), template(), METASPACE), UNI, {}
    old = unigram()
    del old["byte_fallback"]
    yield "unigram_old", full(None, METASPACE, old, None, METASPACE), UNI, {}
    yield "wordpiece_prefix", full(None, BERT_PRE, wordpiece("@@"), None, {"type": "WordPiece", "prefix": "@@", "cleanup": False}), GENERIC, {}
    yield "wordpiece_short", full(None, BERT_PRE, wordpiece(longest=5), None, None), GENERIC, {}
    yield "wordpiece_no_prefix", full(None, BERT_PRE, wordpiece(""), None, WORDPIECE_DECODER), GENERIC, {}
    for name, post in {
        "bert": {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]}, "none": None,
        "swapped": {**template(), "pair": list(reversed(template()["pair"]))},
        "several": {**template(), "special_tokens": {"[CLS]": {"id": "[CLS]", "ids": [2, 4, 5], "tokens": ["[CLS]", "[MASK]", "a"]},
                                                     "[SEP]": {"id": "[SEP]", "ids": [3], "tokens": ["[SEP]"]}}},
        "bare": {**template(), "single": [{"Sequence": {"id": "A", "type_id": 3}}], "pair": [{"Sequence": {"id": "A", "type_id": 2}},
                                                                                            {"Sequence": {"id": "B", "type_id": 5}}]},
    }.items():
        yield "post_" + name, full(BERT_NORMALIZER, BERT_PRE, post=post, decoder=WORDPIECE_DECODER, tokens=BERT_ADDED), GENERIC, {}
    for name, decoder in {
        "none": None, "fuse": {"type": "Fuse"}, "cleanup": {"type": "WordPiece", "prefix": "##", "cleanup": False},
        "replace": {"type": "Sequence", "decoders": [replace("<>", "##"), replace("", regex="[aeiou]{2}")]},
        "strip": {"type": "Strip", "content": "#", "start": 1, "stop": 0}, "strip_end": {"type": "Strip", "content": "d", "start": 0, "stop": 1},
        "sequence": {"type": "Sequence", "decoders": [{"type": "Fuse"}, replace("_", "#")]},
    }.items():
        for clean in (True, False):
            yield (f"decoder_{name}_{clean}", full(BERT_NORMALIZER, BERT_PRE, decoder=decoder, tokens=BERT_ADDED, post=template()),
                   {**GENERIC, "clean_up_tokenization_spaces": clean}, {})
    flags = [added(0, "<x>", lstrip=True), added(0, "<y>", rstrip=True), added(0, "<z>", lstrip=True, rstrip=True, special=True),
             added(0, "Foo", normalized=True), added(0, "bar", single_word=True), added(0, "foo bar", normalized=True, rstrip=True),
             added(0, "foo b"), added(0, "Café", normalized=True, single_word=True)]
    for name, step in {"plain": None, "lower": BERT_NORMALIZER, "nfkd": normalizers({"type": "NFKD"}, {"type": "Lowercase"}),
                       "spaces": replace("_", " ")}.items():
        yield "added_" + name, full(step, BERT_PRE, tokens=BERT_ADDED + flags, post=template(), decoder=WORDPIECE_DECODER), GENERIC, {}
    yield "added_again", full(BERT_NORMALIZER, BERT_PRE, post=template(), decoder=WORDPIECE_DECODER, tokens=BERT_ADDED + [
        added(0, "<x>"), added(0, "<x>", lstrip=True, special=True), added(0, "the", normalized=True), added(0, "the"),
        added(0, ""), added(0, "film", special=True), added(0, "film", normalized=True)]), GENERIC, {}
    yield from classes(flags)
    yield from found()


def classes(flags):
    """What the class and the files beside tokenizer.json have to say."""
    bert = {"tokenizer_class": "BertTokenizer"}
    cased = {**BERT_NORMALIZER, "lowercase": False}
    make = lambda normalizer=BERT_NORMALIZER, tokens=(): full(normalizer, BERT_PRE, tokens=BERT_ADDED + list(tokens), post=template(),
                                                              decoder=WORDPIECE_DECODER)
    yield "class_bert", make(), bert, {}
    yield "class_bert_cased_file", make(cased), bert, {}
    yield "class_bert_cased_config", make(), {**bert, "do_lower_case": False}, {}
    yield "class_bert_cased_added", make(cased, flags), bert, {}
    yield "class_bert_uncased_added", make(tokens=flags), {**bert, "do_lower_case": False, "strip_accents": True}, {}
    yield "class_bert_strip", make(), {**bert, "strip_accents": False}, {}
    yield "class_bert_strip_same", make({**BERT_NORMALIZER, "strip_accents": True}), {**bert, "strip_accents": True}, {}
    yield "class_bert_chinese", make(), {**bert, "tokenize_chinese_chars": False, "clean_up_tokenization_spaces": False}, {}
    yield "class_bert_sequence", make(normalizers(cased)), {**bert, "do_lower_case": True}, {}
    yield "class_bert_never_split", make(), {**bert, "never_split": ["Hello"], "do_basic_tokenize": False}, {}
    yield "class_distilbert", make(), {"tokenizer_class": "DistilBertTokenizer"}, {}
    yield "class_electra", make(cased), {"tokenizer_class": "ElectraTokenizerFast"}, {}
    yield "class_inputs", make(), {**bert, "model_input_names": ["input_ids", "attention_mask"]}, {}
    yield "class_inputs_given", make(), {"tokenizer_class": "DistilBertTokenizer",
                                         "model_input_names": ["input_ids", "token_type_ids"]}, {}
    yield "class_generic", make(cased), {"tokenizer_class": "PreTrainedTokenizerFast", "do_lower_case": True}, {}
    yield "class_left", make(), {**bert, "truncation_side": "left"}, {}
    yield "class_none", make(), {}, {"config.json": json.dumps({"model_type": "bert"})}
    yield "class_in_config", make(cased), {}, {"config.json": json.dumps({"model_type": "bert", "tokenizer_class": "PreTrainedTokenizerFast"})}
    yield "class_padded", {**make(), "padding": {"strategy": {"Fixed": 20}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0,
                                                 "pad_type_id": 0, "pad_token": "[PAD]"},
                           "truncation": {"direction": "Left", "max_length": 4, "strategy": "LongestFirst", "stride": 0}}, bert, {}
    decoder = {str(i): {k: v for k, v in t.items() if k != "id"} for i, t in enumerate(BERT_ADDED)}
    decoder["200"] = {k: v for k, v in added(0, "<x>", lstrip=True).items() if k != "id"}
    decoder["150"] = {k: v for k, v in added(0, "Film", normalized=True, special=True).items() if k != "id"}
    yield "files_decoder", make(), {**bert, "added_tokens_decoder": decoder, "additional_special_tokens": ["<y>", "<x>"]}, {}
    yield "files_roles", make(), {**bert, "mask_token": {"__type": "AddedToken", **{k: v for k, v in added(
        0, "[MASK]", lstrip=True, special=True).items() if k != "id"}}, "cls_token": "<s>"}, {}
    yield "files_map", make(), bert, {"special_tokens_map.json": json.dumps(
        {"mask_token": {"content": "[MASK]", "lstrip": True, "rstrip": False, "single_word": False, "normalized": False},
         "additional_special_tokens": ["<y>", {"content": "<z>", "lstrip": False, "rstrip": True, "single_word": False, "normalized": True}],
         "unk_token": "[UNK]"})}
    yield "files_added", make(), bert, {"special_tokens_map.json": json.dumps({"additional_special_tokens": ["<y>"], "unk_token": "[UNK]"}),
                                        "added_tokens.json": json.dumps({"<y>": 300, "Foo": 200, "<x>": 250})}
    yield "files_map_ignored", make(), {**bert, "added_tokens_decoder": decoder}, {"special_tokens_map.json": json.dumps(
        {"additional_special_tokens": ["<y>"], "mask_token": "<z>"})}
    yield "class_albert", full(normalizers(replace("\"", "``"), {"type": "NFKD"}, {"type": "StripAccents"}, {"type": "Lowercase"},
                                           replace(" ", regex=" {2,}")), METASPACE, unigram(), template(), METASPACE,
                               BERT_ADDED[2:4] + [added(4, "[MASK]", lstrip=True, special=True)]), {"tokenizer_class": "AlbertTokenizer"}, {}
    yield "class_albert_plain", full({"type": "Lowercase"}, METASPACE, unigram(), template(), METASPACE), {
        "tokenizer_class": "AlbertTokenizerFast", "do_lower_case": False, "keep_accents": True}, {}
    yield "files_named", full(normalizers({"type": "NFC"}), None, tokens=[added(500, "é", normalized=True, rstrip=True), added(
        501, "e\u0301", normalized=True, lstrip=True), added(501, "foo", normalized=True)]), {**bert, "additional_special_tokens": ["e\u0301", "foo"]}, {}
    yield "files_empty", full(normalizers({"type": "NFD"}, {"type": "StripAccents"}, replace(".", regex="[^ -~]")), BERT_PRE, tokens=BERT_ADDED + [
        added(500, "\u0301", normalized=True, lstrip=True)]), GENERIC, {}
    yield "class_albert_mask", full({"type": "Nmt"}, METASPACE, unigram(), None, METASPACE, BERT_ADDED[2:]), {
        "tokenizer_class": "AlbertTokenizer", "additional_special_tokens": ["<x>"]}, {}
    yield "class_xlm", full(None, METASPACE, unigram(), template(), METASPACE, BERT_ADDED[2:]), {"tokenizer_class": "XLMRobertaTokenizer"}, {}
    vocab = "\n".join(wordpiece()["vocab"]) + "\n"
    for name, config in {
        "vocab": bert, "vocab_cased": {**bert, "do_lower_case": False}, "vocab_basic": {**bert, "do_basic_tokenize": False},
        "vocab_accents": {**bert, "strip_accents": False, "never_split": ["Hello"]}, "vocab_distil": {"tokenizer_class": "DistilBertTokenizer"},
        "vocab_decoder": {**bert, "added_tokens_decoder": decoder}, "vocab_unknown": {**bert, "unk_token": "a"},
        "vocab_basic_decoder": {**bert, "do_basic_tokenize": False, "added_tokens_decoder": decoder},
    }.items():
        yield name, None, config, {"vocab.txt": vocab}
    yield "vocab_lines", None, bert, {"vocab.txt": vocab.replace("\nfilm\n", "\r\nfilm\r\n") + "\nhello\n\n"}
    yield "vocab_no_mask", None, bert, {"vocab.txt": vocab.replace("[MASK]\n", "").replace("[PAD]\n", "")}


def found():
    """What a comparison of random folders found wrong once, each with the few texts that show it. A tiny vocabulary keeps it small."""
    few = lambda *more: {**wordpiece(), "vocab": {p: i for i, p in enumerate(SPECIALS + ["foo", "bar", "a", "##a", *more])}}
    make = lambda tokens=(), normalizer=None, model=None: full(normalizer, {"type": "WhitespaceSplit"}, model or few(), template(),
                                                               WORDPIECE_DECODER, tokens)
    plain = lambda **flags: {k: v for k, v in added(0, **flags).items() if k != "id"}
    # scores that are no doubles: serde_json reads some of them a unit in the last place off, and ties fall to other segmentations
    scores = {"<unk>": 0.0, "a": -2.630483846314087, "aaa": -0.9983983513327819}
    yield "found_rounding", full(model={"type": "Unigram", "unk_id": 0, "vocab": [[p, s] for p, s in scores.items()]}), {
        "tokenizer_class": "PreTrainedTokenizerFast"}, {}, ["aaaaa", "aaaa", "aaaaaaaaaaaaaaaa"]
    # of tokens with one text, what is special anywhere counts, whatever the order
    yield "found_twice", make([added(9, "foo bar", normalized=True), added(10, "foo bar", special=True)], {"type": "Lowercase"}), {
        "tokenizer_class": "PreTrainedTokenizerFast"}, {}, ["foo bar", "FOO BAR a"]
    # of special tokens with one text the first says how it is looked for, and of a list the last
    albert = {"tokenizer_class": "AlbertTokenizer"}
    yield "found_roles", make(), {**albert, "sep_token": {"__type": "AddedToken", "content": "[CLS]", "single_word": True}}, {}, ["a[CLS] [CLS]"]
    yield "found_roles_map", make(), albert, {"special_tokens_map.json": json.dumps({"cls_token": {"content": "<unk>", "rstrip": True}})}, ["<unk> a"]
    yield "found_list", make(), {**albert, "additional_special_tokens": [{"__type": "AddedToken", **plain(content="foo", lstrip=True)}, "foo"]}, {}, [
        "a foo bar"]
    # a piece on two lines of vocab.txt has the later id, and the earlier id has none
    yield "found_lines", None, {"tokenizer_class": "BertTokenizer"}, {"vocab.txt": "\n".join(SPECIALS + ["foo", "bar", "foo", ""])}, ["foo bar"]
    token = lambda **flags: {"__type": "AddedToken", **plain(content="foo", **flags)}
    yield "found_lists", make(), {**GENERIC, "additional_special_tokens": ["foo", token(lstrip=True, rstrip=True)]}, {
        "special_tokens_map.json": json.dumps({"additional_special_tokens": [token(lstrip=True, rstrip=True), token(rstrip=True),
                                                                             "foo", token(lstrip=True, rstrip=True)]})}, ["a foo bar"]
    # special tokens in a text that are none
    yield "found_split_special", make([added(4, "[MASK]", special=True), added(9, "<x>")]), {**GENERIC, "split_special_tokens": True}, {}, [
        "a [MASK] <x>", "[CLS]<x>foo[SEP]"]
    # added_tokens.json makes special what a file names, not what the class alone does
    yield "found_default", make(normalizer={"type": "Lowercase"}), {"tokenizer_class": "XLMRobertaTokenizer"}, {
        "added_tokens.json": json.dumps({"</s>": 9})}, ["a </S> </s>"]


def run(name, root, config, others, texts=None):
    files = dict(others)
    if config:
        files["tokenizer_config.json"] = json.dumps(config, ensure_ascii=False)
    if root is not None:
        files["tokenizer.json"] = json.dumps(root, ensure_ascii=False)
    with tempfile.TemporaryDirectory() as folder:
        for file, text in files.items():
            with open(os.path.join(folder, file), "w", encoding="utf-8", newline="") as out:
                out.write(text)
        if "config.json" not in files:  # only AutoTokenizer asks for one; it is not part of the golden
            with open(os.path.join(folder, "config.json"), "w", encoding="utf-8") as out:
                json.dump({"model_type": "bert"}, out)
        tokenizer = AutoTokenizer.from_pretrained(folder)
        cases = [case(tokenizer, text, None, 0) for text in texts or TEXTS]
        if not texts:
            cases += [case(tokenizer, a, b, 0) for a, b in PAIRS]
            cases += [case(tokenizer, TEXTS[4], None, 5), case(tokenizer, *PAIRS[3], 8)]
        size = max(tokenizer.get_vocab().values()) + 1
        ids = [c["ids"] for c in cases if c["ids"]][0 if texts else 1::2] + [[(7 * k * k + 13 * i + k) % size for k in range(12)] for i in range(3)]
        decoded = [{"ids": i, "skip": n % 2 == 0, "text": tokenizer.decode(i, skip_special_tokens=n % 2 == 0)} for n, i in enumerate(ids)]
        return {"name": name, "files": files, "special": sorted(set(tokenizer.all_special_ids)), "size": size, "cases": cases, "decode": decoded}


def case(tokenizer, text, pair, length):
    limit = {"truncation": True, "max_length": length} if length else {}
    got = tokenizer([text], None if pair is None else [pair], return_offsets_mapping=True, **limit)
    out = {"text": text, "ids": got["input_ids"][0], "types": got.get("token_type_ids", [[0] * len(got["input_ids"][0])])[0],
           "offsets": [n for span in got["offset_mapping"][0] for n in span],
           "words": [-1 if word is None else word for word in got.word_ids(0)]}
    if pair is not None:
        out["pair"] = pair
    if length:
        out["max"] = length
    return out


def main():
    rows = [run(*folder) for folder in folders()]
    with open(OUT, "w", encoding="utf-8", newline="\n") as file:
        file.write("[\n" + ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows) + "\n]\n")
    print(len(rows), "folders,", sum(len(row["cases"]) for row in rows), "texts,", sum(len(row["decode"]) for row in rows), "decoded")


if __name__ == "__main__":
    main()
