#!/usr/bin/env python3
"""Write the seeds of tests/fuzz/corpus. Inputs that once found a mistake (found-*) are kept beside them by hand."""
import json
import os
import struct

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus")
ENTRY_MAGIC = b"reprise2"


def put(target, name, data):
    os.makedirs(os.path.join(ROOT, target), exist_ok=True)
    with open(os.path.join(ROOT, target, name), "wb") as file:
        file.write(data if isinstance(data, bytes) else data.encode())


def folder(first, **others):
    out = first if isinstance(first, bytes) else first.encode()
    for name, data in others.items():
        name = name.replace("__", "/").replace("_json", ".json").replace("_txt", ".txt").replace("_st", ".safetensors").replace("_bin", ".bin")
        name = name.replace("model_index", "model.safetensors.index").replace("-", "_")
        out += b"\n=== " + name.encode() + b"\n" + (data if isinstance(data, bytes) else data.encode())
    return out


# ---- JSON ----
# The first character says how it is read: 1 any value, 2 NULs, 4 reals, 8 large numbers.
put("json", "values", '0{"a": [1, -2.5e3, 0.125, true, false, null, "x\\u00e9\\ud83d\\ude00\\n\\"y"], "na\u00efve": {"b": "", "c": {}, "d": [[]]}}')
put("json", "members", "0{" + ", ".join('"%d": {"%d": %d}' % (i, i, i) for i in range(20)) + "}")
put("json", "twice", "0{" + ", ".join('"%d":0' % (i % 19) for i in range(20)) + "}")
put("json", "numbers", "8[18446744073709551615, -9223372036854775809, 1e400, -1e-400, 0.1e-7, 123456789012345678901234567890.25, -0, -0.0]")
put("json", "reals", "4[1000000000000000019884624838656, 1, -1]")
put("json", "string", '3"a\\u0000b\\ud800"')
put("json", "cut", '0{"a": [1, {"b": "\\')
put("json", "commas", "0[{,,,,,,,,},,,,,,,,,,]")

