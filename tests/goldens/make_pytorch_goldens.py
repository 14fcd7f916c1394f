#!/usr/bin/env python3
"""Write the files of tests/goldens/pytorch: small files of torch.save of every form, and what torch.load reads in them.

    make_pytorch_goldens.py

Forms that torch 2.4.1 no longer writes (Python 2, views of storages, the other byte order, an archive of another tool) are
put together here; torch.load reads them too, and its values are the expected ones. Files named bad-* are what a reader
of weights must refuse: expected.json has the words of the message."""
import io
import json
import os
import pickle
import struct
import sys
import tarfile
import zipfile

import torch

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "pytorch")
NAMES = {torch.float32: "float32", torch.float16: "float16", torch.bfloat16: "bfloat16", torch.float64: "float64",
         torch.int64: "int64", torch.int32: "int32", torch.int16: "int16", torch.int8: "int8", torch.uint8: "uint8",
         torch.bool: "bool", torch.complex64: "complex64"}
expected = {}


def describe(state):
    out = {}
    for name, t in state.items():
        if isinstance(t, torch.Tensor):
            values = t.detach().float().flatten().tolist() if t.dtype.is_floating_point else None
            out[name] = {"dtype": NAMES[t.dtype], "shape": list(t.shape), "values": values}
    return out


def read(name, pick=lambda state: state):
    state = pick(torch.load(os.path.join(ROOT, name), weights_only=False))
    expected[name] = describe(state)


def write(name, state, pick=lambda state: state, **options):
    torch.save(state, os.path.join(ROOT, name), **options)
    read(name, pick)


def put(name, data):
    with open(os.path.join(ROOT, name), "wb") as file:
        file.write(data)


def bad(name, data, words):
    put("bad-" + name, data)
    expected["bad-" + name] = words


def saved(state, **options):
    buffer = io.BytesIO()
    torch.save(state, buffer, **options)
    return buffer.getvalue()


# ---- states ----
def tensors():
    base = torch.arange(24, dtype=torch.float32) / 8 - 1
    grid = base.reshape(4, 6)
    shared = torch.tensor([[1.5, -2.5], [0.25, 1024.0]])
    return {"plain": grid, "vector": base[:5].clone(), "half": grid.half(), "brain": grid.bfloat16(),
            "double": (grid.double() + 1e-9) * 3, "transposed": grid.t(), "sliced": grid[1:3, 2:5], "stepped": grid[:, ::2],
            "transposed.half": grid.half().t(), "transposed.double": grid.double().t(), "repeated": base[:3].expand(2, 3),
            "one.row": base[6:12].reshape(1, 6), "column": grid[:, 3], "scalar": torch.tensor(2.5), "empty": torch.zeros(0, 3),
            "cube": base.reshape(2, 3, 4), "tied.a": shared, "tied.b": shared, "position_ids": torch.arange(5).unsqueeze(0),
            "int32": torch.tensor([1, 2], dtype=torch.int32), "int16": torch.tensor([1], dtype=torch.int16),
            "int8": torch.tensor([1], dtype=torch.int8), "uint8": torch.tensor([7], dtype=torch.uint8),
            "bool": torch.tensor([True, False]), "complex": torch.tensor([1 + 2j])}


