"""Applications: an index and its search, documents that answer questions, a dialogue, moderation, lists of hypotheses."""
from __future__ import annotations

import ctypes
import os
from ctypes import byref
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple, Union

from ._native import Call, Handle, Text, api, check, lib, params, string, task, texts, utf8
from .models import Device, Model, _device, _plain

Path = Union[str, "os.PathLike[str]"]


class _Opened:
    """A handle that needs models or a device: these close it before they close themselves. A pickle opens it again."""

    _handle: Handle
    _arguments: Tuple[Any, ...]

    def _keep(self, pointer: Any, close: Any, what: str, needs: Sequence[Any], arguments: Tuple[Any, ...]) -> None:
        self._handle, self._needs, self._arguments = Handle(pointer, close, what), needs, arguments
        for each in needs:
            if each is not None:
                each._dependents.add(self)

    def close(self) -> None:
        """Wait for calls of other threads on it, and close it."""
        self._handle.close()

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def __del__(self) -> None:
        if "_handle" in self.__dict__:
            self.close()

    def __reduce__(self) -> Tuple[Any, ...]:
        return _again, (type(self), *self._arguments)


def _again(kind: Any, positional: Tuple[Any, ...], named: Dict[str, Any]) -> Any:
    return kind(*positional, **named)


def _pointer(model: Optional[Model]) -> Any:
    if model is None:
        return None
    with model._handle as pointer:
        return pointer


def write_index(path: Path, documents: Sequence[Text], ids: Optional[Sequence[Text]] = None, *,
                model: Union[Model, str, "os.PathLike[str]"] = "pretrained", call: Optional[Call] = None,
                **arguments: Any) -> None:
    """Write the index file `path` of texts, with their vectors by `model`, as `reprise index`. Arguments are the
    fields of rp_index_params: pooling, prompt, dimensions, ..."""
    opened = model if isinstance(model, Model) else Model(model)
    keep: List[Any] = []
    p = params("rp_index_params", keep, {**arguments, "call": call.struct if call else None})
    writer, error = ctypes.POINTER(api.rp_index_writer)(), api.rp_error()
    with opened._handle as pointer:
        check(lib.rp_index_create(pointer, os.fsencode(path), byref(p), byref(writer), byref(error)), error)
        try:
            for begin in range(0, len(documents), 256):
                batch = [utf8(text, begin + i) for i, text in enumerate(documents[begin: begin + 256])]
                named = [utf8(text, begin + i) for i, text in enumerate(ids[begin: begin + 256])] if ids else None
                array = (api.rp_document * len(batch))()
                for i, place in enumerate(array):
                    place.text = (batch[i], len(batch[i]))
                    if named:
                        place.id = (named[i], len(named[i]))
                status = lib.rp_index_add(writer, array, len(batch), None, byref(error))
                if call is not None:
                    call.raise_trouble()
                check(status, error)
            check(lib.rp_index_finish(byref(writer), byref(error)), error)
        finally:
            lib.rp_index_abandon(byref(writer))


class Index(_Opened):
    """An index file that is searched on a device, as `reprise search`. `device=False`: the processor searches."""

    def __init__(self, path: Path, *, device: Union[Device, str, int, bool, None] = None):
        opened = None if device is False else device if isinstance(device, Device) else _device(device)
        index, error = ctypes.POINTER(api.rp_index)(), api.rp_error()
        if opened is None:
            check(lib.rp_index_open(None, os.fsencode(path), None, byref(index), byref(error)), error)
        else:
            with opened._handle as pointer:
                check(lib.rp_index_open(pointer, os.fsencode(path), None, byref(index), byref(error)), error)
        self._keep(index, lib.rp_index_close, "index", [opened], ((os.fspath(path),), {"device": device}))

    @property
    def info(self) -> Dict[str, Any]:
        with self._handle as pointer:
            return _plain(lib.rp_index_get_info(pointer).contents)

    def search(self, queries: Sequence[Text], model: Model, *, errors: str = "raise", as_json: bool = False,
               call: Optional[Call] = None, **arguments: Any) -> List[Any]:
        """[{"score", "id", "text"}, ...], best first, of each query, by the model that made the index. Arguments are
        the fields of rp_search_params; a threshold is `threshold`."""
        if arguments.get("threshold") is not None:
            arguments["has_threshold"] = True

        def function(index: Any, *rest: Any) -> Any:
            with model._handle as pointer:
                return lib.rp_search(index, pointer, *rest)

        return task(self._handle, function, "rp_search_params", texts(queries), errors, as_json, arguments, call)


