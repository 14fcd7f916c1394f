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
        function.restype, function.argtypes = result, arguments
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
        self._users: List[int] = []  # the threads that are inside
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._pid = os.getpid()

    def __enter__(self) -> Any:
        with self._lock:
            if self._pointer is None:
                raise ValueError(f"this {self._what} is closed")
            self._users.append(threading.get_ident())
            return self._pointer

    def __exit__(self, *_: Any) -> None:
        with self._lock:
            self._users.remove(threading.get_ident())
            if self._pointer is None and not self._users:
                self._idle.notify_all()

    @property
    def closed(self) -> bool:
        return self._pointer is None

    def close(self) -> None:
        with self._lock:
            if threading.get_ident() in self._users and os.getpid() == self._pid:
                raise RuntimeError(f"this {self._what} is in use: its own callback closes it; close it after the call")
            pointer, self._pointer = self._pointer, None
            while self._users and os.getpid() == self._pid:
                self._idle.wait()
        if pointer is not None:
            self._close(byref(pointer))


class Result:
    """An rp_result, freed with the last that refers to it."""

    def __init__(self) -> None:
        self.pointer = ctypes.POINTER(api.rp_result)()

    def __del__(self) -> None:
        if self.pointer:
            lib.rp_result_free(byref(self.pointer))

    def check(self, index: int) -> None:
        message = ctypes.c_char_p()
        status = lib.rp_result_status(self.pointer, index, byref(message))
        if status:
            raise fail(status, (message.value or b"").decode("utf-8", "replace"))

    def json(self, index: int) -> str:
        """Entry `index` as the library writes it, in the shapes of tasks.h."""
        text, size, error = ctypes.c_char_p(), ctypes.c_size_t(), api.rp_error()
        check(lib.rp_result_json(self.pointer, index, None, byref(text), byref(size), byref(error)), error)
        try:
            return ctypes.string_at(text, size.value).decode("utf-8")
        finally:
            lib.rp_string_free(byref(text))

    def values(self) -> List[Any]:
        """The entries as Python values; an entry that failed is an Error."""
        made: List[Any] = []
        for index in range(lib.rp_result_count(self.pointer)):
            if lib.rp_result_status(self.pointer, index, None):
                try:
                    self.check(index)
                except Error as error:
                    made.append(error)
            else:
                made.append(json.loads(self.json(index)))
        return made

    def vectors(self, index: int) -> Any:
        """The vectors of entry `index`, [rows, columns], in the library's memory: a NumPy array, or a
        memoryview where there is no NumPy."""
        rows, columns = ctypes.c_size_t(), ctypes.c_size_t()
        self.check(index)
        data = lib.rp_result_vectors(self.pointer, index, byref(rows), byref(columns))
        array: Any = (ctypes.c_float * (rows.value * columns.value)).from_address(
            ctypes.addressof(data.contents) if data else 0)
        array.owner = self  # the memory lives as long as what refers to it
        shape = [rows.value, columns.value]
        view = memoryview(array).toreadonly()
        try:
            import numpy
        except ImportError:
            return view.cast("B").cast("f", shape)
        return numpy.frombuffer(view, dtype=numpy.float32).reshape(shape)


def texts(items: Sequence[Text]) -> Tuple[Any, List[bytes]]:
    """[len(items)] api.rp_text, and the bytes that they point to."""
    kept = [utf8(item, index) for index, item in enumerate(items)]
    array = (api.rp_text * len(kept))()
    for place, data in zip(array, kept):
        place.data, place.size = data, len(data)
    return array, kept


def pairs(struct: Any, first: str, second: str,
          items: Sequence[Tuple[Text, Optional[Text]]]) -> Tuple[Any, List[Any]]:
    """[len(items)] of a struct of two rp_text, such as rp_input; a second one of None is absent."""
    array, kept = (struct * len(items))(), []
    for index, (place, (a, b)) in enumerate(zip(array, items)):
        data = utf8(a, index)
        field = getattr(place, first)
        field.data, field.size = data, len(data)
        kept.append(data)
        if b is not None:
            data = utf8(b, index)
            field = getattr(place, second)
            field.data, field.size = data, len(data)
            kept.append(data)
    return array, kept
