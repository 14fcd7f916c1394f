"""The C library: finding it, and passing values to and from it. Nothing here computes an answer."""
from __future__ import annotations

import ctypes
import json
import os
import pathlib
import threading
from ctypes import byref
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple, Union

from . import _api

api: Any = _api  # written by declare.py
Text = Union[str, bytes]


def _open() -> Any:
    """libreprise: what REPRISE_LIBRARY names, or beside this package, else where the system finds it."""
    here = pathlib.Path(__file__).resolve().parent
    named = os.environ.get("REPRISE_LIBRARY")
    names = [named] if named else [*sorted(map(str, (here / "lib").glob("libreprise.so*"))), "libreprise.so.0.2",
                                   "libreprise.so"]
    trouble: List[str] = []
    for name in names:
        try:
            library = ctypes.CDLL(name)
            break
        except OSError as error:
            trouble.append(str(error))
    else:
        raise ImportError("libreprise was not found; install Reprise, or name the library in REPRISE_LIBRARY: "
                          + "; ".join(trouble))
    for name, (result, arguments) in api.FUNCTIONS.items():
        function = getattr(library, name, None)
        if function is None:
            raise ImportError(f"{library._name} has no {name}: it is older than this package")
        # Any pointer: ctypes looks at each type for as long as a call of a small model takes.
        pointers = [ctypes.c_void_p if isinstance(kind, type(ctypes.POINTER(api.rp_error))) else kind
                    for kind in arguments]
        function.restype, function.argtypes = result, pointers
    return library


lib = _open()
STATUS = {value: name[3:].lower() for name, value in api.ENUMS["rp_status"].items()}


class Error(RuntimeError):
    """What the library says of a call that failed. `status` is "error_file", "error_text" and so on."""

    def __init__(self, status: str, message: str):
        super().__init__(message)
        self.status = status

    def __reduce__(self) -> Tuple[Any, ...]:
        return Error, (self.status, str(self))


class CancelledError(Error):
    """Call.cancel ended it, or its deadline."""


def fail(status: int, message: str) -> Error:
    name = STATUS.get(status, "error")
    kind = CancelledError if name in ("error_cancelled", "error_deadline", "error_stopped") else Error
    return kind(name, message)


def check(status: int, error: Any) -> None:
    """Raise what `error`, an api.rp_error, says of a status that is not RP_OK."""
    if status:
        raise fail(status, error.message.decode("utf-8", "replace"))


def utf8(text: Text, what: Union[int, str] = "text") -> bytes:
    """A text as the library takes it. Half a pair of surrogates is no text: a ValueError names the input."""
    if isinstance(text, bytes):
        return text
    try:
        return text.encode("utf-8")
    except AttributeError:
        raise TypeError(f"input {what} is no str but {type(text).__name__}") from None
    except UnicodeEncodeError as error:
        raise ValueError(f"input {what}: character {error.start} is half of a pair of surrogates, which is no "
                         "text") from None


def words(enum: str) -> Dict[str, int]:
    """The values of an enum by short names: RP_EVAL_CLASSIFY is "classify"."""
    names = list(api.ENUMS[enum])
    common = os.path.commonprefix(names)
    common = common[: common.rfind("_") + 1]
    return {name[len(common):].lower(): value for name, value in api.ENUMS[enum].items()}


def params(name: str, keep: List[Any], values: Mapping[str, Any]) -> Any:
    """An api struct `name` with fields set by name: str for texts and for words of enums, lists of str for
    lists. What the struct points to is added to `keep`. A TypeError names a field that there is not."""
    struct = getattr(api, name)
    made = struct()
    types = dict(struct._fields_)
    enums = api.FIELD_ENUMS.get(name, {})
    for key, value in values.items():
        if value is None:
            continue
        if key not in types or key == "reserved":
            raise TypeError(f"there is no argument '{key}'")
        if key in enums and isinstance(value, str):
            known = words(enums[key])
            word = value.replace("-", "_")
            if word not in known:
                raise ValueError(f"{key} is one of {', '.join(known)}, not '{value}'")
            value = known[word]
        elif isinstance(value, (str, os.PathLike)):
            value = os.fsencode(value) if isinstance(value, os.PathLike) else utf8(value, key)
        elif isinstance(value, (list, tuple)):
            count = f"{key[:-1] if key.endswith('s') else key}_count"
            if f"{key}_count" in types or count in types:
                setattr(made, f"{key}_count" if f"{key}_count" in types else count, len(value))
            value = (ctypes.c_char_p * len(value))(*(utf8(os.fspath(item), key) for item in value))
            keep.append(value)
        elif isinstance(value, ctypes.Structure):
            keep.append(value)
            value = ctypes.pointer(value)
        setattr(made, key, value)
    return made