class Documents(_Opened):
    """Texts of a folder or a file that answer questions, as `reprise answer --documents`. `index` is a file that keeps
    what was counted; `embedder` a Model that finds passages by vectors, not by words."""

    def __init__(self, path: Optional[Path] = None, *, index: Optional[Path] = None, embedder: Optional[Model] = None,
                 call: Optional[Call] = None, **arguments: Any):
        keep: List[Any] = []
        p = params("rp_documents_params", keep, {**arguments, "index": os.fsencode(index) if index else None,
                                                 "embedder": _pointer(embedder), "call": call.struct if call else None})
        made, error = ctypes.POINTER(api.rp_documents)(), api.rp_error()
        status = lib.rp_documents_open(os.fsencode(path) if path is not None else None, byref(p), byref(made),
                                       byref(error))
        if call is not None:
            call.raise_trouble()
        check(status, error)
        self._keep(made, lib.rp_documents_close, "collection", [embedder],
                   ((path,), {"index": index, "embedder": embedder, **arguments}))

    @property
    def info(self) -> Dict[str, Any]:
        with self._handle as pointer:
            return _plain(lib.rp_documents_get_info(pointer).contents)

    def find(self, question: Text, most: int = 5) -> List[Dict[str, Any]]:
        """The passages that fit a question best: {"document", "number", "text", "start" (bytes), "score"}."""
        data, error = utf8(question, "question"), api.rp_error()
        found, count = (api.rp_passage * most)(), ctypes.c_size_t()
        with self._handle as pointer:
            check(lib.rp_documents_find(pointer, api.rp_text(data, len(data)), found, most, byref(count), byref(error)),
                  error)
            return [{"document": p.document.decode("utf-8", "replace"), "number": p.number,
                     "text": string(p.text),
                     "start": p.start, "score": p.score} for p in found[: count.value]]

    def answer(self, questions: Sequence[Text], model: Model, *, errors: str = "raise", as_json: bool = False,
               call: Optional[Call] = None, **arguments: Any) -> List[Any]:
        """{"score", "start", "end", "answer", "document"} of each question; a list of them with top_k. `model` has a
        question answering head; arguments are the fields of rp_document_params."""

        def function(reader: Any, *rest: Any) -> Any:
            with self._handle as pointer:
                return lib.rp_answer_documents(reader, pointer, *rest)

        return task(model._handle, function, "rp_document_params", texts(questions), errors, as_json, arguments, call)


class Chat(_Opened):
    """A dialogue of one line at a time, as `reprise chat`: `model` knows intents (None: the bundled one), `faq` and
    `examples` are files, `embedder`, `reader` and `tagger` are Models. One thread at a time."""

    def __init__(self, model: Optional[Model] = None, *, embedder: Optional[Model] = None,
                 reader: Optional[Model] = None, tagger: Optional[Model] = None, threshold: Optional[float] = None,
                 faq_threshold: Optional[float] = None, call: Optional[Call] = None, **arguments: Any):
        model = model or Model("intents")
        given = {**arguments, "model": model, "embedder": embedder, "reader": reader, "tagger": tagger}
        fields = {name: _pointer(value) if isinstance(value, Model) else value for name, value in given.items()}
        for name, value in (("threshold", threshold), ("faq_threshold", faq_threshold)):
            if value is not None:
                fields.update({name: value, f"has_{name}": True})
        keep: List[Any] = []
        p = params("rp_chat_params", keep, {**fields, "call": call.struct if call else None})
        made, error = ctypes.POINTER(api.rp_chat)(), api.rp_error()
        status = lib.rp_chat_open(byref(p), byref(made), byref(error))
        if call is not None:
            call.raise_trouble()
        check(status, error)
        self._keep(made, lib.rp_chat_close, "dialogue", [model, embedder, reader, tagger],
                   ((), {**given, "threshold": threshold, "faq_threshold": faq_threshold}))

    def say(self, lines: Sequence[Text], *, errors: str = "raise", as_json: bool = False,
            call: Optional[Call] = None) -> List[Any]:
        """{"intent", "score", "answer", "source"} of each line, which follow one another."""

        def function(chat: Any, inputs: Any, count: int, p: Any, *rest: Any) -> Any:
            return lib.rp_chat_say(chat, inputs, count, byref(call.struct) if call else None, *rest)

        return task(self._handle, function, "", texts(lines), errors, as_json, {}, None)

    @property
    def intent(self) -> Optional[str]:
        """The last one that was not refused."""
        with self._handle as pointer:
            name = lib.rp_chat_intent(pointer)
        return name.decode("utf-8", "replace") if name else None

    def forget(self) -> None:
        """The intent and the slots."""
        with self._handle as pointer:
            lib.rp_chat_forget(pointer)


