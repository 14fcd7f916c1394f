#!/usr/bin/env python3
"""What the parts of Hugging Face's tokenizers, and Python, say of every code point and of many short texts.

    make_unicode_goldens.py

writes unicode/unicode.txt. Answers are not stored but hashed (FNV-1a, 64 bits): "property NAME PLANE HASH" for the
65,536 code points of a plane, U+D800 to U+DFFF left out; "texts NAME SEED HASH" for texts that splitmix64 makes of the
code points in the lines "pool". tests/test_unicode.c does the same with loader/unicode.h. README.md lists the versions.
"""
import os
import struct
import unicodedata

from tokenizers import PreTokenizedString, Regex, normalizers, pre_tokenizers

HERE = os.path.dirname(os.path.abspath(__file__))
MASK = (1 << 64) - 1
TEXTS = 1000  # for a seed
POOL = [int(code, 16) for code in """
61 65 69 6f 75 41 4f 55 6e 20 d a e9 c5 130 1d5 1ea5 1ed9 1e69 212b 3a3 1fb3 1f82 344 385 1e9b 3d3 fb01 fb2c fdfa bd a9 ad
300 301 302 307 308 31b 323 327 328 338 345 f71 f72 f73 f74 f75 f81 5b0 64b 3099 1d165 1d16d 20d0 20dd 903 93c 94d 915 928 929
1100 1102 1112 1161 1162 1175 11a7 11a8 11c2 ac00 ac01 ac1c d7a3 9c7 9be 9cb b47 b3e b56 dd9 dcf ddf 1025 102e 1b05 1b35
11131 11127 11935 11930 105d2 fb1f 0f43 2adc 2126 212a f900 2f800 2f81a 3250 33a1 ff76 ff9e 32ff 1d400 1d15e
200c 200d 2764 fe0f 1f1e6 1f1e7 1f469 1f3fd e0020 600 110bd 200b 85 2028 e33 8d4 1e4ec 10ffff e000
""".split()]


def fnv(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 & MASK
    return value


def properties():
    """Name, and what a character answers: bytes."""
    def flag(test):
        return lambda c: b"\1" if test(c) else b"\0"

    def text(change):
        return lambda c: change(c).encode() + b"\xff"

    def cuts(part, **options):
        splitter = part(**options)
        return flag(lambda c: len(splitter.pre_tokenize_str("a" + c)) == 2)

    def is_word(c):
        return [piece for piece, _ in whitespace.pre_tokenize_str("a" + c)] == ["a" + c]

    whitespace, split = pre_tokenizers.Whitespace(), pre_tokenizers.WhitespaceSplit()
    bert = dict(clean_text=False, handle_chinese_chars=False, strip_accents=False, lowercase=False)
    clean, chinese, accents = (normalizers.BertNormalizer(**{**bert, key: True})
                               for key in ("clean_text", "handle_chinese_chars", "strip_accents"))
    strip, word = normalizers.StripAccents(), normalizers.Replace(Regex(r"\w"), "")
    yield "white", flag(lambda c: not split.pre_tokenize_str(c))
    yield "numeric", cuts(pre_tokenizers.Digits, individual_digits=True)
    yield "punctuation", cuts(pre_tokenizers.Punctuation)
    yield "bert-punctuation", cuts(pre_tokenizers.BertPreTokenizer)
    yield "word", flag(is_word)
    yield "regex-word", flag(lambda c: not word.normalize_str(c))
    yield "mark", flag(lambda c: strip.normalize_str("a" + c) == "a")
    yield "bert-clean", text(clean.normalize_str)
    yield "bert-nonspacing", flag(lambda c: accents.normalize_str("a" + c) == "a")
    yield "bert-ideograph", flag(lambda c: chinese.normalize_str(c) != c)
    yield "lower", text(normalizers.Lowercase().normalize_str)
    for form in ("NFD", "NFKD", "NFC", "NFKC"):
        yield form.lower(), text(getattr(normalizers, form)().normalize_str)
    yield "python-category", text(unicodedata.category)
    yield "python-combining", lambda c: bytes([unicodedata.combining(c)])
    yield "python-space", flag(str.isspace)
    yield "python-digit", flag(str.isdigit)
    yield "python-nfd", text(lambda c: unicodedata.normalize("NFD", c))
    yield "python-nfkd", text(lambda c: unicodedata.normalize("NFKD", c))
    yield "python-sigma", text(lambda c: f"a{c}\u03a3 a\u03a3{c} {c}\u03a3".lower())


def random_texts(seed):
    state = seed
    for _ in range(TEXTS):
        codes = []
        for i in range(9):
            state = state + 0x9E3779B97F4A7C15 & MASK
            z = state
            z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & MASK
            z = (z ^ z >> 27) * 0x94D049BB133111EB & MASK
            z ^= z >> 31
            if i == 0:
                length = 1 + z % 8
            elif i <= length:
                codes.append(chr(POOL[z % len(POOL)]))
        yield "".join(codes)


def normalized(form, text):
    """The characters of a normal form, each with the code points of the text that it stands for."""
    pieces = PreTokenizedString(text)
    pieces.normalize(lambda piece: getattr(piece, form)())
    pieces.split(lambda _, piece: piece.split(Regex("(?m:.)"), "isolated"))
    return b"".join(piece.encode() + bytes(offsets)
                    for piece, offsets, _ in pieces.get_splits("original", "char")) + b"\xff"


def graphemes(text):
    """How many graphemes shorter than 6 bytes there are, and characters in the others: all that Precompiled asks. Its
    map makes a star of what begins with any byte."""
    return bytes([PRECOMPILED.normalize_str(text).count("*")])


def star_map():
    cells = [0] * 1024
    cells[0] = 256 << 10
    for byte in range(1, 256):
        cells[256 + byte] = byte | 1 << 8 | 512 << 10
        cells[768 + byte] = 1 << 31
    return struct.pack("<1025I", 4096, *cells) + b"*\0"


PRECOMPILED = normalizers.Precompiled(star_map())


def main():
    assert unicodedata.unidata_version == "14.0.0", "Python 3.11 is the reference"
    lines = ["pool " + " ".join(f"{code:x}" for code in POOL[i:i + 20]) for i in range(0, len(POOL), 20)]
    for name, answer in properties():
        for plane in range(17):
            codes = (c for c in range(plane << 16, plane + 1 << 16) if not 0xD800 <= c <= 0xDFFF)
            lines.append(f"property {name} {plane} {fnv(b''.join(answer(chr(c)) for c in codes)):016x}")
    for seed in range(8):
        for form in ("nfd", "nfkd", "nfc", "nfkc"):
            lines.append(f"texts {form} {seed} {fnv(b''.join(normalized(form, t) for t in random_texts(seed))):016x}")
        lines.append(f"texts graphemes {seed} {fnv(b''.join(map(graphemes, random_texts(seed)))):016x}")
    os.makedirs(os.path.join(HERE, "unicode"), exist_ok=True)
    with open(os.path.join(HERE, "unicode", "unicode.txt"), "w", encoding="ascii", newline="\n") as out:
        out.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