# ---- safetensors ----
def safetensors(tensors, header=None, length=None, data=None):
    """tensors: (name, dtype, shape, bytes); the rest replaces what would be right."""
    entries, body = {}, b""
    for name, dtype, shape, content in tensors:
        entries[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(body), len(body) + len(content)]}
        body += content
    text = (json.dumps(entries) if header is None else header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + (body if data is None else data)


def one(offsets, shape="[2]", dtype="F32", data=8):
    return safetensors([], '{"a":{"dtype":"%s","shape":%s,"data_offsets":%s}}' % (dtype, shape, offsets), data=bytes(data))


F32 = struct.pack("<2f", 1, -2)
put("safetensors", "two", safetensors([("a", "F32", [2], F32), ("b.c", "F16", [2, 1], bytes(4))]))
put("safetensors", "metadata", safetensors([], '{"__metadata__":{"format":"pt"},"x":{"dtype":"BF16","shape":[1,3],"data_offsets":[0,6]}}', data=bytes(6)))
put("safetensors", "nan", safetensors([("a", "F32", [2], struct.pack("<2f", 1, float("nan")))]))
put("safetensors", "infinite", safetensors([("a", "F16", [1], b"\x00\x7c")]))
put("safetensors", "empty_tensor", safetensors([("a", "F32", [0, 5], b""), ("b", "I64", [], bytes(8))]))
put("safetensors", "overlap", safetensors([], '{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}}', data=bytes(6)))
put("safetensors", "hole", safetensors([], '{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}}', data=bytes(3)))
put("safetensors", "duplicate", safetensors([], '{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', data=bytes(1)))
put("safetensors", "offset_2_63", one("[9223372036854775800,9223372036854775807]"))
put("safetensors", "offset_2_64", one("[0,18446744073709551616]"))
put("safetensors", "shape_overflow", one("[0,8]", "[4611686018427387904,4,2]"))
put("safetensors", "backwards", one("[8,0]"))
put("safetensors", "deep", safetensors([], '{"a":' + "[" * 3000 + "]" * 3000 + "}"))
put("safetensors", "long_length", safetensors([], "{}", length=1 << 63))
put("safetensors", "longer_than_file", safetensors([], "{}", length=100))
put("safetensors", "no_tensors", safetensors([]))
put("safetensors", "unknown_dtype", one("[0,8]", "[16]", "F4"))
put("safetensors", "lfs", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")

# ---- config.json and weights ----
SMALL = {"model_type": "albert", "architectures": ["AlbertForSequenceClassification"], "vocab_size": 3,
         "embedding_size": 2, "hidden_size": 2, "intermediate_size": 2, "num_hidden_layers": 2, "num_attention_heads": 1,
         "max_position_embeddings": 2, "type_vocab_size": 1, "hidden_act": "gelu_new", "layer_norm_eps": 1e-12,
         "id2label": {"0": "no", "1": "yes"}}
put("config", "albert", json.dumps(SMALL))
put("config", "bert", json.dumps({"model_type": "bert", "architectures": ["BertForMaskedLM"], "hidden_act": "gelu",
                                  "position_embedding_type": "absolute", "tie_word_embeddings": False}))
put("config", "groups", json.dumps(dict(SMALL, num_hidden_groups=2, inner_group_num=2, num_labels=1, id2label=None,
                                        problem_type="regression")))
put("config", "largest", '{"model_type":"albert","num_hidden_layers":4096,"num_hidden_groups":4096,"inner_group_num":16}')
put("config", "huge", '{"model_type":"albert","vocab_size":1e400,"hidden_size":99999999999999999999}')
put("config", "distilbert", json.dumps({"model_type": "distilbert", "dim": 8, "n_heads": 2, "n_layers": 1,
                                        "hidden_dim": 3, "activation": "relu", "vocab_size": 3}))
put("config", "gaps", '{"model_type":"bert","id2label":{"0":true,"2":null,"7":"x","-1":3},"num_labels":2}')
put("config", "labels", '{"model_type":"bert","id2label":{"1":7,"0":"x"},"num_labels":131072}')
put("config", "decoder", '{"is_decoder":true,"hidden_size":2,"pruned_heads":{"1":[0]},"quantization_config":{"a":1}}')
put("config", "deep", "[" * 2100)

ROWS = [("embeddings.word_embeddings.weight", [3, 2]), ("embeddings.position_embeddings.weight", [2, 2]),
        ("embeddings.token_type_embeddings.weight", [1, 2]), ("embeddings.LayerNorm.weight", [2]),
        ("embeddings.LayerNorm.bias", [2]), ("encoder.embedding_hidden_mapping_in.weight", [2, 2]),
        ("encoder.embedding_hidden_mapping_in.bias", [2])]
LAYER = "encoder.albert_layer_groups.0.albert_layers.0."
for part in ("attention.query", "attention.key", "attention.value", "attention.dense", "ffn", "ffn_output"):
    ROWS += [(LAYER + part + ".weight", [2, 2]), (LAYER + part + ".bias", [2])]
for part in ("attention.LayerNorm", "full_layer_layer_norm"):
    ROWS += [(LAYER + part + ".weight", [2]), (LAYER + part + ".bias", [2])]
ROWS += [("pooler.weight", [2, 2]), ("pooler.bias", [2])]
HEAD = [("classifier.weight", [2, 2]), ("classifier.bias", [2])]
ELEMENTS = {1: lambda shape: shape[0], 2: lambda shape: shape[0] * shape[1]}
ALL = [("albert." + name, shape) for name, shape in ROWS] + HEAD


def tensors(rows):
    return [(name, "F16", shape, bytes(2 * ELEMENTS[len(shape)](shape))) for name, shape in rows]


put("weights", "whole", folder(json.dumps(SMALL), model_st=safetensors(tensors(ALL))))
put("weights", "missing", folder(json.dumps(SMALL), model_st=safetensors(tensors(ALL[:9]))))
index = {name: "a.safetensors" if i < 8 else "b.safetensors" for i, (name, _) in enumerate(ALL)}
put("weights", "shards", folder(json.dumps(SMALL), model_index_json=json.dumps({"weight_map": index}),
                                a_st=safetensors(tensors(ALL[:8])), b_st=safetensors(tensors(ALL[8:]))))
put("weights", "outside", folder(json.dumps(SMALL), model_index_json='{"weight_map":{"x":"../a.safetensors"}}'))
put("weights", "itself", folder(json.dumps(SMALL), model_index_json='{"weight_map":{"x":"model.safetensors"}}'))
put("weights", "many_layers", folder('{"model_type":"albert","num_hidden_layers":4096,"num_hidden_groups":4096,'
                                     '"inner_group_num":16,"vocab_size":1,"embedding_size":1}', model_st=safetensors([])))

# ---- files of torch.save ----
def word(text):
    return b"X" + struct.pack("<I", len(text)) + text.encode()


def integers(*values):
    return b"(" + b"".join(b"K" + bytes([n]) if n < 256 else b"J" + struct.pack("<i", n) for n in values) + b"t"


def storage(key, elements, kind="Float", more=b""):
    return (b"(" + word("storage") + b"ctorch\n%sStorage\n" % kind.encode() + word(key) + word("cpu") + b"J"
            + struct.pack("<i", elements) + more + b"tQ")


DICT = b"ccollections\nOrderedDict\n)R"


def pickled(name, shape, stored, offset=0, strides=None, v2=True):
    steps = [1]
    for size in shape[:0:-1]:
        steps.insert(0, steps[0] * size)
    return (word(name) + b"ctorch._utils\n_rebuild_tensor" + (b"_v2" if v2 else b"") + b"\n(" + stored + b"K" + bytes([offset])
            + integers(*shape) + integers(*(strides or steps)) + (b"\x89" + DICT if v2 else b"") + b"tR")


def state(*tensors):
    return b"\x80\x02}(" + b"".join(tensors) + b"u."


def archive(entries, crc=0, method=0):
    body, directory = b"", b""
    for name, data in entries:
        fields = struct.pack("<HHHHIIIHH", 0, method, 0, 0, crc, len(data), len(data), len(name), 0)
        directory += b"PK\1\2" + struct.pack("<HH", 20, 20) + fields + struct.pack("<HHHII", 0, 0, 0, 0, len(body)) + name.encode()
        body += b"PK\3\4" + struct.pack("<H", 20) + fields + name.encode() + data
    end = b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, len(entries), len(entries), len(directory), len(body), 0)
    return body + directory + end


def saved(pickle, *data, order=None):
    return archive([("a/data.pkl", pickle)] + [("a/data/%d" % i, d) for i, d in enumerate(data)]
                   + ([("a/byteorder", order)] if order else []))


def saved_before(pickle, *data, size=4):
    out = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.\x80\x02}."
    out += pickle + b"\x80\x02](" + b"".join(word(str(i)) for i in range(len(data))) + b"e."
    return out + b"".join(struct.pack("<q", len(d) // size) + d for d in data)


SIX = struct.pack("<6f", 1, 2, 3, 4, 5, 6)
TWO_BY_THREE = pickled("a.weight", [2, 3], storage("0", 6))
PICKLES = {"tensor": state(TWO_BY_THREE), "old": state(pickled("a", [6], storage("0", 6, more=b"N"), v2=False)),
           "view": state(pickled("a", [2], storage("0", 6, more=b"(" + word("1") + b"K\1K\4t"), 2)),
           "memo": b"\x80\x02}q\0(" + word("a") + b"q\1h\1r\2\0\0\0j\2\0\0\0h\0u.",
           "four": b"\x80\x04\x95\x20\0\0\0\0\0\0\0}\x94(\x8c\1a\x94\x8c\5torch\x94\x8c\x0cFloatStorage\x94\x93\x94h\4h\1u.",
           "python_2": b"\x80\x02ccollections\nOrderedDict\n](](U\1aK\1e](T\1\0\0\0bNee\x85R.",
           "numbers": b"\x80\x02(K\1M\1\2J\xfe\xff\xff\xff\x8a\2\1\2G\x3f\xf0\0\0\0\0\0\0\x88\x89N)t.",
           "tuples": b"\x80\x02NN\x86N\x86\x85NN\x87.", "lists": b"\x80\x02]Na(NNe.",
           "attributes": b"\x80\x02" + DICT + b"}" + word("_metadata") + b"}" + word("") + b"}" + word("version") + b"K\1sssb.",
           "parameter": b"\x80\x02}" + b"".join([word("p"), b"ctorch._utils\n_rebuild_parameter\n(", TWO_BY_THREE[13:], b"\x88", DICT, b"tRs."]),
           "call": b"\x80\x02cos\nsystem\n" + word("ls") + b"\x85R.", "index": b"\x80\x02Nr\xff\xff\xff\x7f."}
for name, data in PICKLES.items():
    put("pickle", name, data)
put("zip", "two", archive([("a", b"first"), ("b/c", b"")]))
put("zip", "compressed", archive([("a", b"first")], method=8))
put("zip", "checksum", archive([("a", b"first")], crc=0x9271ee57))
put("zip", "none", archive([]))
LARGE = archive([("a", b"first")])
RECORD = b"PK\6\6" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, 1, 1, 47, 36) + b"PK\6\7" + struct.pack("<IQI", 0, 83, 1)
put("zip", "large", LARGE[:83] + RECORD + b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 65535, 65535, 2**32 - 1, 2**32 - 1, 0))
put("pytorch", "zip", saved(state(TWO_BY_THREE), SIX))
put("pytorch", "big", saved(state(pickled("a", [3], storage("0", 3, "Double"))), bytes(24), order=b"big"))
put("pytorch", "strides", saved(state(pickled("a", [3, 2], storage("0", 6), 0, [1, 3]), pickled("b", [100, 3], storage("0", 6), 1, [0, 2])), SIX))
put("pytorch", "wrapped", saved(b"\x80\x02}" + word("state_dict") + state(pickled("module.h", [6], storage("0", 6, "Half")))[2:-1] + b"s.", SIX[:12]))
put("pytorch", "old", saved_before(state(pickled("a", [2, 3], storage("0", 6, more=b"N"))), SIX))
put("pytorch", "integers", saved_before(state(pickled("a", [3], storage("0", 3, "Long", b"N"))), bytes(24), size=8))
put("pytorch", "large", saved(state(pickled("a", [2**31 - 1, 2**31 - 1], storage("0", 6), 0, [0, 0])), SIX))
put("pytorch", "tar", bytes(257) + b"ustar" + bytes(250))
HALVES = [pickled(name, shape, storage(str(i), ELEMENTS[len(shape)](shape), "Half")) for i, (name, shape) in enumerate(ALL)]
ZEROS = [bytes(2 * ELEMENTS[len(shape)](shape)) for _, shape in ALL]
put("weights", "torch", folder(json.dumps(SMALL), pytorch_model_bin=saved(state(*HALVES), *ZEROS)))
put("weights", "torch_shards", folder(json.dumps(SMALL), **{"pytorch-model_bin.index_json": json.dumps({"weight_map": {
    name: "a.bin" if i < 8 else "b.bin" for i, (name, _) in enumerate(ALL)}})},
    a_bin=saved(state(*HALVES[:8]), *ZEROS[:8]), b_bin=saved(state(*HALVES[8:]), *ZEROS)))

