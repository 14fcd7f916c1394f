#!/usr/bin/env python3
"""Write tests/goldens/tf: small checkpoints as Google's ALBERT and BERT leave them, and beside each the same weights as
transformers saves them. Needs torch, transformers 4.44.2; TensorFlow is not needed: its format is written here from
the facts of tensorflow/core/util/tensor_bundle and LevelDB's table format. With --check PREFIX... each checkpoint is
read by TensorFlow (2.21 was tried), saved by it again, and must come out as the same bytes."""
import json
import os
import re
import struct
import sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tf")
DTYPES = {"float32": 1, "float64": 2, "int64": 9, "float16": 19}


# ---- the format ----
def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def varint(n):
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def number(field, value):
    return varint(field << 3) + varint(value) if value else b""


def message(field, data):
    return varint(field << 3 | 2) + varint(len(data)) + data


def block(entries, interval=16):
    out, restarts, last = b"", [], b""
    for i, (key, value) in enumerate(entries):
        shared = 0
        if i % interval == 0:
            restarts.append(len(out))
        else:
            while shared < min(len(last), len(key)) and last[shared] == key[shared]:
                shared += 1
        out += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        last = key
    restarts = restarts or [0]
    return out + struct.pack("<%dI" % (len(restarts) + 1), *restarts, len(restarts))


def table(entries):
    """Sorted (key, value) pairs, in one block of data."""
    out, handles = b"", []
    last = entries[-1][0]
    end = bytes([last[0] + 1])  # the shortest key behind all of them
    for content in (block(entries), block([]), None):
        if content is None:
            content = block([(end, handles[0])], 1)
        handles.append(varint(len(out)) + varint(len(content)))
        out += content + b"\0" + struct.pack("<I", crc32c(content + b"\0"))
    footer = handles[1] + handles[2]
    return out + footer + bytes(40 - len(footer)) + struct.pack("<Q", 0xDB4775248B80FB57)


def bundle(prefix, arrays, shards=1):
    """arrays: {name: numpy array}."""
    entries = [(b"", number(1, shards) + message(3, number(1, 1)))]
    data = [b""] * shards
    for i, name in enumerate(sorted(arrays)):
        array, shard = arrays[name], i % shards
        raw = array.tobytes()
        shape = b"".join(message(2, number(1, size)) for size in array.shape)
        entry = number(1, DTYPES[str(array.dtype)]) + message(2, shape) + number(3, shard)
        entry += number(4, len(data[shard])) + number(5, len(raw)) + varint(6 << 3 | 5) + struct.pack("<I", crc32c(raw))
        entries.append((name.encode(), entry))
        data[shard] += raw
    os.makedirs(os.path.dirname(prefix), exist_ok=True)
    for i, content in enumerate(data):
        with open("%s.data-%05d-of-%05d" % (prefix, i, shards), "wb") as file:
            file.write(content)
    with open(prefix + ".index", "wb") as file:
        file.write(table(entries))


# ---- the names ----
def tf_name(name):
    """The name that Google's code gives the tensor that transformers calls `name`."""
    name = re.sub(r"embeddings\.weight$", "embeddings", name)
    if re.search("LayerNorm|layer_norm", name):
        name = name.replace(".weight", ".gamma").replace(".bias", ".beta")
    elif re.search("seq_relationship|sop_classifier|qa_outputs|^classifier|^cls.predictions.bias|^predictions.bias", name):
        name = name.replace("weight", "output_weights").replace("bias", "output_bias")
    else:
        name = re.sub(r"\.weight$", ".kernel", name)
    for old, new in (("sop_classifier.classifier", "cls.seq_relationship"), ("qa_outputs", "cls.squad"),
                     ("albert_layer_groups.", "transformer.group_"), (".albert_layers.", ".inner_group_"),
                     ("attention.LayerNorm", "LayerNorm"), ("full_layer_layer_norm", "LayerNorm_1"),
                     ("ffn_output", "ffn_1.intermediate.output.dense"), (".ffn.", ".ffn_1.intermediate.dense."),
                     ("attention.query", "attention_1.self.query"), ("attention.key", "attention_1.self.key"),
                     ("attention.value", "attention_1.self.value"), ("attention.dense", "attention_1.output.dense"),
                     ("albert.pooler", "bert.pooler.dense"), ("albert.", "bert."), ("encoder.layer.", "encoder.layer_")):
        name = name.replace(old, new)
    name = re.sub(r"^predictions\.(dense|LayerNorm)", r"cls.predictions.transform.\1", name)
    name = re.sub(r"^predictions", "cls.predictions", name)
    name = re.sub(r"^classifier\.", "", name)
    return name.replace(".", "/")


