"""Devices, models and tokenizers: the library's handles, and its tasks on lists of texts."""
from __future__ import annotations

import ctypes
import json
import math
import os
import threading
import types
import weakref
from ctypes import byref
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple, Union, cast

from ._native import Call, Handle, Text, api, check, lib, pairs, params, result, task, texts, utf8, words

Pair = Union[Text, Tuple[Text, Optional[Text]]]


def _plain(struct: Any) -> Dict[str, Any]:
    """A struct of the library as a dict: enums by their words, texts as str."""
    enums = api.FIELD_ENUMS.get(type(struct).__name__, {})
    made: Dict[str, Any] = {}
    for name, _ in struct._fields_:
        value = getattr(struct, name)
        if name in enums:
            value = {number: word for word, number in words(enums[name]).items()}.get(value, "other")
        elif isinstance(value, bytes):
            value = value.decode("utf-8", "replace")
        elif not isinstance(value, (int, float)):
            continue
        made[name] = _finite(value) if isinstance(value, float) else value
    return made


def _finite(value: float) -> Optional[float]:
    """A number as JSON has it: None where it is not defined."""
    return value if math.isfinite(value) else None


def devices() -> List[Dict[str, Any]]:
    """Every Vulkan device, unusable ones too, as rp_device_info of device.h has it."""
    count, error = ctypes.c_size_t(), api.rp_error()
    check(lib.rp_device_list(None, 0, byref(count), byref(error)), error)
    infos = (api.rp_device_info * count.value)()
    check(lib.rp_device_list(infos, count.value, byref(count), byref(error)), error)
    return [_plain(info) for info in infos[: count.value]]


class Device:
    """A Vulkan device: `name` is a part of its name, or its index in devices(); None is the best one.

    It belongs to the process that opened it; a pickle opens it again. Any thread may use it."""

    def __init__(self, name: Union[str, int, None] = None, *, cache_dir: Optional[str] = None,
                 shader_dir: Optional[str] = None, log: Optional[Callable[[str, str], Any]] = None):
        self._arguments = (name, cache_dir, shader_dir)
        self._call = Call(log=log)
        keep: List[Any] = []
        p = params("rp_device_params", keep, {
            "index": name + 1 if isinstance(name, int) else None, "name": name if isinstance(name, str) else None,
            "cache_dir": cache_dir, "shader_dir": shader_dir, "call": self._call.struct if log else None})
        pointer, error = ctypes.POINTER(api.rp_device)(), api.rp_error()
        check(lib.rp_device_open(byref(p), byref(pointer), byref(error)), error)
        self._handle = Handle(pointer, lib.rp_device_close, "device")
        self._dependents: "weakref.WeakSet[Any]" = weakref.WeakSet()
        with self._handle as open_device:
            self.info = _plain(lib.rp_device_get_info(open_device).contents)

    @property
    def memory_used(self) -> int:
        """Bytes of device memory that the library holds."""
        with self._handle as pointer:
            return int(lib.rp_device_memory_used(pointer))

    def check(self, each: Optional[Callable[[Dict[str, Any]], Any]] = None, **arguments: Any) -> int:
        """Compare every kernel with plain C, as `reprise check` does; how many failed. Arguments are the fields
        of rp_check_params; `each` gets the dict that `reprise check --json` prints for a kernel."""
        keep: List[Any] = []
        p = params("rp_check_params", keep, arguments)
        failed, error = ctypes.c_uint32(), api.rp_error()
        trouble: List[BaseException] = []

        def take(user: Any, result: Any) -> None:
            try:
                if each is not None and not trouble:
                    told = _plain(result.contents)
                    if told["verdict"] in ("refused", "loses", "ends"):
                        told["error"] = None
                    for name in ("error", "bound") if p.compile_only else ("statistics",):
                        del told[name]
                    if p.compile_only and told["verdict"] == "right":
                        told["verdict"] = "compiled"
                    each(told)
            except BaseException as raised:
                trouble.append(raised)

        with self._handle as pointer:
            status = lib.rp_check_kernels(pointer, byref(p), api.rp_check_fn(take), None, byref(failed),
                                          byref(error))
        if trouble:
            raise trouble[0]
        check(status, error)
        return failed.value

    def close(self) -> None:
        """Close it and what is open on it."""
        for each in list(self._dependents):
            each.close()
        self._handle.close()

    def __enter__(self) -> "Device":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def __del__(self) -> None:
        if "_dependents" in self.__dict__:
            self.close()

    def __reduce__(self) -> Tuple[Any, ...]:
        return _device, self._arguments


_shared: Dict[Any, "weakref.ref[Device]"] = {}
_shared_lock = threading.Lock()


