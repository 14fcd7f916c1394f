"""Devices and models: the library's handles, and its tasks on lists of texts."""
from __future__ import annotations

import ctypes
import json
import math
import os
import threading
import types
import weakref
from ctypes import byref
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple, Union, cast

from ._native import Call, Handle, Text, api, check, lib, matrix, pairs, params, result, task, texts, utf8, words
from .tokens import Encoding, Tokenizer

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


def any_device(device: Any) -> Union[Device, str, int, None]:
    """A device as scripts name one for PyTorch ("cpu", "cuda:0", -1, 0, a torch.device) is the best one here."""
    if isinstance(device, str) and device.split(":")[0] in ("cpu", "cuda", "mps", "xpu") or hasattr(device, "type"):
        return None
    if device is None or isinstance(device, (Device, str, int)):
        return None if device in (-1, 0) else device
    raise TypeError(f"the argument 'device' is not served as {type(device).__name__}: give a name or a number")


class Config(types.SimpleNamespace):
    """A model's config.json."""

    def to_dict(self) -> Dict[str, Any]:
        return dict(vars(self))


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
            #: with numbers, true and false where config.json has them
            self.bare_labels: List[Any] = [json.loads(label) if info.label_bare[i] else label
                                           for i, label in enumerate(self.labels)]

    @property
    def config(self) -> "Config":
        """What config.json says, with id2label, label2id and num_labels as transformers' configurations have them."""
        with open(os.path.join(self.info["dir"], "config.json"), encoding="utf-8") as file:
            said = json.load(file)
        labels = dict(enumerate(self.labels))
        return Config(**{"problem_type": None, **said, "id2label": labels, "label2id": {v: k for k, v in labels.items()},
                         "num_labels": len(labels), "_name_or_path": self.name_or_path})

    @property
    def name_or_path(self) -> str:
        return str(self._arguments[0])

    def eval(self) -> "Model":
        """Does nothing: a model only answers."""
        return self

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

    def run(self, inputs: Sequence[Encoding], output: str = "hidden", *, call: Optional[Call] = None) -> List[Any]:
        """What the model gives for each Encoding before a task makes answers of it, [rows, columns] of float32: of
        "hidden", "tokens" and "spans" a row for each token, of "mean", "cls", "max", "pooled", "classes" (the logits),
        "choice" and "order" one row. Arrays of NumPy, or memoryviews where there is no NumPy."""
        sequences, error = (api.rp_sequence * len(inputs))(), api.rp_error()
        keep: List[Any] = []
        for sequence, made in zip(sequences, inputs):
            kept = [(ctypes.c_int32 * len(made.ids))(*ids) for ids in (made.ids, made.type_ids)]
            keep.append(kept)
            sequence.ids, sequence.type_ids, sequence.count = kept[0], kept[1], len(made.ids)
        p = params("rp_run_params", keep, {"output": output, "call": call.struct if call else None})
        with self._handle as pointer:
            size = int(lib.rp_model_output_size(pointer, sequences, len(inputs), byref(p)))
            room = (ctypes.c_float * (size if size < 1 << 40 else 0))()
            status = lib.rp_model_run(pointer, sequences, len(inputs), byref(p), room, size, None, byref(error))
        if call is not None:
            call.raise_trouble()
        check(status, error)
        rows = [len(made.ids) if output in ("hidden", "tokens", "spans") else 1 for made in inputs]
        columns, view = size // max(sum(rows), 1), memoryview(room).cast("B").cast("f")
        begins = [sum(rows[:index]) * columns for index in range(len(rows))]
        return [matrix(view[begin: begin + count * columns], [count, columns]) for begin, count in zip(begins, rows)]

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
