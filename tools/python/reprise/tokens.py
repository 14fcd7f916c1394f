"""Tokenizer: texts as the ids of a model, without a device."""
from __future__ import annotations

import ctypes
import os
from ctypes import byref
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple, Union

from ._native import Handle, Text, api, check, lib, params, utf8


class Encoding(NamedTuple):
    """One text or pair as tokens. Offsets are characters of the text (or of the pair, where `sequence` is 1)."""
    ids: List[int]
    type_ids: List[int]
    offsets: List[Tuple[int, int]]
    sequence: List[int]
    words: List[int]
    truncated: bool

    def __getitem__(self, key: Any) -> Any:
        """By place, or by the names that transformers has: input_ids, token_type_ids, attention_mask."""
        if isinstance(key, str):
            known = {"input_ids": self.ids, "token_type_ids": self.type_ids, "attention_mask": [1] * len(self.ids)}
            return known[key]
        return tuple.__getitem__(self, key)

    @property
    def input_ids(self) -> List[int]:
        return self.ids


class Tokenizer:
    """The tokenizer of a folder, or of a model by name. Needs no device; any thread may use it."""

    def __init__(self, model: Union[str, "os.PathLike[str]"]):
        self._name = os.fspath(model)
        self._vocabulary: Optional[Dict[str, int]] = None
        pointer, error = ctypes.POINTER(api.rp_tokenizer)(), api.rp_error()
        check(lib.rp_tokenizer_open(os.fsencode(model), byref(pointer), byref(error)), error)
        self._handle = Handle(pointer, lib.rp_tokenizer_close, "tokenizer")

    def __call__(self, text: Text, pair: Optional[Text] = None, **arguments: Any) -> Encoding:
        """Arguments are the fields of rp_tokenize_params: no_special_tokens, max_tokens, truncation; or what
        transformers calls them: add_special_tokens, max_length, truncation=True."""
        keep: List[Any] = []
        arguments = self._named(arguments)
        p = params("rp_tokenize_params", keep, arguments)
        kept = [utf8(text), b"" if pair is None else utf8(pair, "pair")]
        a, b = (api.rp_text(data, len(data)) for data in kept)
        if pair is None:
            b = api.rp_text()
        made, error = api.rp_encoding(), api.rp_error()
        with self._handle as pointer:
            check(lib.rp_tokenize(pointer, a, b, byref(p), byref(made), byref(error)), error)
        try:
            n = made.count
            sequence = made.sequence[:n]
            offsets = []
            for i in range(n):
                data, span = kept[max(sequence[i], 0)], made.offsets[i]
                offsets.append((len(data[: span.start].decode("utf-8", "ignore")),
                                len(data[: span.end].decode("utf-8", "ignore"))))
            return Encoding(made.ids[:n], made.type_ids[:n], offsets, sequence, made.words[:n], made.truncated)
        finally:
            lib.rp_encoding_free(byref(made))

    def _named(self, given: Dict[str, Any]) -> Dict[str, Any]:
        """Arguments by the library's names."""
        made = dict(given)
        if made.get("truncation") is True:
            made.setdefault("max_length", self.model_max_length)
        elif made.get("truncation") is False:
            made["max_length"] = None
        if isinstance(made.get("truncation"), bool):
            del made["truncation"]
        if "max_length" in made:
            made["max_tokens"] = made.pop("max_length")
        if "add_special_tokens" in made:
            made["no_special_tokens"] = not made.pop("add_special_tokens")
        return made

    def encode(self, text: Text, pair: Optional[Text] = None, **arguments: Any) -> List[int]:
        """The ids alone; arguments as of a call."""
        return self(text, pair, **arguments).ids

    def tokenize(self, text: Text) -> List[str]:
        """The pieces of a text, as the vocabulary writes them, without special tokens."""
        return [self.piece(token) for token in self(text, no_special_tokens=True).ids]

    def convert_ids_to_tokens(self, ids: Any) -> Any:
        """The piece of an id, or those of a list of ids."""
        return self.piece(ids) if isinstance(ids, int) else [self.piece(int(token)) for token in ids]

    def convert_tokens_to_ids(self, tokens: Any) -> Any:
        """The id of a piece, or those of a list of pieces; the unknown token's where there is no such piece."""
        if not isinstance(tokens, str):
            return [self.convert_tokens_to_ids(token) for token in tokens]
        return self.vocabulary.get(tokens, self.unk_token_id)

    def batch_decode(self, sequences: Sequence[Sequence[int]], skip_special_tokens: bool = False) -> List[str]:
        return [self.decode(ids, skip_special_tokens) for ids in sequences]

    def get_vocab(self) -> Dict[str, int]:
        return dict(self.vocabulary)

    def __len__(self) -> int:
        return self.vocab_size

    @property
    def name_or_path(self) -> str:
        return self._name

    def decode(self, ids: Sequence[int], skip_special_tokens: bool = False) -> str:
        text, error = ctypes.c_char_p(), api.rp_error()
        array = (ctypes.c_int32 * len(ids))(*ids)
        with self._handle as pointer:
            check(lib.rp_tokenizer_decode(pointer, array, len(ids), skip_special_tokens, byref(text),
                                          byref(error)), error)
        try:
            return (text.value or b"").decode("utf-8", "replace")
        finally:
            lib.rp_string_free(byref(text))

    def piece(self, token: int) -> str:
        """A token as the vocabulary writes it."""
        with self._handle as pointer:
            return (lib.rp_tokenizer_piece(pointer, token) or b"").decode("utf-8", "replace")

    @property
    def vocabulary(self) -> Dict[str, int]:
        """The id of each token."""
        if self._vocabulary is None:
            self._vocabulary = {self.piece(token): token for token in range(self.vocab_size)}
        return self._vocabulary

    def __getattr__(self, name: str) -> Any:
        """mask_token, mask_token_id, and so on for cls, sep, pad and unk, as transformers' tokenizers have them; None
        where there is no such token."""
        kind, _, last = name.partition("_token")
        if kind in ("cls", "sep", "mask", "pad", "unk") and last in ("", "_id"):
            token = self.special_ids[kind]
            return None if token < 0 else token if last else self.piece(token)
        raise AttributeError(f"'Tokenizer' object has no attribute '{name}'")

    @property
    def model_max_length(self) -> int:
        """The most tokens of a text, special tokens included, that the folder says."""
        with self._handle as pointer:
            return int(lib.rp_tokenizer_max_tokens(pointer))

    @property
    def vocab_size(self) -> int:
        with self._handle as pointer:
            return int(lib.rp_tokenizer_vocab_size(pointer))

    @property
    def special_ids(self) -> Dict[str, int]:
        """cls, sep, mask, pad and unk; -1 where the vocabulary has none."""
        with self._handle as pointer:
            ids = lib.rp_tokenizer_special_ids(pointer)
        return {name: getattr(ids, name) for name, _ in ids._fields_}

    def close(self) -> None:
        self._handle.close()

    def __enter__(self) -> "Tokenizer":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def __del__(self) -> None:
        if "_handle" in self.__dict__:
            self.close()

    def __reduce__(self) -> Tuple[Any, ...]:
        return Tokenizer, (self._name,)