def _device(name: Union[str, int, None] = None, cache_dir: Optional[str] = None,
            shader_dir: Optional[str] = None) -> Device:
    """The device of these arguments that this process has open, or a new one."""
    key = (os.getpid(), name, cache_dir, shader_dir)
    with _shared_lock:
        known = _shared.get(key)
        device = known() if known else None
        if device is None or device._handle.closed:
            device = Device(name, cache_dir=cache_dir, shader_dir=shader_dir)
            _shared[key] = weakref.ref(device)
        return device


class Encoding(NamedTuple):
    """One text or pair as tokens. Offsets are characters of the text (or of the pair, where `sequence` is 1)."""
    ids: List[int]
    type_ids: List[int]
    offsets: List[Tuple[int, int]]
    sequence: List[int]
    words: List[int]
    truncated: bool


class Tokenizer:
    """The tokenizer of a folder, or of a model by name. Needs no device; any thread may use it."""

    def __init__(self, model: Union[str, "os.PathLike[str]"]):
        self._name = os.fspath(model)
        self._vocabulary: Optional[Dict[str, int]] = None
        pointer, error = ctypes.POINTER(api.rp_tokenizer)(), api.rp_error()
        check(lib.rp_tokenizer_open(os.fsencode(model), byref(pointer), byref(error)), error)
        self._handle = Handle(pointer, lib.rp_tokenizer_close, "tokenizer")

    def __call__(self, text: Text, pair: Optional[Text] = None, **arguments: Any) -> Encoding:
        """Arguments are the fields of rp_tokenize_params: no_special_tokens, max_tokens, truncation."""
        keep: List[Any] = []
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


