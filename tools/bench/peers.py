"""Time Reprise and its peers on the same weights and the same token ids; see tools/bench/peers.

An ALBERT of the base shape with random weights is made with transformers and saved; every runtime gets those weights.
Each case is a batch of sequences. Runtimes without packed batches run it padded, with a mask; ncnn, which has no mask
for a batch, one sequence after the other, and starts from the embeddings, whose time it is spared. Every runtime's
hidden states are compared with PyTorch's, in float32 on the processors, before it is timed. The ids are
random: no time depends on them.

With --precision below f32, Reprise runs in that and PyTorch in float16 on CUDA; the others stay as they are.

Two times: the median by the clock, and the least processor time over the number of processors, which other work on the
machine does not disturb. The second is only given for what runs on the processors.
"""

import argparse
import datetime
import os
import statistics
import sys
import tempfile
import time

import numpy as np

import capi

CONFIG = dict(vocab_size=30000, embedding_size=128, hidden_size=768, num_hidden_layers=12, num_attention_heads=12,
              intermediate_size=3072, hidden_act="gelu_new", max_position_embeddings=512, type_vocab_size=2)
# Lengths of SST-2 sentences: every fourth 64th of their distribution.
SST2 = [4, 4, 5, 6, 6, 7, 8, 9, 10, 12, 13, 15, 17, 20, 26, 36]


class Case:
    """Sequences of token ids, the same for everybody."""

    def __init__(self, name, lengths):
        generator = np.random.default_rng(1)
        self.name = name
        self.sequences = [generator.integers(5, CONFIG["vocab_size"], n).astype(np.int32) for n in lengths]
        self.tokens = sum(lengths)

    def padded(self):
        longest = max(map(len, self.sequences))
        ids = np.zeros((len(self.sequences), longest), np.int64)
        mask = np.zeros_like(ids)
        for row, sequence in enumerate(self.sequences):
            ids[row, : len(sequence)] = sequence
            mask[row, : len(sequence)] = 1
        return ids, mask

    def unpad(self, hidden):
        if hidden.shape[0] * hidden.shape[1] == self.tokens:  # nothing to cut, and nothing to copy
            return hidden.reshape(self.tokens, -1)
        return np.concatenate([hidden[i, : len(s)] for i, s in enumerate(self.sequences)])


# ---- Reprise, through its C API ----


class Reprise:
    name = "Reprise"
    processors = False  # only with a software driver

    def __init__(self, folder, options):
        device, tokens = options.opened, max(case.tokens for case in options.cases)
        self.model = capi.Model(device, folder, options.precision, tokens)
        self.processors = device.cpu
        self.name = f"Reprise {options.precision}, Vulkan on {'the CPU' if device.cpu else device.name}"

    def prepare(self, case):
        self.sequences = (capi.rp_sequence * len(case.sequences))()
        for entry, ids in zip(self.sequences, case.sequences):
            entry.ids, entry.count = ids.ctypes.data, len(ids)
        self.out = np.empty((sum(map(len, case.sequences)), CONFIG["hidden_size"]), np.float32)

    def run(self):
        self.model.run(self.sequences, self.out.ctypes.data, self.out.size)
        return self.out


# ---- PyTorch ----


class Torch:
    name = "PyTorch + transformers, CPU"
    processors = True
    device = "cpu"

    def __init__(self, folder, options):
        import torch
        import transformers

        self.torch = torch
        torch.set_num_threads(os.cpu_count())
        self.model = transformers.AlbertModel.from_pretrained(folder).eval().to(self.device)

    def prepare(self, case):
        self.case = case
        self.ids, self.mask = (self.torch.from_numpy(a).to(self.device) for a in case.padded())

    def forward(self):
        return self.model(input_ids=self.ids, attention_mask=self.mask).last_hidden_state

    def run(self):
        with self.torch.inference_mode():
            return self.case.unpad(self.forward().float().cpu().numpy())


class TorchCuda(Torch):
    name = "PyTorch eager, CUDA"
    processors = False
    device = "cuda"

    def __init__(self, folder, options):
        import torch

        if not torch.cuda.is_available():
            raise RuntimeError("there is no CUDA device")
        super().__init__(folder, options)
        if options.precision != "f32":
            self.model = self.model.half()
            self.name += ", float16"