class Call:
    """When a call is to end, and who hears how it goes; for one call or several.

    `timeout`: seconds from now; `progress(done, total)`: after each batch; `log(level, message)`: level is
    "note" or "warning". Any thread may `cancel()`: the call then raises CancelledError."""

    def __init__(self, timeout: Optional[float] = None, progress: Optional[Callable[[int, int], Any]] = None,
                 log: Optional[Callable[[str, str], Any]] = None):
        self.struct = api.rp_call()
        self.trouble: Optional[BaseException] = None
        types = dict(api.rp_call._fields_)
        if timeout is not None:
            self.struct.deadline = lib.rp_clock() + timeout
        if progress is not None:
            told = progress

            def take(user: Any, done: int, total: int) -> None:
                self._guard(told, done, total)

            self._progress = types["progress"](take)
            self.struct.progress = self._progress
        if log is not None:
            heard = log

            def hear(user: Any, level: int, message: bytes) -> None:
                self._guard(heard, "warning" if level else "note", message.decode("utf-8", "replace"))

            self._log = types["log"](hear)
            self.struct.log = self._log

    def _guard(self, function: Callable[..., Any], *arguments: Any) -> None:
        """What a callback raises ends the call, and is raised where that was made."""
        try:
            function(*arguments)
        except BaseException as error:
            self.trouble = self.trouble or error
            self.cancel()

    def cancel(self) -> None:
        lib.rp_call_cancel(byref(self.struct))

    def raise_trouble(self) -> None:
        trouble, self.trouble = self.trouble, None
        if trouble is not None:
            raise trouble


class Handle:
    """A handle of the library that several threads use and one closes: a call holds it, closing waits for
    calls in the library, and a call after that is a ValueError, as of a file. A callback of such a call would
    wait for itself: there, closing is a RuntimeError."""

    def __init__(self, pointer: Any, close: Any, what: str):
        self._pointer, self._close, self._what = pointer, close, what
        # The threads that are inside. A call notes itself here before it looks at the pointer, and close() takes
        # the pointer away before it looks here: so one of the two sees the other, and a call needs no lock.
        self._users: List[int] = []
        self._idle = threading.Condition()
        self._pid = os.getpid()

    def __enter__(self) -> Any:
        self._users.append(threading.get_ident())
        pointer = self._pointer
        if pointer is None:
            self.__exit__()
            raise ValueError(f"this {self._what} is closed")
        return pointer

    def __exit__(self, *_: Any) -> None:
        self._users.remove(threading.get_ident())
        if self._pointer is None:
            with self._idle:
                self._idle.notify_all()

    @property
    def closed(self) -> bool:
        return self._pointer is None

    def close(self) -> None:
        with self._idle:
            if threading.get_ident() in self._users and os.getpid() == self._pid:
                raise RuntimeError(f"this {self._what} is in use: its own callback closes it; close it after the call")
            pointer, self._pointer = self._pointer, None
            while self._users and os.getpid() == self._pid:
                self._idle.wait()
        if pointer is not None:
            self._close(byref(pointer))


class _Room:
    """Where the library writes what a call gives, kept for the next call: making these takes longer than the
    call. `result`, `error` and `text` are the places of an rp_result *, an rp_error and a char *."""
    __slots__ = ("result", "error", "text", "_kept")

    def __init__(self) -> None:
        self._kept = ctypes.c_void_p(), api.rp_error(), ctypes.c_char_p()
        self.result, self.error, self.text = map(byref, self._kept)

    @property
    def pointer(self) -> Optional[int]:
        return self._kept[0].value

    def raise_error(self, status: int) -> None:
        check(status, self._kept[1])

    def take_text(self) -> str:
        """The text that the library has written, which is freed."""
        made = self._kept[2].value
        lib.rp_string_free(self.text)
        return made.decode("utf-8") if made else ""


_rooms: List[_Room] = []  # that no thread uses; append and pop are whole
_parse: Any = getattr(json.JSONDecoder(), "scan_once")  # what json.loads does, without its checks


def matrix(view: Any, shape: List[int]) -> Any:
    """Floats in memory as a NumPy array, or as a memoryview where there is no NumPy."""
    try:
        import numpy
    except ImportError:
        return view.cast("B").cast("f", shape)
    return numpy.frombuffer(view, dtype=numpy.float32).reshape(shape)