class Model:
    """A Hugging Face folder, or a model by name, on a device.

    Tasks take a list of inputs and return a list of what `reprise --json` prints for each. `errors="raise"`
    raises the first input's Error; `errors="return"` has Errors among the answers instead; with `as_json` the
    answers are the texts of JSON themselves, {"error": ...} for an input that failed. Keyword arguments are the
    fields of the task's params struct in tasks.h, and `call` is a Call. Other Python threads run while the
    library computes. A pickle opens the model again."""

    def __init__(self, model: Union[str, "os.PathLike[str]"] = "sentiment", *,
                 device: Union[Device, str, int, None] = None, call: Optional[Call] = None, **arguments: Any):
        self._arguments = (os.fspath(model), device, arguments)
        self._tokenizer: Optional[Tokenizer] = None
        self.device = device if isinstance(device, Device) else _device(device)
        keep: List[Any] = []
        p = params("rp_model_params", keep, {**arguments, "call": call.struct if call else None})
        pointer, error = ctypes.POINTER(api.rp_model)(), api.rp_error()
        with self.device._handle as open_device:
            status = lib.rp_model_open(open_device, os.fsencode(model), byref(p), byref(pointer), byref(error))
        if call is not None:
            call.raise_trouble()
        check(status, error)
        self._handle = Handle(pointer, lib.rp_model_close, "model")
        self._dependents: "weakref.WeakSet[Any]" = weakref.WeakSet()
        self.device._dependents.add(self)
        with self._handle as open_model:
            info = lib.rp_model_get_info(open_model).contents
            self.info = _plain(info)
            self.labels = [info.labels[i].decode("utf-8", "replace") for i in range(info.label_count)]

    @property
    def config(self) -> types.SimpleNamespace:
        """What config.json says, with id2label, label2id and num_labels as transformers' configurations have them."""
        with open(os.path.join(self.info["dir"], "config.json"), encoding="utf-8") as file:
            said = json.load(file)
        labels = dict(enumerate(self.labels))
        return types.SimpleNamespace(**{**said, "id2label": labels, "label2id": {v: k for k, v in labels.items()},
                                        "num_labels": len(labels), "_name_or_path": self._arguments[0]})

    @property
    def tokenizer(self) -> Tokenizer:
        """The folder's, as a Tokenizer of its own."""
        if self._tokenizer is None:
            self._tokenizer = Tokenizer(self.info["dir"])
        return self._tokenizer

    def _pairs(self, function: Any, struct: str, inputs: Sequence[Pair], errors: str, as_json: bool,
               call: Optional[Call], arguments: Dict[str, Any]) -> List[Any]:
        return task(self._handle, function, struct, pairs(inputs), errors, as_json, arguments, call)

    def _texts(self, function: Any, struct: str, inputs: Sequence[Text], errors: str, as_json: bool,
               call: Optional[Call], arguments: Dict[str, Any]) -> List[Any]:
        return task(self._handle, function, struct, texts(inputs), errors, as_json, arguments, call)

    def classify(self, inputs: Sequence[Pair], *, errors: str = "raise", as_json: bool = False,
                 call: Optional[Call] = None, **arguments: Any) -> List[Any]:
        """[{"label", "score"}, ...], best first, of each text or (text, pair)."""
        return self._pairs(lib.rp_classify, "rp_classify_params", inputs, errors, as_json, call, arguments)

    def coherence(self, inputs: Sequence[Pair], *, errors: str = "raise", as_json: bool = False,
                  call: Optional[Call] = None, **arguments: Any) -> List[Any]:
        """{"label": "in_order" or "swapped", "score"} of each (text, pair)."""
        return self._pairs(lib.rp_coherence, "rp_coherence_params", inputs, errors, as_json, call, arguments)

    def zero_shot(self, inputs: Sequence[Text], labels: Sequence[str], *, errors: str = "raise", as_json: bool = False,
                  call: Optional[Call] = None, **arguments: Any) -> List[Any]:
        """[{"label", "score"}, ...], best first, of each text: which of `labels` fits it."""
        arguments = {**arguments, "labels": list(labels)}
        return self._texts(lib.rp_zero_shot, "rp_zero_shot_params", inputs, errors, as_json, call, arguments)

    def fill_mask(self, inputs: Sequence[Text], *, errors: str = "raise", as_json: bool = False,
                  call: Optional[Call] = None, **arguments: Any) -> List[Any]:
        """[{"score", "token", "token_str", "sequence"}, ...] of each text; lists of them for several masks."""
        return self._texts(lib.rp_fill_mask, "rp_fill_params", inputs, errors, as_json, call, arguments)

    def tag(self, inputs: Sequence[Text], *, errors: str = "raise", as_json: bool = False,
            call: Optional[Call] = None, **arguments: Any) -> List[Any]:
        """[{"entity_group", "score", "word", "start", "end"}, ...] of each text."""
        return self._texts(lib.rp_tag, "rp_tag_params", inputs, errors, as_json, call, arguments)

    def score(self, inputs: Sequence[Text], *, errors: str = "raise", as_json: bool = False,
              call: Optional[Call] = None, **arguments: Any) -> List[Any]:
        """{"score", "tokens"} of each text: how likely a masked language model finds it."""
        return self._texts(lib.rp_score, "rp_score_params", inputs, errors, as_json, call, arguments)

    def summarize(self, inputs: Sequence[Text], *, errors: str = "raise", as_json: bool = False,
                  call: Optional[Call] = None, **arguments: Any) -> List[Any]:
        """[{"text", "start", "end", "score"}, ...] of each document: the sentences that stand for it."""
        return self._texts(lib.rp_summarize, "rp_summarize_params", inputs, errors, as_json, call, arguments)

    def answer(self, inputs: Sequence[Tuple[Text, Text]], *, errors: str = "raise", as_json: bool = False,
               call: Optional[Call] = None, **arguments: Any) -> List[Any]:
        """{"score", "start", "end", "answer"} of each (question, context); a list of them with top_k."""
        return self._pairs(lib.rp_answer_questions, "rp_answer_params", inputs, errors, as_json, call, arguments)

    def _lists(self, function: Any, struct: str, kind: Any, inputs: Sequence[Tuple[Text, Sequence[Text]]], errors: str,
               as_json: bool, call: Optional[Call], arguments: Dict[str, Any]) -> List[Any]:
        """A task of inputs that are a text and a list of texts."""
        made = []
        for index, (text, items) in enumerate(inputs):
            data, listed = utf8(text, index), texts(items)
            made.append(((data, len(data)), ctypes.cast(listed, ctypes.POINTER(api.rp_text)), len(listed)))
        return task(self._handle, function, struct, (kind * len(made))(*made), errors, as_json, arguments, call)

    def choose(self, inputs: Sequence[Tuple[Text, Sequence[Text]]], *, errors: str = "raise", as_json: bool = False,
               call: Optional[Call] = None, **arguments: Any) -> List[Any]:
        """The probability of each choice, of each (text, choices)."""
        return self._lists(lib.rp_choose, "rp_choose_params", api.rp_choice, inputs, errors, as_json, call, arguments)

    def rank(self, inputs: Sequence[Tuple[Text, Sequence[Text]]], *, errors: str = "raise", as_json: bool = False,
             call: Optional[Call] = None, **arguments: Any) -> List[Any]:
        """[{"index", "score"}, ...], best first, of each (query, documents): how well they answer it."""
        return self._lists(lib.rp_rank, "rp_rank_params", api.rp_ranking, inputs, errors, as_json, call, arguments)

    def embed(self, inputs: Sequence[Text], *, as_json: bool = False, call: Optional[Call] = None,
              **arguments: Any) -> List[Any]:
        """The vectors of each text, [rows, columns] of float32: one row unless pooling="none". Arrays of NumPy
        on the library's memory, or memoryviews where there is no NumPy. The first input that failed is raised."""
        if as_json:
            return self._texts(lib.rp_embed, "rp_embed_params", inputs, "return", True, call, arguments)
        made = result(self._handle, lib.rp_embed, "rp_embed_params", texts(inputs), arguments, call)
        return [made.vectors(index) for index in range(len(inputs))]

    def evaluate(self, file: Union[str, "os.PathLike[str]"], *, call: Optional[Call] = None,
                 **arguments: Any) -> Dict[str, Any]:
        """The metrics of a file of labelled data and, with `calibrate`, the thresholds, as `reprise eval --json`
        prints them. Arguments are the fields of rp_eval_params."""
        keep: List[Any] = []
        p = params("rp_eval_params", keep, {**arguments, "call": call.struct if call else None})
        made, error = ctypes.POINTER(api.rp_evaluation)(), api.rp_error()
        with self._handle as pointer:
            status = lib.rp_eval(pointer, os.fsencode(file), byref(p), byref(made), byref(error))
        if call is not None:
            call.raise_trouble()
        check(status, error)
        try:
            skipped, count = ctypes.c_uint64(), ctypes.c_size_t()
            rows = lib.rp_evaluation_rows(made, byref(skipped))
            tasks = {number: word for word, number in words("rp_eval_task").items()}
            answer = {"task": tasks[lib.rp_evaluation_task(made)], "rows": rows, "skipped": skipped.value}
            metrics = lib.rp_evaluation_metrics(made, byref(count))
            for metric in metrics[: count.value]:
                answer[metric.name.decode()] = _finite(metric.value)
            entities = lib.rp_evaluation_entities(made, byref(count))
            if answer["task"] == "tag":
                answer["entities"] = [_plain(e) for e in entities[: count.value]]
            thresholds = lib.rp_evaluation_thresholds(made, byref(count))
            if count.value:
                answer["thresholds"] = [_plain(t) for t in thresholds[: count.value]]
            intent = lib.rp_evaluation_intent(made)
            if intent:
                answer["intent"] = {name: value for name, value in _plain(intent.contents).items() if name != "label"}
            intent = lib.rp_evaluation_intent(made)
            if intent:
                answer["intent"] = {key: value for key, value in _plain(intent[0]).items() if key != "label"}
            return answer
        finally:
            lib.rp_evaluation_free(byref(made))

    def close(self) -> None:
        """Wait for calls of other threads on it, and close it and what works with it."""
        for each in list(self._dependents):
            each.close()
        self._handle.close()

    def __enter__(self) -> "Model":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def __del__(self) -> None:
        if "_handle" in self.__dict__:
            self.close()

    def __reduce__(self) -> Tuple[Any, ...]:
        return _reopen, self._arguments


