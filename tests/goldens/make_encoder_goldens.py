#!/usr/bin/env python3
"""Expected outputs of whole models, computed by Hugging Face's own classes.

    make_encoder_goldens.py [--minilm DIR] [CASE...]

writes encoder/CASE.json (config, list of tensors, token ids, what is expected) and encoder/CASE.bin (float32
values, little-endian). Weights are not stored: both this script and tests/support_fixture.c make them from
the tensor's name and the element's index, so the same folder can be built again, bit for bit. README.md lists
the versions.
"""
import argparse
import json
import math
import os
import shutil
import sys
import tempfile

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import numpy as np
import torch
import transformers
from safetensors import safe_open
from safetensors.torch import load_file, save_file

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
OUT = os.path.join(HERE, "encoder")
MASK64 = (1 << 64) - 1
GOLDEN = 0x9E3779B97F4A7C15


# ---- the generator, the same as in tests/support_fixture.c ----

def fnv1a(text):
    h = 0xCBF29CE484222325
    for byte in text.encode():
        h = ((h ^ byte) * 0x100000001B3) & MASK64
    return h


def splitmix64(z):
    """The finaliser of splitmix64 over an array of uint64."""
    with np.errstate(over="ignore"):
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def stream(seed, count, first=0):
    with np.errstate(over="ignore"):
        i = np.arange(first + 1, first + count + 1, dtype=np.uint64)
        return splitmix64(np.uint64(seed) + i * np.uint64(GOLDEN))


def generate(name, shape, scale, offset):
    """float32 values in offset +- scale. Every step before the last rounding is exact in a double."""
    u = stream(fnv1a(name), math.prod(shape)) >> np.uint64(40)
    x = u.astype(np.float64) / (1 << 23) - 1.0
    return (offset + scale * x).astype(np.float32).reshape(shape)


def few_bits(x):
    """x with a 6-bit mantissa, so that products with it are exact."""
    m, e = math.frexp(x)
    return math.ldexp(round(m * 64) / 64, e)


def scale_of(name, shape):
    """(scale, offset): scores and hidden states of order 1, attention far from uniform."""
    norm = "LayerNorm" in name or "layer_norm" in name
    if norm and name.endswith(".weight"):
        return 0.25, 1.0
    if len(shape) == 1:
        return 0.25, 0.0
    if "_embeddings" in name:
        return 0.5, 0.0
    sharp = (".query.", ".key.", ".q_lin.", ".k_lin.")
    gain = 2.5 if any(part in name for part in sharp) else 1.5
    return few_bits(gain / math.sqrt(shape[1])), 0.0


DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


def write_weights(folder, dtype, tensors):
    """Replace the weights of `folder`. Returns their checksum: the sum of the float32 bits modulo 2^64."""
    total = 0
    values = {}
    for t in tensors:
        value = torch.from_numpy(generate(t["name"], t["shape"], t["scale"], t["offset"])).to(DTYPES[dtype])
        total += int(value.float().numpy().view(np.uint32).astype(np.uint64).sum())
        values[t["name"]] = value.contiguous()
    save_file(values, os.path.join(folder, "model.safetensors"), {"format": "pt"})
    return total & MASK64


# ---- the cases ----

def albert(cls, lengths, hidden=48, heads=3, inter=None, e=24, layers=2, dtype="F32", shards=1, **config):
    config = dict(hidden_size=hidden, num_attention_heads=heads, intermediate_size=inter or 2 * hidden,
                  embedding_size=e, num_hidden_layers=layers, **{"vocab_size": 131, **config})
    return dict(cls="Albert" + cls, lengths=lengths, config=config, dtype=dtype, shards=shards)


def bert(cls, lengths, hidden=48, heads=3, inter=None, layers=3, dtype="F32", shards=1, **config):
    config = dict(hidden_size=hidden, num_attention_heads=heads, intermediate_size=inter or 2 * hidden,
                  num_hidden_layers=layers, **{"vocab_size": 131, **config})
    return dict(cls="Bert" + cls, lengths=lengths, config=config, dtype=dtype, shards=shards)


def distilbert(cls, lengths, dim=48, heads=3, inter=None, layers=3, dtype="F32", shards=1, **config):
    config = dict(dim=dim, n_heads=heads, hidden_dim=inter or 2 * dim, n_layers=layers, **{"vocab_size": 131, **config})
    return dict(cls="DistilBert" + cls, lengths=lengths, config=config, dtype=dtype, shards=shards)