class Result:
    """An rp_result, freed with the last that refers to it."""

    def __init__(self, pointer: Optional[int]) -> None:
        self.pointer = pointer

    def __del__(self) -> None:
        if self.pointer:
            lib.rp_result_free(byref(ctypes.c_void_p(self.pointer)))

    def error(self, index: int) -> Optional[Error]:
        """Why entry `index` has no answer."""
        message = ctypes.c_char_p()
        status = lib.rp_result_status(self.pointer, index, byref(message))
        return fail(status, (message.value or b"").decode("utf-8", "replace")) if status else None

    def vectors(self, index: int) -> Any:
        """The vectors of entry `index`, [rows, columns], in the library's memory: a NumPy array, or a
        memoryview where there is no NumPy."""
        rows, columns, error = ctypes.c_size_t(), ctypes.c_size_t(), self.error(index)
        if error:
            raise error
        data = lib.rp_result_vectors(self.pointer, index, byref(rows), byref(columns))
        array: Any = (ctypes.c_float * (rows.value * columns.value)).from_address(
            ctypes.addressof(data.contents) if data else 0)
        array.owner = self  # the memory lives as long as what refers to it
        shape = [rows.value, columns.value]
        return matrix(memoryview(array).toreadonly(), shape)


class _OneText(ctypes.Structure):
    """An rp_text."""
    _fields_ = [("data", ctypes.c_char_p), ("size", ctypes.c_size_t)]


class _TwoTexts(ctypes.Structure):
    """Two rp_text, as rp_input and rp_question have them."""
    _fields_ = [*_OneText._fields_, ("second", ctypes.c_char_p), ("second_size", ctypes.c_size_t)]


def string(text: Any) -> str:
    """An api.rp_text of the library as a str."""
    return ctypes.string_at(ctypes.c_void_p.from_buffer(text).value or 0, text.size).decode("utf-8", "replace")


def texts(items: Sequence[Text]) -> Any:
    """[len(items)] rp_text, which keep the bytes that they point to."""
    kept = [utf8(item, index) for index, item in enumerate(items)]
    made: List[Any] = [(data, len(data)) for data in kept]
    return (_OneText * len(made))(*made)


def pairs(items: Sequence[Union[Text, Tuple[Text, Optional[Text]]]]) -> Any:
    """[len(items)] of two rp_text; a second one that is not there, or None, is absent."""
    made: List[Any] = []
    for index, item in enumerate(items):
        if isinstance(item, tuple):
            first, second = utf8(item[0], index), None if item[1] is None else utf8(item[1], index)
            made.append((first, len(first), second, len(second or b"")))
        else:
            first = utf8(item, index)
            made.append((first, len(first)))
    return (_TwoTexts * len(made))(*made)


def _begin(room: _Room, handle: Handle, function: Any, struct: str, inputs: Any, arguments: Mapping[str, Any],
           call: Optional[Call]) -> None:
    """Call a task on `handle`; `arguments` are the fields of its `struct`. The result is in `room`."""
    keep: List[Any] = []
    p = None
    if call is not None:
        arguments = {**arguments, "call": call.struct}
    if arguments:
        p = byref(params(struct, keep, arguments))
    with handle as pointer:
        status = function(pointer, inputs, len(inputs), p, room.result, room.error)
    if call is not None and call.trouble is not None:
        lib.rp_result_free(room.result)
        call.raise_trouble()
    if status:
        room.raise_error(status)


def task(handle: Handle, function: Any, struct: str, inputs: Any, errors: str, as_json: bool,
         arguments: Mapping[str, Any], call: Optional[Call]) -> List[Any]:
    """The answers of a task of the library, as the tasks of Model return them."""
    room = _rooms.pop() if _rooms else _Room()
    try:
        _begin(room, handle, function, struct, inputs, arguments, call)
        try:
            made: List[Any] = []
            for index in range(len(inputs)):
                status = lib.rp_result_json(room.pointer, index, None, room.text, None, room.error)
                if status:
                    room.raise_error(status)
                text = room.take_text()
                if as_json:
                    made.append(text)
                elif text.startswith('{"error"'):
                    made.append(_failed(room, index, errors))
                else:
                    made.append(_parse(text, 0)[0])
            return made
        finally:
            lib.rp_result_free(room.result)
    finally:
        _rooms.append(room)


def _failed(room: _Room, index: int, errors: str) -> Error:
    message = ctypes.c_char_p()
    error = fail(lib.rp_result_status(room.pointer, index, byref(message)),
                 (message.value or b"").decode("utf-8", "replace"))
    if errors != "return":
        raise error
    return error


def result(handle: Handle, function: Any, struct: str, inputs: Any, arguments: Mapping[str, Any],
           call: Optional[Call]) -> Result:
    """The same for what has no JSON, or is more than that."""
    room = _Room()
    _begin(room, handle, function, struct, inputs, arguments, call)
    return Result(room.pointer)
