"""What peers.py uses of Reprise's C API. tests/test_peers.sh compares the structs with the headers and makes a run."""

import ctypes
import os
from ctypes import POINTER, Structure, byref, c_bool, c_char, c_char_p, c_int, c_size_t, c_uint32, c_uint64, c_void_p

PRECISIONS = {"f32": 1, "f16": 2, "int8": 3, "int4": 4}
DEVICE_CPU = 4


# Every field of each struct, under the names of the headers.


class rp_error(Structure):
    _fields_ = [("status", c_int), ("message", c_char * 508)]


class rp_device_params(Structure):
    _fields_ = [("index", c_uint32), ("name", c_char_p), ("cache_dir", c_char_p), ("shader_dir", c_char_p),
                ("on_tuning", c_void_p), ("reserved", c_uint64 * 3)]


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
                ("precision", c_int), ("verify_every", c_uint32), ("few_tokens", c_bool), ("on_mismatch", c_void_p),
                ("reserved", c_uint64 * 2)]


class rp_sequence(Structure):
    _fields_ = [("ids", c_void_p), ("type_ids", c_void_p), ("count", c_uint32)]


STRUCTS = [rp_error, rp_device_params, rp_device_info, rp_model_params, rp_sequence]


class Model:
    """A model folder on a device. Raises RuntimeError with the library's message."""

    def __init__(self, build, folder, device=None, precision=None):
        self.library = ctypes.CDLL(os.path.join(build, "libreprise.so"))
        self.library.rp_device_get_info.restype = POINTER(rp_device_info)
        self.device, self.model, self.error = c_void_p(), c_void_p(), rp_error()
        opened = rp_device_params(name=device.encode() if device else None)
        loaded = rp_model_params(precision=PRECISIONS[precision] if precision else 0)
        self.call("rp_device_open", byref(opened), byref(self.device))
        self.call("rp_model_open", self.device, folder.encode(), byref(loaded), byref(self.model))
        self.info = self.library.rp_device_get_info(self.device).contents

    def call(self, function, *arguments):
        if getattr(self.library, function)(*arguments, byref(self.error)):
            raise RuntimeError(self.error.message.decode())

    def run(self, sequences, out, capacity):
        """Hidden states of an array of rp_sequence to the address `out`, of `capacity` floats."""
        self.call("rp_model_run", self.model, sequences, c_size_t(len(sequences)), None, c_void_p(out),
                  c_size_t(capacity), None)