class TorchCompiled(TorchCuda):
    name = "PyTorch compiled, CUDA"

    def __init__(self, folder, options):
        super().__init__(folder, options)
        self.model = self.torch.compile(self.model)


class TorchGraph(TorchCuda):
    name = "PyTorch with a CUDA graph"

    def prepare(self, case):
        super().prepare(case)
        with self.torch.inference_mode():
            stream = self.torch.cuda.Stream()
            with self.torch.cuda.stream(stream):
                for _ in range(3):
                    super().forward()
            self.torch.cuda.synchronize()
            self.graph = self.torch.cuda.CUDAGraph()
            with self.torch.cuda.graph(self.graph):
                self.result = super().forward()

    def forward(self):
        self.graph.replay()
        return self.result


# ---- ONNX Runtime ----


class Onnx:
    name = "ONNX Runtime, CPU"
    processors = True

    def __init__(self, folder, options):
        import onnxruntime
        import torch
        import transformers

        path = os.path.join(folder, "model.onnx")
        model = transformers.AlbertModel.from_pretrained(folder, attn_implementation="eager").eval()
        model.config.return_dict = False
        ids = torch.ones((2, 8), dtype=torch.int64)
        axes = {0: "batch", 1: "tokens"}
        torch.onnx.export(model, (ids, ids), path, input_names=["ids", "mask"], output_names=["hidden", "pooled"],
                          dynamic_axes={"ids": axes, "mask": axes, "hidden": axes}, opset_version=17)
        self.session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def prepare(self, case):
        self.case = case
        self.ids, self.mask = case.padded()

    def run(self):
        return self.case.unpad(self.session.run(["hidden"], {"ids": self.ids, "mask": self.mask})[0])


# ---- ncnn ----


def write_ncnn(model, folder):
    """The encoder's layers as ncnn's own graph. ncnn cannot share weights: each layer gets a copy."""
    layer = model.encoder.albert_layer_groups[0].albert_layers[0]
    h, i, heads = CONFIG["hidden_size"], CONFIG["intermediate_size"], CONFIG["num_attention_heads"]
    lines, data, blob = ["Input in 0 1 in0"], [], "in0"

    def matrix(linear):
        data.append(np.zeros(1, np.uint32).tobytes())  # float32 follows
        vectors(linear.weight, linear.bias)

    def vectors(*tensors):
        data.extend(t.detach().numpy().astype(np.float32).tobytes() for t in tensors)

    for n in range(CONFIG["num_hidden_layers"]):
        a, p = layer.attention, f"l{n}_"
        norm = f"0={h} 1={model.config.layer_norm_eps:e} 2=1"
        lines += [f"Split {p}s1 1 2 {blob} {p}x {p}r",
                  f"MultiHeadAttention {p}att 1 1 {p}x {p}a 0={h} 1={heads} 2={h * h}",
                  f"BinaryOp {p}add1 2 1 {p}a {p}r {p}b 0=0",
                  f"LayerNorm {p}norm1 1 1 {p}b {p}c {norm}",
                  f"Split {p}s2 1 2 {p}c {p}d {p}e",
                  f"InnerProduct {p}ffn 1 1 {p}d {p}f 0={i} 1=1 2={h * i}",
                  f"GELU {p}gelu 1 1 {p}f {p}g 0=1",
                  f"InnerProduct {p}out 1 1 {p}g {p}h 0={h} 1=1 2={h * i}",
                  f"BinaryOp {p}add2 2 1 {p}h {p}e {p}i 0=0",
                  f"LayerNorm {p}norm2 1 1 {p}i {p}o {norm}"]
        for linear in (a.query, a.key, a.value, a.dense):
            matrix(linear)
        vectors(a.LayerNorm.weight, a.LayerNorm.bias)
        matrix(layer.ffn)
        matrix(layer.ffn_output)
        vectors(layer.full_layer_layer_norm.weight, layer.full_layer_layer_norm.bias)
        blob = f"{p}o"
    blobs = 1 + 12 * CONFIG["num_hidden_layers"]
    param, weights = os.path.join(folder, "albert.param"), os.path.join(folder, "albert.bin")
    with open(param, "w") as file:
        file.write(f"7767517\n{len(lines)} {blobs}\n" + "\n".join(lines) + "\n")
    with open(weights, "wb") as file:
        file.writelines(data)
    return param, weights, blob