# ---- pooling ----
MODULES = [{"type": "sentence_transformers.models.Transformer", "path": ""},
           {"type": "sentence_transformers.models.Pooling", "path": "1_Pooling"},
           {"type": "sentence_transformers.models.Normalize", "path": "2_Normalize"}]
put("pooling", "all", folder(json.dumps(MODULES), **{"1-Pooling__config_json": '{"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false}'},
                             **{"sentence-bert-config_json": '{"max_seq_length": 128, "do_lower_case": false}'}))
put("pooling", "mode", folder("", **{"1-Pooling__config_json": '{"pooling_mode": "max"}'}))
put("pooling", "last", folder("", **{"1-Pooling__config_json": '{"pooling_mode_lasttoken": true}'},
                              **{"sentence-albert-config_json": '{"max_seq_length": null}'}))
put("pooling", "outside", '[{"type": "a.Transformer", "path": "../.."}, {"type": "Dense", "path": "x"}]')
put("pooling", "limits", folder("", **{"sentence-bert-config_json": '{"max_seq_length": 99999999999}'}))

# ---- moderation ----
def moderation(thresholds, policy):
    return thresholds + "\n=== policy.json\n" + json.dumps(policy)


RULE = {"label": "spam", "threshold": 0.9, "action": "block"}
put("moderation", "all", moderation('{"thresholds": {"spam": 0.62, "call": 1}, "rows": 3}',
                                    {"rules": [RULE, {"label": "call", "action": "review"}],
                                     "actions": ["block", "review"], "default": "allow"}))
put("moderation", "first", moderation("", {"rules": [RULE, {"label": "ham", "threshold": 0, "action": "x"}]}))
put("moderation", "intent", moderation('{"intent": {"threshold": 0.985, "support": 3}}', {"rules": []}))
put("moderation", "wrong", moderation('{"thresholds": {"ham": 1e999}}', {"rules": [{"label": 3}], "actions": [[]]}))

# ---- plain_text ----
put("plain_text", "hidden", "fr\u200bee c\u0430sh, F R E E  c-a-l-l fr33 w1n freeeee \U0001d41f\uff52! (www.w1n4.com)\n")
put("plain_text", "others", "\u043c\u043e\u0440\u0435 10am 4th @$$ !1| e.g. \u3002\u0301\u00ad a.b.c.d.e")

# ---- tokenizers ----
def varint(n):
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def field(number, data):
    return varint(number << 3 | 2) + varint(len(data)) + data


def piece(text, kind=1, score=-1.0):
    return field(1, field(1, text.encode()) + b"\x15" + struct.pack("<f", score) + b"\x18" + varint(kind))


def charsmap(units, block):
    data = b"".join(struct.pack("<I", unit) for unit in units)
    return struct.pack("<I", len(data)) + data + block


PIECES = (piece("<unk>", 2, 0) + piece("[CLS]", 3, 0) + piece("[SEP]", 3, 0) + piece("[MASK]", 4, 0) + piece("<pad>", 3, 0)
          + piece("\u2581a", 1, -2) + piece("\u2581") + piece("a", 1, -3) + piece("letter", 1, -4) + piece("e", 1, -5)
          + piece("t", 1, -6) + piece("came") + piece(".", 1, -7) + piece("3") + piece(",") + piece("\u4e2d"))