CASES = {
    # sizes that no tile divides; F16 rows then start at odd half-words
    "odd": albert("ForSequenceClassification", [40, 1, 2, 3, 31, 33], 39, 3, 91, 22,
                  max_position_embeddings=40),
    "odd_f16": albert("ForSequenceClassification", [3, 40, 17], 39, 3, 91, 22, dtype="F16", num_labels=7,
                      max_position_embeddings=40, hidden_act="relu"),
    "odd_bf16": albert("ForTokenClassification", [2, 40, 33, 1], 39, 3, 91, 22, dtype="BF16", num_labels=7,
                       max_position_embeddings=40, hidden_act="gelu"),
    # head dimensions
    "head13_one": albert("ForSequenceClassification", [64, 5], 13, 1, 7, 5, num_labels=1,
                         problem_type="regression"),
    "head16": albert("Model", [31, 1, 130, 64, 127, 129], 64, 4, 128, 32, layers=3, hidden_act="gelu",
                     max_position_embeddings=130),
    "head26": albert("ForTokenClassification", [33, 2, 64], 78, 3, 312, 128, dtype="F16", num_labels=7,
                     hidden_act="relu"),
    "head32": albert("ForQuestionAnswering", [512, 127, 3, 64], 96, 3, 192, 32),
    "head64": albert("ForMultipleChoice", [31, 64, 129, 1], 128, 2, 256, 32, shards=3),
    "head128": albert("ForMaskedLM", [33, 2, 129], 256, 2, 300, 40, vocab_size=257),
    "head256": albert("ForSequenceClassification", [65, 3, 31], 512, 2, 256, 64, dtype="F16", layers=1),
    # layers, groups and inner layers
    "deep": albert("ForSequenceClassification", [31, 7, 64], 48, 3, layers=12, hidden_act="gelu_new"),
    "groups": albert("ForPreTraining", [31, 5, 64], 40, 4, layers=6, num_hidden_groups=2,
                     max_position_embeddings=64),
    "groups_uneven": albert("Model", [19, 3, 33], 40, 4, layers=5, num_hidden_groups=2, hidden_act="relu"),
    "groups_three": albert("ForTokenClassification", [19, 3, 33], 40, 4, layers=7, num_hidden_groups=3,
                           num_labels=3, dtype="F16", shards=2),
    "inner": albert("ForSequenceClassification", [31, 1, 12], layers=4, num_hidden_groups=2,
                    inner_group_num=2, num_labels=1),
    "inner_three": albert("Model", [31, 1, 12], layers=3, inner_group_num=3, dtype="BF16", hidden_act="gelu"),
    # spans and choices at odd shapes
    "odd_spans": albert("ForQuestionAnswering", [33, 2, 17], 39, 3, 91, 22, max_position_embeddings=40,
                        hidden_act="gelu"),
    "inner_spans": albert("ForQuestionAnswering", [31, 1, 12], layers=4, num_hidden_groups=2, inner_group_num=2,
                          hidden_act="gelu_pytorch_tanh"),
    "odd_choice": albert("ForMultipleChoice", [33, 2, 17], 39, 3, 91, 22, max_position_embeddings=40,
                         hidden_act="relu"),
    "head26_choice": albert("ForMultipleChoice", [33, 2, 14], 78, 3, 156, 30),
    # embeddings
    "vocab": albert("ForMaskedLM", [33, 1, 9], 32, 2, 64, 8, vocab_size=66001, dtype="F16"),
    "types1": albert("ForPreTraining", [31, 2, 9], type_vocab_size=1, layer_norm_eps=1e-5, dtype="F16",
                     shards=2),
    "types3": albert("ForSequenceClassification", [31, 2, 9], type_vocab_size=3, layer_norm_eps=0.1,
                     num_labels=7, problem_type="multi_label_classification", hidden_act="gelu_pytorch_tanh"),
    "wide_embedding": albert("ForMaskedLM", [31, 2, 9], 32, 2, 64, 70, layer_norm_eps=1e-3,
                             hidden_act="relu"),
    "untied": albert("ForMaskedLM", [21, 2], 32, 2, 64, 16, tie_word_embeddings=False, shards=2),
    # BERT: every layer its own weights
    "bert": bert("Model", [31, 1, 64, 127], 48, 3, 96, 3, max_position_embeddings=127),
    "bert_classes": bert("ForSequenceClassification", [33, 2, 40], 39, 3, 91, 4, dtype="F16", num_labels=7,
                         max_position_embeddings=40),
    "bert_tokens": bert("ForTokenClassification", [31, 2, 9], num_labels=3, hidden_act="relu"),
    "bert_spans": bert("ForQuestionAnswering", [31, 2, 129], dtype="BF16", shards=2),
    "bert_choice": bert("ForMultipleChoice", [31, 2, 9], hidden_act="gelu_new"),
    "bert_lm": bert("ForMaskedLM", [31, 2, 9], layer_norm_eps=1e-5, max_position_embeddings=31),
    "bert_pretraining": bert("ForPreTraining", [31, 2, 9], type_vocab_size=3, dtype="F16"),
    # DistilBERT: no types, no pooler, a relu before the classifier
    "distilbert": distilbert("Model", [31, 1, 64, 127], 48, 3, 96, 3, max_position_embeddings=127),
    "distilbert_classes": distilbert("ForSequenceClassification", [33, 2, 40], 39, 3, 91, 4, dtype="F16", num_labels=7,
                                     max_position_embeddings=40, sinusoidal_pos_embds=True),
    "distilbert_tokens": distilbert("ForTokenClassification", [31, 2, 9], num_labels=3, activation="relu"),
    "distilbert_spans": distilbert("ForQuestionAnswering", [31, 2, 129], dtype="BF16", shards=2),
    "distilbert_choice": distilbert("ForMultipleChoice", [31, 2, 9]),
    "distilbert_lm": distilbert("ForMaskedLM", [31, 2, 9], max_position_embeddings=31),
    "distilbert_untied": distilbert("ForMaskedLM", [21, 2], 32, 2, 64, tie_word_embeddings=False),
}