class Moderation(_Opened):
    """A classifier with thresholds and a policy (files), as `reprise moderate`; without a model the bundled one."""

    def __init__(self, model: Optional[Model] = None, **arguments: Any):
        model = model or Model("spam")
        keep: List[Any] = []
        p = params("rp_moderation_params", keep, arguments)
        made, error = ctypes.POINTER(api.rp_moderation)(), api.rp_error()
        with model._handle as pointer:
            check(lib.rp_moderation_open(pointer, byref(p), byref(made), byref(error)), error)
        self._keep(made, lib.rp_moderation_close, "moderation", [model], ((model,), arguments))

    def moderate(self, inputs: Sequence[Text], *, errors: str = "raise", as_json: bool = False,
                 call: Optional[Call] = None, **arguments: Any) -> List[Any]:
        """{"flagged", "action", "labels"} of each text. Arguments are the fields of rp_moderate_params."""
        return task(self._handle, lib.rp_moderate, "rp_moderate_params", texts(inputs), errors, as_json, arguments,
                    call)


def _float32(value: float) -> float:
    """The shortest decimal number that is the same float32, as JSON has scores."""
    near = ctypes.c_float(value).value
    return next(short for short in (float(f"{near:.{digits}g}") for digits in range(1, 10))
                if ctypes.c_float(short).value == near)


def nbest(model: Model, path: Path, weight: float = 0.0) -> Iterator[Dict[str, Any]]:
    """The lists of hypotheses of a file, ranked by total + weight * score, as `reprise score --nbest FILE --json`."""
    held, error = ctypes.POINTER(api.rp_nbest)(), api.rp_error()
    check(lib.rp_nbest_open(os.fsencode(path), byref(held), byref(error)), error)
    try:
        while True:
            number, items, count = ctypes.c_uint64(), ctypes.POINTER(api.rp_hypothesis)(), ctypes.c_size_t()
            check(lib.rp_nbest_next(held, byref(number), byref(items), byref(count), byref(error)), error)
            if not count.value:
                return
            with model._handle as pointer:
                check(lib.rp_nbest_score(pointer, items, count, None, byref(error)), error)
            lib.rp_nbest_rank(items, count, weight)
            yield {"id": number.value, "hypotheses": [
                {"text": string(h.text), "score": _float32(h.score), "tokens": h.tokens, "total": h.total,
                 "weighted": h.total + weight * h.score}
                for h in items[: count.value]]}
    finally:
        lib.rp_nbest_close(byref(held))


def tune_nbest(model: Model, path: Path, references: Path) -> Dict[str, Any]:
    """The weight for nbest() that is best by the references, and what it reaches: `reprise score --tune`."""
    made, error = api.rp_nbest_tuning(), api.rp_error()
    with model._handle as pointer:
        check(lib.rp_nbest_tune(pointer, os.fsencode(path), os.fsencode(references), None, byref(made), byref(error)),
              error)
    return {name: value for name, value in _plain(made).items() if name != "cut"}


__all__ = ["Chat", "Documents", "Index", "Moderation", "nbest", "tune_nbest", "write_index"]