UNIGRAM = field(2, b"\x18\x01")
put("spiece", "unigram", PIECES + UNIGRAM + field(3, b"\x18\x01\x20\x01\x28\x01"))
put("spiece", "bpe", PIECES + field(2, b"\x18\x02") + field(3, b"\x18\x01"))
put("spiece", "word", PIECES + field(2, b"\x18\x03"))
BYTES = b"".join(piece("<0x%02X>" % i, 6, 0) for i in range(256))
put("spiece", "bytes", PIECES + BYTES + field(2, b"\x18\x01\x98\x02\x01"))
ROOT_UNIT = [1 << 10] + [0] * 255
put("spiece", "charsmap", PIECES + UNIGRAM + field(3, field(2, charsmap(ROOT_UNIT, b"b\0"))))
LETTER = [256 << 10] + [1 << 31] * 767  # "a"; its value at byte 0
LETTER[256 ^ ord("a")] = ord("a") | 1 << 8 | (256 ^ ord("a") ^ 512) << 10
put("spiece", "charsmap_long", PIECES + UNIGRAM + field(3, field(2, charsmap(LETTER, "\ue000".encode() * 1000 + b"\0"))))
CIRCLE = LETTER[:512]
CIRCLE[256 ^ ord("a")] = ord("a") | ord("a") << 10  # "a" and back
put("spiece", "charsmap_circle", PIECES + UNIGRAM + field(3, field(2, charsmap(CIRCLE, b"b\0"))))
put("spiece", "charsmap_out", PIECES + UNIGRAM + field(3, field(2, charsmap([0xffffffff] * 4, b"b\0"))))
put("spiece", "charsmap_cut", PIECES + field(3, field(2, b"\xff\xff\xff\xff\0\0")))
put("spiece", "no_unknown", piece("a") + piece("b"))
put("spiece", "long_piece", field(1, varint(1 << 3 | 2) + varint((1 << 64) - 1)))
put("spiece", "settings", folder(PIECES + UNIGRAM, **{"tokenizer-config_json": json.dumps({
    "do_lower_case": False, "keep_accents": True, "remove_space": False, "truncation_side": "left", "model_max_length": 5})}))

VOCAB = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nletter\ncame\n##s\n.\n,\n'\n3\n000\nna\n##ive\n"
CONFIG = {"do_lower_case": True, "tokenizer_class": "BertTokenizer", "never_split": ["Don", "a"], "strip_accents": None,
          "model_max_length": 1e30, "truncation_side": "left", "additional_special_tokens": ["<x>", {"content": "<y>"}]}
DECODER = {"1": {"content": "[UNK]", "special": True}, "30": {"content": "new", "single_word": True, "normalized": True},
           "31": {"content": " b", "lstrip": True, "rstrip": True}}
put("vocab", "plain", folder("", vocab_txt=VOCAB))
put("vocab", "crlf", folder("{}", vocab_txt=VOCAB.replace("\n", "\r\n")))
put("vocab", "config", folder(json.dumps(CONFIG), vocab_txt=VOCAB))
put("vocab", "decoder", folder(json.dumps(dict(CONFIG, added_tokens_decoder=DECODER)), vocab_txt=VOCAB))
put("vocab", "map", folder("{}", **{"special-tokens-map_json": '{"mask_token": {"content": "letter", "lstrip": true}, "unk_token": "a", "cls_token": null}',
                                    "added-tokens_json": '{"new": 16, "er": 17.0, "a": 5}'}))
put("vocab", "full", folder("{}", tokenizer_json='{"added_tokens": [{"id": 20, "content": "came"}], "pre_tokenizer": {"pretokenizers": [{"type": "WhitespaceSplit"}]}}'))
put("vocab", "hole", folder("{}", **{"added-tokens_json": '{"far": 1048580, "further": 2147483647, "no": -1, "half": 0.5}'}))
put("vocab", "class", folder('{"tokenizer_class": "AlbertTokenizerFast"}', vocab_txt=VOCAB, config_json='{"model_type": "bert"}'))
put("vocab", "nul", folder("{}", vocab_txt=b"[UNK]\na\0b\n"))
put("vocab", "invalid", folder("{}", vocab_txt=b"[UNK]\n\xff\n"))

# ---- tokenizer.json ----
SEEN = {w: i for i, w in enumerate(VOCAB.split())}
SCORED = [["<unk>", 0.0], ["\u2581", -2.0], ["a", -3.0], ["\u2581letter", -4.0], ["e", -5.5], ["[MASK]", 0], ["\u2581came", -4.5], ["<0x4D>", -9]]
WORDPIECE = {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 9, "vocab": SEEN}
TEMPLATE = {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "[CLS]", "type_id": 1}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {"[CLS]": {"id": "[CLS]", "ids": [2, 3], "tokens": ["[CLS]", "[SEP]"]}}}
ADDED = [{"id": 4, "content": "[MASK]", "special": True, "lstrip": True, "normalized": False}, {"id": 90, "content": "A l", "normalized": True},
         {"id": 91, "content": "came", "single_word": True, "rstrip": True, "normalized": False}, {"id": 0, "content": "", "special": False}]
METASPACE = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "first", "split": True}
SMALL_MAP = "AAQAA" + "A" * 1360 + "YQA="  # 256 empty units, and one value