# The folders that come with the project, on real text. A pair is two texts.
BUNDLED = {
    "sentiment": ("tools/models/sentiment", [
        "a warm and funny film", "dull.", "the plot is thin, the jokes are old, and nobody seems awake",
        "Not the masterpiece its makers hoped for, but in its quiet way one of the year's most moving "
        "stories; the last half hour alone is worth the price of the ticket, and the two leads have never "
        "been better.",
        "", "1,000 reasons to stay at home"]),
    "pretrained": ("tools/models/pretrained", [
        ("She opened the door.", "Nobody was there."), ("Nobody was there.", "She opened the door."),
        "the movie was [MASK] and the acting [MASK].",
        ("It rained for three days and the river rose over its banks.",
         "On the fourth day the village was under water, and people moved to the hill.")]),
}

MINILM_TEXTS = [
    "This is an example sentence.", "Each sentence is converted.", "hi", "",
    "The quick brown fox jumps over the lazy dog.", "Der Zug nach München fährt um 7:45 Uhr ab!",
    "Vulkan is a low-overhead, cross-platform API for graphics and compute.",
    "How many people live in the capital of France, and how many lived there a hundred years ago?",
    "naïve café — 東京 100% 😀", " ".join(["A long text says the same thing again and again."] * 20),
]


def sequences_of(name, lengths, vocab, types):
    """Random ids, the smallest and the largest among them; type ids for all sequences but every third."""
    out = []
    for s, n in enumerate(lengths):
        ids = (stream(fnv1a(f"{name}/ids/{s}"), n) % np.uint64(vocab)).astype(int).tolist()
        if n > 2:
            ids[1], ids[-1] = 0, vocab - 1
        entry = {"ids": ids}
        if s % 3 != 2:
            entry["types"] = (stream(fnv1a(f"{name}/types/{s}"), n) % np.uint64(types)).astype(int).tolist()
        out.append(entry)
    return out


def build_folder(folder, case):
    """A folder as save_pretrained leaves it, with generated weights. Returns (config, tensors, checksum)."""
    cls = getattr(transformers, case["cls"])
    config = cls.config_class(**{"bos_token_id": 2, "eos_token_id": 3, **case["config"]})
    cls(config).save_pretrained(folder, safe_serialization=True)
    path = os.path.join(folder, "model.safetensors")
    tensors = []
    with safe_open(path, "np") as f:
        for name in f.keys():
            shape = list(f.get_slice(name).get_shape())
            scale, offset = scale_of(name, shape)
            tensors.append({"name": name, "shape": shape, "scale": scale, "offset": offset})
    checksum = write_weights(folder, case["dtype"], tensors)
    with open(os.path.join(folder, "config.json")) as f:
        config = json.load(f)
    for key in ("transformers_version", "torch_dtype", "_name_or_path"):
        config.pop(key, None)
    return config, tensors, checksum