def arrays_of(model, prefix=""):
    import numpy
    out = {"global_step": numpy.array(7, numpy.int64)}
    for name, tensor in model.state_dict().items():
        if re.search("position_ids|decoder", name):
            continue
        array, name = tensor.numpy(), prefix + tf_name(name)
        out[name] = numpy.ascontiguousarray(array.T) if name.endswith("/kernel") else array
    slot = prefix + "bert/pooler/dense/kernel"
    if slot in out:
        out[slot + "/adam_m"] = out[slot + "/adam_v"] = 0 * out[slot]
    return out


# ---- the models ----
SIZES = dict(vocab_size=31, hidden_size=12, num_attention_heads=2, intermediate_size=20, max_position_embeddings=16,
             type_vocab_size=2)
CASES = {  # class, its config, what is called "gelu" by Google, the name of Google's config, of the checkpoint, prefix, shards
    "albert": ("AlbertForPreTraining", dict(SIZES, embedding_size=8, num_hidden_layers=4, num_hidden_groups=2,
                                            inner_group_num=2, hidden_act="gelu_new"),
               "albert_config.json", "model.ckpt-best", "", 1),
    "albert_hub": ("AlbertForPreTraining", dict(SIZES, embedding_size=8, num_hidden_layers=2, hidden_act="gelu_new"),
                   "assets/albert_config.json", "variables/variables", "module/", 1),
    "albert_classifier": ("AlbertForSequenceClassification", dict(SIZES, embedding_size=8, num_hidden_layers=2, num_labels=3,
                                                                  hidden_act="relu"), "albert_config.json", "model.ckpt-3", "", 1),
    "bert": ("BertForPreTraining", dict(SIZES, num_hidden_layers=2), "bert_config.json", "bert_model.ckpt", "", 2),
    "bert_one_row": ("BertForSequenceClassification", dict(SIZES, num_hidden_layers=1, num_labels=1), "bert_config.json",
                     "model.ckpt", "", 1),
    "bert_squad": ("BertForQuestionAnswering", dict(SIZES, num_hidden_layers=1), "bert_config.json", "model.ckpt-10", "", 1),
}


def write_case(case, kind, config, config_name, checkpoint, prefix, shards):
    import safetensors.torch
    import torch
    import transformers
    config_class = transformers.AlbertConfig if kind.startswith("Albert") else transformers.BertConfig
    model = getattr(transformers, kind)(config_class(**config))
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_((torch.rand_like(parameter) - 0.5) * 0.5)
    folder = os.path.join(ROOT, case)
    google = {key: value for key, value in config.items() if key != "num_labels"}
    google["hidden_act"] = "gelu" if config.get("hidden_act") != "relu" else "relu"
    os.makedirs(os.path.dirname(os.path.join(folder, config_name)), exist_ok=True)
    with open(os.path.join(folder, config_name), "w") as file:
        json.dump(google, file, indent=2)
    bundle(os.path.join(folder, checkpoint), arrays_of(model, prefix), shards)
    model.save_pretrained(folder + "_hf")
    os.rename(folder + "_hf/model.safetensors", folder + ".safetensors")
    os.rename(folder + "_hf/config.json", folder + ".json")
    os.rmdir(folder + "_hf")


def check(prefix):
    """TensorFlow reads the checkpoint, and its own of the same variables has the same bytes."""
    import tempfile
    import tensorflow
    v1 = tensorflow.compat.v1
    v1.disable_eager_execution()
    reader = tensorflow.train.load_checkpoint(prefix)
    again = os.path.join(tempfile.mkdtemp(), "again")
    with tensorflow.Graph().as_default(), v1.Session() as session:
        variables = [v1.get_variable(name, initializer=v1.constant(reader.get_tensor(name)))
                     for name in sorted(reader.get_variable_to_shape_map())]
        session.run(v1.global_variables_initializer())
        v1.train.Saver(variables).save(session, again)
    for suffix in (".index", ".data-00000-of-00001"):
        same = open(prefix + suffix, "rb").read() == open(again + suffix, "rb").read()
        print(prefix + suffix, "the same bytes" if same else "DIFFERENT")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--check"]:
        for prefix in sys.argv[2:]:
            check(prefix)
    else:
        for case, parts in CASES.items():
            write_case(case, *parts)