def pipeline(normalizers=(), pre=(), model=WORDPIECE, post=None, decoders=(), added=(), **config):
    root = {"version": "1.0", "added_tokens": list(added), "normalizer": {"type": "Sequence", "normalizers": list(normalizers)},
            "pre_tokenizer": {"type": "Sequence", "pretokenizers": list(pre)}, "post_processor": post,
            "decoder": {"type": "Sequence", "decoders": list(decoders)}, "model": model}
    return folder(json.dumps(root, ensure_ascii=False), **{"tokenizer-config_json": json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", **config})})


def replace(content, **pattern):
    return {"type": "Replace", "pattern": pattern, "content": content}


put("tokenizer_json", "bert", pipeline([{"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True}],
                                       [{"type": "BertPreTokenizer"}], post={"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]},
                                       decoders=[{"type": "WordPiece", "prefix": "##", "cleanup": True}], added=ADDED, tokenizer_class="BertTokenizer"))
put("tokenizer_json", "unigram", pipeline([replace('"', String="``"), {"type": "NFKD"}, {"type": "StripAccents"}, {"type": "Lowercase"}, replace(" ", Regex=" {2,}")],
                                          [{"type": "WhitespaceSplit"}, METASPACE], {"type": "Unigram", "unk_id": 0, "vocab": SCORED, "byte_fallback": True},
                                          TEMPLATE, [METASPACE, {"type": "ByteFallback"}, {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}], ADDED,
                                          model_input_names=["input_ids"], additional_special_tokens=["<x>"]))
put("tokenizer_json", "splits", pipeline([{"type": "Strip", "strip_left": True, "strip_right": False}, {"type": "Prepend", "prepend": "a "}, {"type": "Nmt"}, {"type": "NFC"},
                                          replace("aa", Regex="e*|[^\\w\\s]")],
                                         [{"type": "Punctuation", "behavior": "MergedWithNext"}, {"type": "Digits", "individual_digits": True}, {"type": "Whitespace"},
                                          {"type": "Split", "pattern": {"Regex": "t{2}|m"}, "behavior": "MergedWithPrevious", "invert": True},
                                          {"type": "Split", "pattern": {"String": "t"}, "behavior": "Contiguous", "invert": False}],
                                         decoders=[replace("xx", String="e"), replace("", Regex="a|t+")]))
put("tokenizer_json", "growing", pipeline([replace("aaaaaaaa", String="a")] * 40, decoders=[replace("aaaaaaaa", String="a")] * 40))
put("tokenizer_json", "map", pipeline([{"type": "Precompiled", "precompiled_charsmap": SMALL_MAP}]))
put("tokenizer_json", "unserved", pipeline(pre=[{"type": "ByteLevel"}], model={"type": "BPE", "vocab": {}, "merges": []}, decoders=[{"type": "CTC"}]))

TEXTS = {"plain": "A letter came in the morning.\tHe read it twice.", "punctuation": "``Don't!'' 3,000 [MASK][CLS] <unk>",
         "marks": "e\u0301 \u0130stanbul \u03a3\u03a3 \ufb01 \u1e9b\u0323 \uac00\u1100\u1161 \u0344", "cjk": "\u4e2d\u6587 \u3000 \u30ab\u3099",
         "emoji": "\U0001f468\u200d\U0001f469\u200d\U0001f467 \ufe0f \u200b\u00ad", "spaces": "  \u00a0\u2028\r\n x  x ",
         "word": "a" * 120, "underscore": "\u2581\u2581a \u2581"}
for name, text in TEXTS.items():
    for kind in range(3):
        put("tokenize", f"{name}_{kind}", bytes([kind, 0]) + text.encode())
put("tokenize", "cut", b"\x00\x07" + "one two three four five six\tseven eight".encode())
put("tokenize", "too_small", b"\x01\x02a\tb")
put("tokenize", "bare", b"\x0d\x04a b c d e f")
for kind, text in enumerate([b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"a\xe4\xb8", b"a\0b"]):
    put("tokenize", f"bytes_{kind}", bytes([kind % 2, 0]) + text)

# ---- the command's input ----
for shape in range(5):
    put("input", f"plain_{shape}", bytes([4 * shape]) + b"\xef\xbb\xbfone\ttwo\tthree\r\n\nfour\n\t\nlast")
    put("input", f"json_{shape}", bytes([4 * shape + 1]) + b'{"text": "a\\u0000b", "text_pair": null, "question": "q", "context": "c", "choices": ["x", "y"]}\n'
        b'{"text": 1, "choices": []}\n[]\n{"text": "a", "text": "b"}\n{"choices": [1], "text": "\\ud800"}\n\n{"text": "\xff"}')
put("input", "numbers", b"\x01" + b'{"id": 18446744073709551615, "text": "a"}\n{"w": [1e400, -1e400], "text": "b"}\n{"text": 1e400}')
put("input", "kept", b"\x81" + b'{ "id" : 1.50e0 ,"text":"a","x":[{"}":"]"}, "\\"" ],"answer":null,"input_answer":{}}\n{"id":[],"text":1}')
put("input", "deep", b"\x01" + b'{"text":' + b"[" * 2100)

# ---- tables ----
# The first byte: the separator (0 found, 1 comma, 2 semicolon, 3 tab), 4 for no quotes, 8 times the columns; then the
# longest row less 4, and the bytes of a call less 1.
def table(name, text, flags=0, longest=250, cut=2):
    put("table", name, bytes([flags, longest, cut]) + text.encode("utf-8", "surrogateescape"))


table("csv", 'id,text\n1,"a ""b"", c"\r\n2,"two\nlines"\r3,d"e\n')
table("semicolons", '\ufefftext;label\n"a;b";1\n\n;\n"";""\n')
table("tsv", 'sentence\tlabel\n"a\t0\nb"" c\t1', 7)
table("excel", 'text\tlabel\n"a\tb"\t0\n')
table("ragged", "a,b\n1\n1,2,3\n1,2\n")
table("no-header", "gj04\t1\t\tOur friends.\ngj04\t0\t*\tMe.\n", 7)
table("two-columns", "a,b\nc\n", 17)
table("never-closed", 'a,b\n1,"x\n2,y\n3,z\n4,"w')
table("closed-by-the-next", 'a,b\n1,"x\n2,"y"\n3,z\n')
table("behind", 'a,b\n1,"x"y\n2,"z\n"q,\n3,w\n')
table("long", "a,b\n" + "x" * 40 + ",y\n1,2\n", longest=10)
table("long-quotes", 'a,b\n1,"' + "x\n" * 20 + "3,4\n", longest=10)
table("opens-each-line", 'x","\n' * 30, longest=30)
table("bytes", "a,\udcff\n\0,\0\n")
table("wide", "\udcff\udcfea\0,\0b\0")
for kind, separator in enumerate("\t,;\t"):
    rows = 'a|"b ""c""\nd"|1|e\r\n|||\n\nshort\na|b|c|d|e|"f"\n"a"b|c|d|e\n\udcff|b|c|d\na|"never|c|d'
    put("rows", f"rows_{kind}", bytes([5 * kind]) + rows.replace("|", separator).encode("utf-8", "surrogateescape"))

# ---- caches: the first byte chooses what the content is taken for, and whether a right header is put before it ----
SPIRV = struct.pack("<5I", 0x07230203, 0x00010300, 0, 8, 0) + struct.pack("<2I", 2 << 16 | 17, 1) + struct.pack("<3I", 3 << 16 | 14, 0, 1)
PIPELINES = struct.pack("<4I", 32, 1, 0x10005, 0) + bytes(range(16)) + b"driver"
put("cache", "raw", b"\x00" + ENTRY_MAGIC + struct.pack("<2Q", 3, 0) + b"abc")
put("cache", "raw_long", b"\x00" + ENTRY_MAGIC + struct.pack("<2Q", 1 << 63, 0))
put("cache", "spirv", b"\x01" + SPIRV)
put("cache", "spirv_zero_words", b"\x01" + SPIRV[:20] + struct.pack("<I", 17))
put("cache", "spirv_cut", b"\x01" + SPIRV[:20] + struct.pack("<2I", 9 << 16 | 17, 1))
put("cache", "pipelines", b"\x02" + PIPELINES)
put("cache", "pipelines_short", b"\x02" + PIPELINES[:31])

# ---- notes of attempts: bit 0, the bytes of the file or those of the use in it ----
put("attempts", "note", b"\x011 1 01234567-89ab-cdef-0123-456789abcdef 0 0 0 0 1 1 1 2 0 18446744073709551615 0\n")
put("attempts", "cut", b"\x011 1 01234567-89ab-cdef-0123-456789abcdef 0 0 0")
put("attempts", "signs", b"\x01+1 -1 01234567-89ab-cdef-0123-456789abcdef x\n")
put("attempts", "use", b"\x001 1 1 3 0 0 0 0 64 1000 2")
put("attempts", "use_beyond", b"\x005 9 1 4 7 8 9 10 4097 18446744073709551616 16 1")
put("attempts", "long", b"\x00" + b"1 " * 100)

# ---- what the cache says of kernels: bit 0, speeds or a verdict ----
put("selection", "order", b"\x01one\ntwo\nthree\n")
put("selection", "order_twice", b"\x01one\none\ntwo\nthree\n")
put("selection", "order_long", b"\x01" + b"one\n" * 40)
put("selection", "order_short", b"\x01three\n")
put("selection", "order_other", b"\x01four\ntwo\nthree\n")
put("selection", "order_gaps", b"\x01\n\nthree\n\none\n\ntwo")
put("selection", "order_nul", b"\x01one\n\0two\nthree\n")
put("selection", "wrong", b"\x00wrong")
put("selection", "spills", b"\x00spills")
put("selection", "right", b"\x00right")
put("selection", "right_line", b"\x00right\n")
put("selection", "wrong_nul", b"\x00wrong\0right")
put("selection", "empty", b"\x00")

# ---- checkpoints of TensorFlow: entries of a block, and whole files ----
HEADER = b"\0\0\6\x08\1\x1a\2\x08\1"
put("tf_checkpoint", "entries", HEADER + b"\0\x18\x0cbert/embeddings/LayerNor\x08\1\x12\4\x12\2\x08\3\x28\x0c\x35\0")
put("tf_checkpoint", "kernel", HEADER + b"\0\x24\x1abert/encoder/layer_0/output/dense/ke\x08\1\x12\x08\x12\2\x08\2\x12\2\x08\3\x20\4\x28\x18\x35\1\2\3\4")
put("tf_checkpoint", "group", HEADER + b"\0\x3c\2bert/encoder/transformer/group_0/inner_group_0/ffn_1/intermed\x08\1")
put("tf_checkpoint", "slices", HEADER + b"\0\1\4a\x3a\2\0\0")
put("tf_checkpoint", "shared", HEADER + b"\0\3\2abc\x08\3\2\2\2de\x08\3\4\1\2f\x08\3")
put("tf_checkpoint", "cut", b"\0\0\x7f")
GOLDENS = os.path.join(os.path.dirname(os.path.dirname(ROOT)), "goldens", "tf")


def golden(name):
    with open(os.path.join(GOLDENS, "bert_squad", name), "rb") as file:
        return file.read()


put("tf_checkpoint", "file", golden("model.ckpt-10.index"))
put("weights", "checkpoint", golden("bert_config.json") + b"\n=== x.index\n" + golden("model.ckpt-10.index") +
    b"\n=== x.data-00000-of-00001\n" + golden("model.ckpt-10.data-00000-of-00001"))

# ---- a hub's answers: headers, then the list and the files that say which others are needed ----
HUB_COMMIT = "0123456789abcdef0123456789abcdef01234567"
HUB_HEADERS = ("HTTP/1.1 302 Found\r\nX-Repo-Commit: %s\r\nX-Linked-Etag: \"%s\"\r\nX-Linked-Size: 300\r\nETag: W/\"a-b\"\r\n"
               "Content-Length: 5\r\nLocation: https://cdn.example/x?y=z\r\nContent-Range: bytes 5-9/10\r\nRetry-After: 7\r\n"
               "RateLimit: \"api\";r=0;t=12\r\nX-Error-Code: GatedRepo\r\nX-Error-Message: ask\r\n" % (HUB_COMMIT, "ab" * 32))


def hub(files, headers=HUB_HEADERS, modules=None, index=None, deeper=None):
    out = headers + "\n=== list\n" + json.dumps({"sha": HUB_COMMIT, "siblings": [{"rfilename": f} for f in files]})
    for name, value in (("modules.json", modules), ("model.safetensors.index.json", index), ("0_T/pytorch_model.bin.index.json", deeper)):
        if value is not None:
            out += "\n=== " + name + "\n" + json.dumps(value)
    return out


put("hub", "plain", hub(["config.json", "model.safetensors", "vocab.txt", "onnx/model.onnx"]))
put("hub", "shards", hub(["config.json", "model.safetensors.index.json", "a.safetensors"], index={"weight_map": {"x": "a.safetensors"}}))
put("hub", "modules", hub(["modules.json", "0_T/config.json", "0_T/pytorch_model.bin.index.json", "0_T/p.bin", "1_Pooling/config.json"],
                          modules=[{"type": "a.Transformer", "path": "0_T"}, {"type": "a.Pooling", "path": "1_Pooling"}],
                          deeper={"weight_map": {"x": "p.bin"}}))
put("hub", "checkpoint", hub(["a_config.json", "m.index", "m.data-00000-of-00001", "checkpoint", "variables/variables.index"]))
put("hub", "hostile", hub(["../evil", "/etc/passwd", "a\\b", "con"], headers="HTTP/2 307\nLocation: //evil/../x\nETag: \"../x\"\n"))
put("hub", "date", "HTTP/1.1 429\nRetry-After: Wed, 21 Oct 2015 07:28:00 GMT\n")
put("hub", "name", "https://hub.example/org/name/tree/refs/pr/1")

# ---- regular expressions ----
put("regex", "words", "\\w+|[^\\w\\s]+\nIt's 12,345.60 caf\u00e9s\n")
put("regex", "pieces", "'s|'t| ?\\p{L}+| ?\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+|\\s+$|\\s\nWe'll  see 2024\n")
put("regex", "loops", "(?:(a*)*|b??|(|c+?){2,}){,3}\\b.$\naabbcc\na")
put("regex", "classes", "[]\\x41-\\x{5a}\\u00e9\\h-][^\\W\\d\\P{Lu}-]\\Z\nA-B\n")
put("regex", "refused", "(?=a)[a&&b]\\1a*+\n")

# ---- labelled data ----
# The format (0 .json, 1 tsv, 2 csv, 3 cola, 4 jsonl, 5 conll, 6 squad), what is asked of rows (1 labelled, 2 numbers, 4 many
# labels, 8 bad rows are left out, 16 labels are collected, 32 the column l), and the file.
def data(name, form, asked, text):
    put("data", name, bytes([form, asked]) + text.encode("utf-8", "surrogateescape"))


data("tsv", 1, 16, 'sentence1\tsentence2\tlabel\na "b\tc\t1\n\nd\te\t0\n')
data("numbers", 1, 11, "sentence\tlabel\na\t-.5\nb\t1e3\nc\tx\nd\t\n")
data("csv", 2, 52, 'text;l\n"a ""b""\nc";x, y,\nd;\n')
data("cola", 3, 16, "gj04\t1\t\tOur friends.\ngj04\t0\t*\tMe.\n")
data("jsonl", 4, 28, '{"text": "a", "label": ["x", 2.5, true]}\n\n{"text": "b", "text_pair": "c", "labels": []}\r\n[]\n')
data("tokens", 4, 24, '{"tokens": ["a", "b"], "tags": ["O", "B-X"]}\n{"tokens": ["c"], "ner_tags": [3]}\n{"tokens": []}')
data("choices", 4, 9, '{"text": "a", "choices": ["x", "y"], "label": 1}\n{"text": "a", "choices": ["x"], "label": 1}\n')
QUESTION = '{"question": "q", "context": "\u00e9 b b", "id": 1, "answers": {"text": ["b", "b"], "answer_start": [2, 4]}}'
data("questions", 4, 8, QUESTION + '\n{"question": "q", "context": "c", "answers": "c"}\n{"question": "q", "context": "c", "answers": []}')
data("instances", 4, 8, '{"input_ids": [2, 4, 7, 3], "token_type_ids": [0, 0, 1, 1], "masked_positions": [2, 1], "masked_ids": [9, -1], "order": 1}\n'
     '{"input_ids": [5], "masked_positions": [], "masked_ids": []}\n{"input_ids": [5], "masked_positions": [1], "masked_ids": [0]}\n')
data("json-lines", 0, 8, '{"text": "a", "label": 1}\n{"text": "b", "label": 0}\n')
data("conll", 5, 24, "-DOCSTART- -X- O O\n\nEU NNP B-NP B-ORG\nsaid VBD B-VP O\r\n\n \nx\ty z\tO \n#\tB-X\n\n\tO")
SQUAD = '{"data": [{"paragraphs": [{"context": "a \u00e9 b", "qas": [{"id": "1", "question": "q", "answers": [{"text": "b", "answer_start": 4}]}, {"id": "2", "question": "r", "answers": []}]}]}]}'
data("squad", 6, 0, SQUAD)
data("squad-by-name", 0, 8, SQUAD.replace('"id": "2", ', '"id": 2, ').replace(": 4}", ": 5}"))

# ---- a corpus of plain text: the longest instance, what is asked of it (1 bad lines are left out, 2 in order, 4 short, 8 to 32
# the longest n-gram, 64 and 128 the most predictions), and two files, with a byte 1 between ----
put("text", "documents", bytes([12, 0]) + "a b.\nthe as\n\n\u00e9 0\n \nb\nab\u4e2d b b b b b b b\na\1the\nas a".encode())
put("text", "bad", bytes([5, 5]) + b"\xef\xbb\xbfa\r\nb\0\n\xff\nas\n\nx\xc3")
put("text", "masks", bytes([64, 156]) + b"[MASK] [CLS] a\n[SEP] as the\n" * 4)

# ---- packed SPIR-V: how many words (two bytes) and their code; or a module ----
MODULE = struct.pack("<21I", 0x07230203, 0x10300, 7, 20, 0, 2 << 16 | 17, 1, 4 << 16 | 21, 6, 32, 0, 4 << 16 | 43, 6, 7, 5,
                     5 << 16 | 128, 6, 8, 7, 7, 1 << 16 | 253)
put("pack", "module", MODULE)
put("pack", "code", b"\x15\0" + bytes.fromhex("00000026e60c65d759cd0947ec1ce6f5cc8a77a9a99ee6a092530115bee002"))

# ---- checkpoints of trainings: what the first byte says ----
STATE = """{"version": 1, "step": 3, "device": "d", "driver": "v",
 "micro_batch": {"tokens": 64, "sequences": 8, "recomputes": false},
 "kernels": {"model": {"matmul: 1": "matmul 8x8"}, "trainer": {"update: 1": "update"}}, "files": {}}"""
put("training", "state", b"t" + STATE.encode())
for name, path in (("state_files", "x"), ("state_outside", "../x")):
    files = '"files": {"%s": {"bytes": 1, "sha256": "0"}}' % path
    put("training", name, b"t" + STATE.replace('"files": {}', files).encode())
put("training", "state_cut", b"t" + STATE.replace('"tokens": 64', '"tokens": 0').encode())
put("training", "sealed", b"s" + STATE.encode())
put("training", "history", b'h{"epoch": 1.0, "log_history": [{"step": 1, "loss": 0.5, "learning_rate": 5e-05}, '
    b'{"step": 1, "eval_accuracy": NaN}]}')
put("training", "history_of_nothing", b'h{"log_history": [{"loss": 1}]}')

# ---- documents: what the first byte chooses, an index or texts; and the files of a dialogue ----
put("documents", "text", b"\x02One two. Three four five six seven eight \"nine.\" Ten\n\n\xc3\xa9t\xc3\xa9 \xe4\xba\xac\n \nthe owls")
put("documents", "lines", b'\x03{"text": "a b", "id": "x"}\n{"text": "owls", "id": 7}\n\n{"text": ""}\n{"text": "1 2 3", "id": null}')
HEADER = struct.pack("<8sII11Q", b"RPdocs\r\n", 1, 7, 0, 0, 0, 1, 1, 1, 1, 8, 2, 1, 1)
IMAGE = HEADER + b"a a aa  " + struct.pack("<4Q", 0, 0, 8, 2) + struct.pack("<QIIII", 0, 8, 0, 1, 0) + struct.pack("<4Q", 0, 0, 1, 1)
put("documents", "index", b"\x01" + IMAGE + struct.pack("<II", 0, 1) + b"x\0" + bytes(6) + b"a" + bytes(7))
put("documents", "index-cut", b"\x00" + IMAGE)
put("chat", "faq-csv", b"\x00question,answer\nhow?,\"so, \"\"so\"\"\"\nwhat 1,this\n")
put("chat", "faq-tsv", b"\x01question\tanswer\nhow\tso\n\tb\n")
put("chat", "faq-jsonl", b'\x02{"question": "a", "answer": "b"}\n{"question": "how do i", "answer": "c"}\n')
put("chat", "examples-csv", b"\x42text,category\na,x\nb,y\n")
put("chat", "examples-jsonl", b'\x44{"text": "a", "intent": "x"}\n{"text": "b", "intent": "10"}\n')

# ---- n-best lists ----
put("nbest", "list", "0 ||| a house ||| LM= -1 TM= -2 ||| -12.5\n0 ||| the house ||| LM= -2 TM= -2 ||| -13 ||| 0-0 1-1\n\n1 ||| \u4e00\u4e8c ||| ||| 1e-3\n")
put("nbest", "odd", "\ufeff0 |||  ||| ||| .5\r\n7 ||| a|||b ||||| c ||| ||| -0\n8 ||| x ||| ||| 1e999\n")
put("nbest", "order", "1 ||| a ||| ||| 1\n0 ||| a ||| ||| 1\n")
put("nbest", "bytes", b"0 ||| a\xff ||| ||| 1\n")

# ---- bodies of reprise serve: the letter of the route, and the body ----
for at, (name, body) in enumerate([
        ("embed", {"inputs": ["a", [5, 6]], "normalize": False, "dimensions": 4, "truncate": None}),
        ("openai", {"input": [1, 2], "model": "a", "encoding_format": "base64"}),
        ("predict", {"inputs": [["a"], ["a", "b"]], "raw_scores": True, "truncation_direction": "Right"}),
        ("rerank", {"query": "a", "texts": ["b", "c"], "return_text": True}),
        ("cohere", {"query": "a", "documents": ["b", {"text": "c"}], "top_n": 1, "return_documents": True}),
        ("similarity", {"inputs": {"source_sentence": "a", "sentences": ["b"]}, "parameters": {"truncate": True}}),
        ("tokenize", {"inputs": "a\0b", "add_special_tokens": False}),
        ("decode", {"ids": [[1, 2], [3]], "skip_special_tokens": False}),
        ("coherence", {"text": "a", "text_pair": "b"}),
        ("choose", {"text": "a", "choices": ["b", "c"]}),
        ("moderate", {"inputs": ["a"], "normalize": True}),
        ("score", {"text": "a"}),
        ("search", {"query": "a", "index": "b", "top_k": 3, "threshold": 0.5}),
        ("summarize", {"inputs": "a", "sentences": 2, "coherence": -1}),
        ("task", {"inputs": {"question": "a"}, "parameters": {}}),
        ("labels", {"inputs": {"text": "a", "text_pair": "b"}, "parameters": {"function_to_apply": "sigmoid", "top_k": 2}}),
        ("entities", {"inputs": "a", "parameters": {"aggregation_strategy": "first", "ignore_labels": ["O"], "stride": 8}}),
        ("question", {"inputs": {"question": "a", "context": "b"}, "parameters": {"top_k": 2, "max_answer_len": 3}}),
        ("mask", {"inputs": "[MASK]", "parameters": {"targets": ["a", "b"], "top_k": 1}}),
        ("zero-shot", {"inputs": "a", "parameters": {"candidate_labels": ["b"], "hypothesis_template": "x {}", "multi_label": True}})]):
    put("serve", name, chr(ord("a") + at) + json.dumps(body))

# ---- an index: how far its checksums are made right, and the file ----
def index(rows, texts, width, version=1, count=None, cut=0, bare=()):
    """rows: float16 numbers; texts: (id, text) each. The target fills in checksums and the size."""
    body = struct.pack("<%de" % len(rows), *rows)
    table, at = b"", 0
    for i, (name, text) in enumerate(texts):
        table += struct.pack("<QII", at, len(name) | (1 << 31 if i in bare else 0), 0)
        at += len(name) + len(text)
    table += struct.pack("<QII", at, 0, 0)
    body += b"".join(name + text for name, text in texts)
    table_at = (4096 + len(body) + 7) // 8 * 8
    body += bytes(table_at - 4096 - len(body)) + table + bytes(8)
    head = b"RPRINDEX" + struct.pack("<IIQQQQQQQQII", version, width, 0, count or len(texts), 4096 + 2 * len(rows), table_at,
                                     table_at + len(table), 0, 0, 7, 0, 0)
    return ((head + b"model").ljust(4096, b"\0") + body)[:None if not cut else -cut]
TEXTS = [(b"", b"one"), (b"b", "tw\u00f6".encode()), (b"-7.5e3", b"three")]
put("index", "right", b"\2" + index([1, 0, 0, 1, 0.6, 0.8], TEXTS, 2, bare=[2]))
put("index", "as_it_is", b"\0" + index([1, 0], TEXTS[:1], 2))
put("index", "texts_unchecked", b"\1" + index([1, 0], TEXTS[:1], 2))
put("index", "not_finite", b"\2" + index([1, float("inf")], TEXTS[:1], 2))
put("index", "bare_id_that_is_none", b"\2" + index([1, 0], [(b"1e", b"x")], 2, bare=[0]))
put("index", "cut", b"\2" + index([1, 0], TEXTS[:1], 2, cut=9))
put("index", "many", b"\2" + index([1, 0], TEXTS[:1], 2, count=1 << 40))
put("index", "later", b"\2" + index([1, 0], TEXTS[:1], 2, version=2))