def load(folder, cls):
    model, info = getattr(transformers, cls).from_pretrained(
        folder, torch_dtype=torch.float32, attn_implementation="eager", output_loading_info=True)
    tied = set(getattr(model, "_tied_weights_keys", None) or [])
    stray = [k for k in info["missing_keys"] if k not in tied]
    stray += info["unexpected_keys"] + info["mismatched_keys"]
    if stray:
        sys.exit(f"{folder}: tensors that do not match the class: {stray}")
    copy_weights(model, load_file(os.path.join(folder, "model.safetensors")))
    return model.eval()


def copy_weights(model, weights):
    """Copy the file's tensors into the model once more.

    from_pretrained of 4.44 adopts float32 tensors instead of copying them, which unties ALBERT's
    predictions.bias from predictions.decoder.bias, and then ties it to the zeros of the latter: the bias
    would be lost."""
    model.load_state_dict(weights, strict=False)
    state = model.state_dict()
    wrong = [k for k, v in weights.items() if k in state and not torch.equal(state[k], v.float())]
    if wrong:
        sys.exit(f"tensors that were not loaded: {wrong}")


# ---- running ----

HEADS = {"ForSequenceClassification": "classes", "ForTokenClassification": "tokens",
         "ForQuestionAnswering": "spans", "ForMultipleChoice": "choice"}


def run_sequence(model, sequence, rows):
    """Every output of one sequence alone, as {name: [rows, columns]}."""
    ids = torch.tensor([sequence["ids"]])
    types = {"token_type_ids": torch.tensor([sequence.get("types", [0] * len(sequence["ids"]))])}
    name = type(model).__name__
    if name.startswith("DistilBert"):
        types = {}
    base = model.base_model(input_ids=ids, **types)
    hidden = base.last_hidden_state[0]
    out = {"hidden": hidden, "mean": hidden.double().mean(0, keepdim=True), "cls": hidden[:1],
           "max": hidden.max(0, keepdim=True).values}
    if getattr(base, "pooler_output", None) is not None:
        out["pooled"] = base.pooler_output
    if name.endswith("Model"):
        return out
    if name.endswith("ForMultipleChoice"):
        ids, types = ids[:, None], {k: v[:, None] for k, v in types.items()}
    full = model(input_ids=ids, **types)
    for suffix, output in HEADS.items():
        if name.endswith(suffix) and output == "spans":
            out[output] = torch.stack([full.start_logits[0], full.end_logits[0]], 1)
        elif name.endswith(suffix):
            out[output] = full.logits[0] if output == "tokens" else full.logits
    if name.endswith("ForMaskedLM"):
        out["masked_lm"] = full.logits[0][rows]
    if name.endswith("ForPreTraining"):
        out["masked_lm"] = full.prediction_logits[0][rows]
        out["order"] = full.sop_logits if hasattr(full, "sop_logits") else full.seq_relationship_logits
    return out


def run_all(model, sequences, rows):
    """The outputs of all sequences, concatenated as rp_model_run lays them out."""
    parts = {}
    with torch.no_grad():
        for s, sequence in enumerate(sequences):
            for name, value in run_sequence(model, sequence, [t for q, t in rows if q == s]).items():
                parts.setdefault(name, []).append(value.double().numpy())
    return {name: np.concatenate(value) for name, value in parts.items()}


def sampled(value, sample):
    """`sample` elements of each row and its sum under fixed random signs; all of it when sample is 0."""
    if sample == 0:
        return value
    rows, columns = value.shape
    sign = np.where(stream(0, columns) & np.uint64(1), -1.0, 1.0)
    at = (stream(1, rows * sample) % np.uint64(columns)).astype(int).reshape(rows, sample)
    return np.concatenate([np.take_along_axis(value, at, 1), (value * sign).sum(1, keepdims=True)], 1)


def sample_size(name, rows, columns):
    budget = {"hidden": 4 if rows > 100 else 8}.get(name, 24)
    return 0 if columns <= budget + 1 else budget


