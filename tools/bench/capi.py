"""What peers.py uses of Reprise's C API. tests/test_peers.sh compares the structs with the headers and makes a run."""

import ctypes
import os
from ctypes import (POINTER, Structure, byref, c_bool, c_char, c_char_p, c_int, c_int32, c_size_t, c_uint32, c_uint64,
                    c_void_p)

PRECISIONS = {"f32": 1, "f16": 2, "int8": 3, "int4": 4}
DEVICE_CPU = 4


# Every field of each struct, under the names of the headers.


class rp_error(Structure):
    _fields_ = [("status", c_int), ("message", c_char * 508)]


class rp_device_params(Structure):
    _fields_ = [("index", c_uint32), ("name", c_char_p), ("cache_dir", c_char_p), ("shader_dir", c_char_p),
                ("on_tuning", c_void_p), ("try_program", c_char_p), ("call", c_void_p), ("trials", c_int),
                ("reserved", c_uint64 * 3)]


class rp_device_info(Structure):
    _fields_ = [("index", c_uint32), ("name", c_char * 256), ("driver", c_char * 256), ("api_version", c_uint32),
                ("vendor_id", c_uint32), ("device_id", c_uint32), ("type", c_int), ("memory_bytes", c_uint64),
                ("max_storage_bytes", c_uint64), ("shared_bytes", c_uint32), ("max_invocations", c_uint32),
                ("subgroup_size", c_uint32), ("subgroup_broadcast", c_bool), ("subgroup_arithmetic", c_bool),
                ("fp16_arithmetic", c_bool), ("fp16_storage", c_bool), ("int8_dot", c_bool),
                ("cooperative_matrix", c_bool), ("timestamps", c_bool), ("usable", c_bool), ("reason", c_char * 160),
                ("reserved", c_uint64 * 8)]


class rp_model_params(Structure):
    _fields_ = [("max_batch_tokens", c_uint32), ("random_seed", c_uint32), ("random_groups", c_uint32),
                ("precision", c_int), ("verify_every", c_uint32), ("verify_all", c_bool), ("on_mismatch", c_void_p),
                ("head", c_int), ("call", c_void_p), ("reserved", c_uint64 * 4)]


class rp_sequence(Structure):
    _fields_ = [("ids", c_void_p), ("type_ids", c_void_p), ("count", c_uint32)]


class rp_text(Structure):
    _fields_ = [("data", c_char_p), ("size", c_size_t)]


class rp_encoding(Structure):
    _fields_ = [("count", c_size_t), ("ids", POINTER(c_int32)), ("type_ids", c_void_p), ("offsets", c_void_p),
                ("sequence", c_void_p), ("words", c_void_p), ("truncated", c_bool), ("reserved", c_void_p * 2)]


STRUCTS = [rp_error, rp_device_params, rp_device_info, rp_model_params, rp_sequence, rp_text, rp_encoding]


class Handle:
    """Owns what the library opened. Raises RuntimeError with the library's message."""

    def __init__(self, library):
        self.library, self.handle, self.error = library, c_void_p(), rp_error()

    def call(self, function, *arguments):
        if getattr(self.library, function)(*arguments, byref(self.error)):
            raise RuntimeError(self.error.message.decode())


class Device(Handle):
    """The device whose name contains `name`, or the best one. OSError when BUILD has no library."""

    def __init__(self, build, name=None):
        super().__init__(ctypes.CDLL(os.path.join(build, "libreprise.so")))
        params = rp_device_params(name=name.encode() if name else None)
        self.call("rp_device_open", byref(params), byref(self.handle))
        self.library.rp_device_get_info.restype = POINTER(rp_device_info)
        info = self.library.rp_device_get_info(self.handle).contents
        self.name, self.driver, self.cpu = info.name.decode(), info.driver.decode(), info.type == DEVICE_CPU


class Tokenizer(Handle):
    """The tokenizer of a model folder. OSError when BUILD has no library."""

    def __init__(self, build, folder):
        super().__init__(ctypes.CDLL(os.path.join(build, "libreprise.so")))
        self.library.rp_tokenize.argtypes = [c_void_p, rp_text, rp_text, c_void_p, c_void_p, c_void_p]
        self.call("rp_tokenizer_open", folder.encode(), byref(self.handle))
        self.encoding, self.none = rp_encoding(), rp_text()

    def ids(self, text):
        """The ids of UTF-8 bytes, special tokens included."""
        self.count(text, free=False)
        ids = self.encoding.ids[: self.encoding.count]
        self.library.rp_encoding_free(byref(self.encoding))
        return ids

    def count(self, text, free=True):
        """How many there are, without making a list of them."""
        self.call("rp_tokenize", self.handle, rp_text(text, len(text)), self.none, None, byref(self.encoding))
        if free:
            self.library.rp_encoding_free(byref(self.encoding))


class Model(Handle):
    """A model folder on a device, with room for batches of so many tokens (0: as it likes)."""

    def __init__(self, device, folder, precision="f32", tokens=0):
        super().__init__(device.library)
        params = rp_model_params(max_batch_tokens=tokens, precision=PRECISIONS[precision])
        self.call("rp_model_open", device.handle, folder.encode(), byref(params), byref(self.handle))

    def run(self, sequences, out, capacity):
        """Hidden states of an array of rp_sequence to the address `out`, of `capacity` floats."""
        self.call("rp_model_run", self.handle, sequences, c_size_t(len(sequences)), None, c_void_p(out),
                  c_size_t(capacity), None)