class Ncnn:
    name = "ncnn, Vulkan"
    processors = False
    vulkan = True

    def __init__(self, folder, options):
        import ncnn
        import torch
        import transformers

        self.ncnn, self.torch = ncnn, torch
        if self.vulkan and not ncnn.get_gpu_count():
            raise RuntimeError("ncnn finds no Vulkan device")
        self.processors = not self.vulkan or "llvmpipe" in ncnn.get_gpu_info(0).device_name()
        self.model = transformers.AlbertModel.from_pretrained(folder).eval()
        param, weights, self.last = write_ncnn(self.model, folder)
        self.net = ncnn.Net()
        self.net.opt.use_vulkan_compute = self.vulkan
        self.net.opt.num_threads = os.cpu_count()
        for name in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_storage"):
            setattr(self.net.opt, f"use_{name}", False)
        if self.net.load_param(param) or self.net.load_model(weights):
            raise RuntimeError("ncnn cannot load the graph")

    def prepare(self, case):
        self.inputs = []
        with self.torch.inference_mode():
            for sequence in case.sequences:
                ids = self.torch.from_numpy(sequence.astype(np.int64))[None]
                mapped = self.model.encoder.embedding_hidden_mapping_in(self.model.embeddings(ids))
                self.inputs.append(np.ascontiguousarray(mapped[0].numpy()))

    def run(self):
        out = []
        for x in self.inputs:
            extractor = self.net.create_extractor()
            extractor.input("in0", self.ncnn.Mat(x))
            out.append(np.array(extractor.extract(self.last)[1]))
        return np.concatenate(out)


class NcnnCpu(Ncnn):
    name = "ncnn, CPU"
    vulkan = False


# ---- timing ----


def measure(peer, case, repeat, reference):
    """(median ms by the clock, least processor ms, largest difference)"""
    peer.prepare(case)
    difference = float(np.abs(np.array(peer.run()) - reference).max()) if reference is not None else 0.0
    clock, work = [], []
    for _ in range(repeat):
        began, worked = time.perf_counter(), time.process_time()
        peer.run()
        clock.append((time.perf_counter() - began) * 1e3)
        work.append((time.process_time() - worked) * 1e3 / os.cpu_count())
    return statistics.median(clock), min(work) if peer.processors else None, difference


def make_model(folder):
    import torch
    import transformers

    torch.manual_seed(1)
    config = transformers.AlbertConfig(hidden_dropout_prob=0, attention_probs_dropout_prob=0, **CONFIG)
    transformers.AlbertModel(config).eval().save_pretrained(folder)


# ---- results ----


def digits(ms):
    return f"{ms:.1f}" if ms >= 10 else f"{ms:.3f}"


def table(results, cases):
    lines = []
    for case in cases:
        rows = [(name, *values[case.name]) for name, values in results.items() if case.name in values]
        ours = next((row for row in rows if row[0].startswith("Reprise")), None)
        lines += ["", f"{case.name}", "",
                  "| runtime | median ms | x of Reprise | processor ms | x of Reprise | largest difference |",
                  "|---|---|---|---|---|---|"]
        for name, clock, work, difference in rows:
            by_work = f"{digits(work)} | {work / ours[2]:.2f}" if work and ours and ours[2] else "- | -"
            times = f"{clock / ours[1]:.2f}" if ours else "-"
            lines.append(f"| {name} | {digits(clock)} | {times} | {by_work} | {difference:.1e} |")
    return "\n".join(lines)