def record(name, folder, cls, sequences, head):
    """Run the folder in float32, see that float64 agrees (it is well conditioned), and write the fixture."""
    model = load(folder, cls)
    rows = []
    for s, sequence in enumerate(sequences):
        n = len(sequence["ids"])
        rows += [[s, t] for t in dict.fromkeys([n - 1, 0, n // 2])]
    single = run_all(model, sequences, rows)
    double = run_all(model.double(), sequences, rows)
    worst, at, outputs, data = 0.0, 0, [], []
    for output, value in single.items():
        worst = max(worst, float((np.abs(value - double[output]) / np.maximum(1, np.abs(value))).max()))
        sample = sample_size(output, *value.shape)
        stored = sampled(value, sample).astype("<f4")
        outputs.append({"output": output, "columns": value.shape[1], "sample": sample, "at": at})
        data.append(stored.ravel())
        at += stored.size
    if worst > 3e-5:
        sys.exit(f"{name}: float32 is {worst:.1e} away from float64; choose other weights")
    golden = {**head, "sequences": sequences, "outputs": outputs}
    if "masked_lm" in single:
        golden["rows"] = rows
    with open(os.path.join(OUT, name + ".json"), "w") as f:
        f.write(to_text(golden))
    np.concatenate(data).tofile(os.path.join(OUT, name + ".bin"))
    tokens = sum(len(s["ids"]) for s in sequences)
    print(f"{name:18} {tokens:5} tokens {4 * at:7} bytes   float64 {worst:.1e}   {' '.join(single)}")


def to_text(golden):
    """JSON with one tensor, sequence or output a line."""
    lines = []
    for key, value in golden.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            inner = ",\n".join("  " + json.dumps(v) for v in value)
            lines.append(f" {json.dumps(key)}: [\n{inner}\n ]")
        else:
            lines.append(f" {json.dumps(key)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def make_case(name):
    case = CASES[name]
    folder = tempfile.mkdtemp()
    try:
        torch.manual_seed(0)
        config, tensors, checksum = build_folder(folder, case)
        sequences = sequences_of(name, case["lengths"], case["config"]["vocab_size"],
                                 case["config"].get("type_vocab_size", 2))
        record(name, folder, case["cls"], sequences,
               {"class": case["cls"], "dtype": case["dtype"], "shards": case["shards"],
                "checksum": f"{checksum:016x}", "config": config, "tensors": tensors})
    finally:
        shutil.rmtree(folder)


def make_bundled(name):
    where, texts = BUNDLED[name]
    folder = os.path.join(ROOT, where)
    tokenizer = transformers.AlbertTokenizer.from_pretrained(folder)
    sequences = []
    for text in texts:
        encoded = tokenizer(*text) if isinstance(text, tuple) else tokenizer(text)
        sequences.append({"ids": encoded["input_ids"], "types": encoded["token_type_ids"]})
    with open(os.path.join(folder, "config.json")) as f:
        cls = json.load(f)["architectures"][0]
    record(name, folder, cls, sequences, {"class": cls, "folder": where})


def make_minilm(folder):
    from sentence_transformers import SentenceTransformer
    tokenizer = transformers.BertTokenizer.from_pretrained(folder)
    sequences = [{"ids": tokenizer(t, truncation=True, max_length=256)["input_ids"]} for t in MINILM_TEXTS]
    model = load(folder, "BertModel")
    means = run_all(model, sequences, [])["mean"]
    published = SentenceTransformer(folder, device="cpu").encode(MINILM_TEXTS, normalize_embeddings=True)
    away = np.abs(means / np.linalg.norm(means, axis=1, keepdims=True) - published).max()
    if away > 1e-5:
        sys.exit(f"minilm: mean pooling is {away:.1e} away from sentence-transformers")
    record("minilm", folder, "BertModel", sequences, {"class": "BertModel", "environment": "REPRISE_MINILM"})


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minilm", metavar="DIR", help="folder of all-MiniLM-L6-v2; case minilm needs it")
    parser.add_argument("cases", nargs="*", metavar="CASE", help="only these; default: all")
    args = parser.parse_args()
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    os.makedirs(OUT, exist_ok=True)
    chosen = args.cases or [*CASES, *BUNDLED, *(["minilm"] if args.minilm else [])]
    for name in chosen:
        if name in CASES:
            make_case(name)
        elif name in BUNDLED:
            make_bundled(name)
        elif name == "minilm" and args.minilm:
            make_minilm(args.minilm)
        else:
            parser.error(f"{name}: choose among {' '.join([*CASES, *BUNDLED])}, or minilm with --minilm")


if __name__ == "__main__":
    main()