class Small(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.dense = torch.nn.Linear(3, 2)
        self.norm = torch.nn.LayerNorm(2)
        self.register_buffer("position_ids", torch.arange(3))
        with torch.no_grad():
            for i, p in enumerate(self.parameters()):
                p.copy_(torch.arange(p.numel(), dtype=torch.float32).reshape(p.shape) / 4 + i)


# ---- pickles by hand ----
def text(s):
    return b"U" + bytes([len(s)]) + s.encode()  # SHORT_BINSTRING, as Python 2 writes


def number(n):
    return b"K" + bytes([n])


def items(*values):
    return b"(" + b"".join(values) + b"t"


def storage(kind, key, elements, *more):
    return items(text("storage"), b"ctorch\n%sStorage\n" % kind.encode(), text(key), text("cpu"), number(elements), *more) + b"Q"


def old_tensor(stored, offset, sizes, strides, function="_rebuild_tensor", more=()):
    return (b"ctorch._utils\n%s\n" % function.encode() +
            items(stored, number(offset), items(*map(number, sizes)), items(*map(number, strides)), *more) + b"R")


def old_file(state, storages, protocol=2):
    """storages: (key, format of struct, values), in the order of their keys."""
    out = pickle.dumps(0x1950a86a20f9469cfc6c, protocol) + pickle.dumps(1001, protocol)
    out += pickle.dumps({"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}, protocol)
    out += b"\x80\x02" + state + b"."
    out += pickle.dumps([key for key, _, _ in storages], protocol)
    for _, form, values in storages:
        out += struct.pack("<q", len(values)) + struct.pack("<%d%s" % (len(values), form), *values)
    return out


def archive(entries, compression=zipfile.ZIP_STORED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file:
        for name, data in entries:
            file.writestr(name, data)
    return buffer.getvalue()


def entries_of(data):
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        return [(name, file.read(name)) for name in file.namelist()]


def good():
    for protocol in 2, 3, 4, 5:
        write("zip-%d.bin" % protocol, tensors(), pickle_protocol=protocol)
        write("old-%d.bin" % protocol, tensors(), pickle_protocol=protocol, _use_new_zipfile_serialization=False)
    model = Small()
    write("state.bin", model.state_dict())
    write("old-state.bin", model.state_dict(), _use_new_zipfile_serialization=False)
    write("parameters.bin", dict(model.named_parameters()))
    write("parallel.bin", torch.nn.DataParallel(model).state_dict())
    write("wrapped.bin", {"epoch": 3, "loss": 0.5, "name": "x", "done": True, "none": None, "big": 1 << 40, "pair": (1, [2]),
                          "state_dict": model.state_dict()}, lambda s: s["state_dict"])
    write("wrapped-model.bin", {"model": model.state_dict(), "optimizer": {"lr": 1e-3}}, lambda s: s["model"])
    write("wrapped-loss.bin", {"epoch": torch.tensor(3), "loss": torch.tensor(0.5), "model_state_dict": model.state_dict()},
          lambda s: s["model_state_dict"])
    line = torch.arange(150, dtype=torch.float32)
    write("many.bin", {"t%03d" % i: line[i] for i in range(150)})  # a memo of more than 255: LONG_BINPUT, LONG_BINGET

    whole = saved({"a": torch.arange(6, dtype=torch.float32).reshape(2, 3), "b": torch.arange(3, dtype=torch.float64)})
    swapped = [(name, b"big" if name.endswith("byteorder") else
                b"".join(data[i:i + size][::-1] for i in range(0, len(data), size)) if "/data/" in name else data)
               for name, data in entries_of(whole) for size in [8 if name.endswith("data/1") else 4]]
    put("big-endian.bin", archive(swapped))
    read("big-endian.bin")
    put("other-tool.bin", archive([e for e in entries_of(whole) if not e[0].endswith("byteorder")]))
    read("other-tool.bin")

    pair = b"]" + b"(" + text("w") + old_tensor(storage("Float", "5", 6, b"N"), 0, (2, 3), (3, 1)) + b"e"
    view = b"]" + b"(" + text("v") + old_tensor(storage("Float", "7", 4, items(text("8"), number(1), number(3))), 1, (2,), (1,)) + b"e"
    python2 = b"ccollections\nOrderedDict\n" + b"](" + pair + view + b"e" + b"\x85R"
    put("python-2.bin", old_file(python2, [("5", "f", [1, 2, 3, 4, 5, 6]), ("7", "f", [7, 8, 9, 10])]))
    read("python-2.bin")


class Evil:
    def __reduce__(self):
        return os.system, ("echo no",)


def refused():
    model = Small()
    for form, options in ("", {}), ("old-", {"_use_new_zipfile_serialization": False}):
        bad(form + "module.bin", saved(torch.nn.Linear(1, 1), **options), "torch.nn.modules.linear.Linear")
        if not form:  # the older form holds the source of the class as well
            bad("class.bin", saved(model), "__main__.Small")
        bad(form + "call.bin", saved({"a": Evil()}, **options), "%s.system" % os.name)
        bad(form + "call-4.bin", saved({"a": Evil()}, pickle_protocol=4, **options), "%s.system" % os.name)
        bad(form + "list.bin", saved([torch.zeros(1)], **options), "no tensors by name")
        bad(form + "tensor.bin", saved(torch.zeros(1), **options), "no tensors by name")
        bad(form + "numbers.bin", saved({"a": 1}, **options), "no tensors by name")
        bad(form + "key.bin", saved({1: torch.zeros(1)}, **options), "key is no string")
        bad(form + "sparse.bin", saved({"a": torch.zeros(2, 2).to_sparse()}, **options), "_rebuild_sparse_tensor")
        bad(form + "set.bin", saved({"a": torch.zeros(1), "b": {1}}, pickle_protocol=4, **options), "EMPTY_SET")
        bad(form + "bytes.bin", saved({"a": torch.zeros(1), "b": b"x"}, pickle_protocol=3, **options), "SHORT_BINBYTES")
        bad(form + "size.bin", saved({"a": torch.zeros(1), "b": torch.Size([1])}, **options), "torch.Size")
        bad(form + "device.bin", saved({"a": torch.zeros(1), "b": torch.device("cpu")}, **options), "torch.device")
        bad(form + "type.bin", saved({"a": torch.zeros(1).to(torch.float8_e5m2)}, **options), "_rebuild_tensor_v3")
        bad(form + "negative.bin", saved({"a": torch.tensor([1 + 2j]).conj().imag}, **options), "computed when it is read")
    whole = saved(model.state_dict())
    bad("deflated.bin", archive(entries_of(whole), zipfile.ZIP_DEFLATED), "is compressed")
    script = io.BytesIO()
    torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), script)
    bad("script.bin", script.getvalue(), "TorchScript")
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as file:
        for name in "storages", "tensors", "pickle":
            info = tarfile.TarInfo(name)
            info.size = 1
            file.addfile(info, io.BytesIO(b"x"))
    bad("tar.bin", tar.getvalue()[:1024], "a tar archive")
    bad("other.zip.bin", archive([("a.txt", b"x")]), "without one data.pkl")
    bad("two.bin", archive(entries_of(whole) + [("x/data.pkl", b"")]), "without one data.pkl")
    bad("pickle.bin", pickle.dumps({"a": 1}, 2), "not one of torch.save")
    bad("protocol-0.bin", pickle.dumps({"a": 1}, 0), "not a file that torch.save wrote")
    bad("lfs.bin", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "git lfs pull")
    bad("page.bin", b"<!DOCTYPE html>\n<html><body>Sign in</body></html>\n", "a web page")
    bad("empty.bin", b"", "empty")
    bad("safetensors.bin", struct.pack("<Q", 2) + b"{}", "model.safetensors")
    six = [("5", "f", [1, 2, 3, 4, 5, 6])]

    def by_hand(*named):
        return b"}(" + b"".join(text(name) + tensor for name, tensor in named) + b"u"

    def over(sizes, strides, offset=0, stored=storage("Float", "5", 6, b"N")):
        return by_hand(("w", old_tensor(stored, offset, sizes, strides)))

    outside = "w: its elements lie outside its storage"
    bad("old-outside.bin", old_file(over((3, 3), (3, 1)), six), outside)
    bad("old-outside-1.bin", old_file(over((2, 3), (3, 1), 1), six), outside)
    bad("old-outside-2.bin", old_file(over((2, 3), (4, 1)), six), outside)
    bad("old-outside-3.bin", old_file(over((0, 3), (3, 1), 7), six), outside)
    bad("old-outside-4.bin", old_file(over((3,), (1,), 1, storage("Float", "5", 6, items(text("8"), number(3), number(3)))), six), outside)
    bad("old-fewer.bin", old_file(over((2, 3), (3, 1)), [("5", "f", [1, 2, 3, 4, 5])]), "storage 5: its data has another number")
    bad("old-cut.bin", old_file(over((2, 3), (3, 1)), six)[:-1], "storage 5: its data is cut")
    bad("old-more.bin", old_file(over((2, 3), (3, 1)), six) + b"x", "bytes follow the last one")
    bad("old-unlisted.bin", old_file(over((2, 3), (3, 1)), []), "storage 5: its data is not in the file")
    bad("old-unknown.bin", old_file(over((2, 3), (3, 1)), six + [("9", "f", [1])]), "storage 9: is listed, but no tensor has it")
    bad("old-twice.bin", old_file(over((2, 3), (3, 1)), six + six), "is listed twice")
    both = [("w", old_tensor(storage("Float", "5", 6, b"N"), 0, (2, 3), (3, 1))), ("v", old_tensor(storage("Half", "5", 6, b"N"), 0, (2, 3), (3, 1)))]
    bad("old-both.bin", old_file(by_hand(*both), six), "storage 5: is described in two ways")
    bad("old-same-name.bin", old_file(by_hand(both[0], both[0]), six), "w: the tensor is there twice")
    bad("old-no-name.bin", old_file(by_hand(("", both[0][1])), six), "is no name of a tensor")
    version = old_file(over((2, 3), (3, 1)), six).replace(b"M\xe9\x03", b"M\xea\x03")
    bad("old-version.bin", version, "version: must be 1001")
    bad("fewer.bin", archive([(n, d[:-4] if n.endswith("data/0") else d) for n, d in entries_of(whole)]), "its data has another size")
    bad("order.bin", archive([(n, b"middle" if n.endswith("byteorder") else d) for n, d in entries_of(whole)]), "byteorder: must be")
    bad("missing-data.bin", archive([e for e in entries_of(whole) if not e[0].endswith("data/1")]), "storage 1: its data is not")


os.makedirs(ROOT, exist_ok=True)
for old in os.listdir(ROOT):
    os.remove(os.path.join(ROOT, old))
torch.set_num_threads(1)
good()
refused()
with open(os.path.join(ROOT, "expected.json"), "w") as file:
    rows = ["%s: %s" % (json.dumps(name), json.dumps(expected[name], separators=(",", ":"))) for name in sorted(expected)]
    file.write("{\n%s\n}\n" % ",\n".join(rows))
print(len(expected), "files", file=sys.stderr)