def _reopen(model: str, device: Any, arguments: Dict[str, Any]) -> Model:
    return Model(model, device=device, **arguments)


_open_models: Dict[Any, Model] = {}


def shared_model(model: Union[str, "os.PathLike[str]"] = "sentiment", **arguments: Any) -> Model:
    """The Model of these arguments that this process has open, opened by its first call, and kept: for functions that
    Spark or a pool of processes calls again and again in one worker."""
    key = (os.getpid(), os.fspath(model), *sorted(arguments.items()))
    with _shared_lock:
        known = _open_models.get(key)
    if known is None or known._handle.closed:
        opened = Model(model, **arguments)
        with _shared_lock:
            known = _open_models[key] = _open_models.get(key, opened) if known is None else opened
    return known


def find_model(name: str) -> str:
    """The folder that a model's name means; uses no network."""
    text, error = ctypes.c_char_p(), api.rp_error()
    check(lib.rp_find_model(utf8(name, "name"), byref(text), byref(error)), error)
    try:
        return os.fsdecode(cast(bytes, text.value))
    finally:
        lib.rp_string_free(byref(text))


def pull(name: str, **arguments: Any) -> str:
    """Fetch a model from a hub and return its folder. Arguments are the fields of rp_pull_params."""
    keep: List[Any] = []
    p = params("rp_pull_params", keep, arguments)
    text, error = ctypes.c_char_p(), api.rp_error()
    check(lib.rp_pull(utf8(name, "name"), byref(p), byref(text), byref(error)), error)
    try:
        return os.fsdecode(cast(bytes, text.value))
    finally:
        lib.rp_string_free(byref(text))


def convert(model: Union[str, "os.PathLike[str]"], out: Union[str, "os.PathLike[str]"], **arguments: Any) -> None:
    """Write a model's folder anew, as Hugging Face's libraries read it. Arguments are the fields of
    rp_convert_params."""
    keep: List[Any] = []
    p = params("rp_convert_params", keep, arguments)
    error = api.rp_error()
    check(lib.rp_convert(os.fsencode(model), os.fsencode(out), byref(p), byref(error)), error)