def draw(results, cases, heading, path):
    """Bars of the processor time where everything has one, else of the clock; on a scale of each case."""
    rows = []
    for case in cases:
        timed = [(name, v[case.name]) for name, v in results.items() if case.name in v]
        by_work = all(v[1] for _, v in timed)
        values = [(name, v[1] if by_work else v[0]) for name, v in timed]
        rows.append((case.name + (", processor ms" if by_work else ", median ms"), values))
    y, parts = 58, []
    for title, values in rows:
        parts.append(f'<text x="10" y="{y}" font-weight="bold">{title}</text>')
        y += 10
        most = max(value for _, value in values)
        for name, value in values:
            color = "#c2410c" if name.startswith("Reprise") else "#64748b"
            width = 420 * value / most
            parts.append(f'<text x="10" y="{y + 14}">{name}</text><rect x="230" y="{y + 3}" width="{width:.1f}" '
                         f'height="14" fill="{color}"/><text x="{236 + width:.1f}" y="{y + 14}">{digits(value)}</text>')
            y += 20
        y += 24
    with open(path, "w") as file:
        file.write(f'<svg xmlns="http://www.w3.org/2000/svg" width="740" height="{y}" font-family="sans-serif" '
                   f'font-size="12"><rect width="100%" height="100%" fill="white"/>'
                   f'<text x="10" y="20" font-size="14">Encoder of ALBERT base, same weights and ids</text>'
                   f'<text x="10" y="36" fill="#475569">{heading}</text>' + "\n".join(parts) + "</svg>\n")


def make_cases(batch):
    cases = [Case("1 sequence of 128 tokens", [128]), Case("1 sequence of 512 tokens", [512]),
             Case(f"{len(SST2)} short sentences, {sum(SST2)} tokens", SST2)]
    return cases + ([Case(f"{batch} sequences of 128 tokens", [128] * batch)] if batch > 0 else [])


PEERS = [Torch, Reprise, Onnx, Ncnn, NcnnCpu, TorchCuda, TorchCompiled, TorchGraph]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", help="folder with libreprise.so")
    parser.add_argument("--device", help="part of the name of Reprise's device")
    parser.add_argument("--repeat", type=int, default=5, help="timed runs of each (5)")
    parser.add_argument("--svg", help="file to draw to")
    parser.add_argument("--precision", choices=list(capi.PRECISIONS), default="f32",
                        help="of Reprise; below f32 PyTorch on CUDA is in float16 (f32)")
    parser.add_argument("--batch", type=int, help="also so many sequences of 128 tokens; 0: not (64 on a GPU, else 0)")
    parser.add_argument("--tokenize", metavar="FOLDER", help="time tokenizing with the tokenizer of FOLDER instead")
    parser.add_argument("--lines", metavar="FILE", help="texts for --tokenize, one a line")
    parser.add_argument("--against", metavar="BUILD", help="with --tokenize, another build of Reprise beside it")
    parser.add_argument("--start", metavar="FOLDER",
                        help="time a start to the answer for one text with the classifier of FOLDER instead")
    parser.add_argument("--train", action="store_true", help="time a step of training instead")
    parser.add_argument("--tokens", type=int, default=128, help="with --train, of each sequence (128)")
    options = parser.parse_args()
    if options.train:
        import training

        return training.main(options)
    if options.start:
        import starting

        return starting.main(options)
    if bool(options.tokenize) != bool(options.lines):
        parser.error("--tokenize and --lines go together")
    if options.tokenize:
        import tokenizing

        return tokenizing.main(options)
    try:
        device = options.opened = capi.Device(options.build, options.device)
    except (OSError, RuntimeError) as problem:
        sys.exit(f"peers: Reprise cannot be measured: {problem}")
    cases = options.cases = make_cases((0 if device.cpu else 64) if options.batch is None else options.batch)
    results, references, measured = {}, {}, False
    with tempfile.TemporaryDirectory() as folder:
        make_model(folder)
        for kind in PEERS:
            try:
                peer = kind(folder, options)
                timed = {case.name: measure(peer, case, options.repeat, references.get(case.name)) for case in cases}
            except Exception as problem:  # one that is missing must not stop the others
                print(f"{kind.name} is left out: {problem}", file=sys.stderr)
                continue
            if kind is Torch:
                for case in cases:
                    peer.prepare(case)
                    references[case.name] = np.array(peer.run())
            measured = measured or kind is Reprise
            results[peer.name] = timed
    if not measured:
        sys.exit("peers: Reprise was not measured, so there is nothing to compare")
    heading = f"{datetime.date.today()}, {os.cpu_count()} processors, {device.name}, {device.driver}"
    print(heading)
    print(table(results, cases))
    if options.svg:
        draw(results, cases, heading, options.svg)


if __name__ == "__main__":
    main()
