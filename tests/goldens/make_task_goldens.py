#!/usr/bin/env python3
"""Expected answers of whole tasks, given by Hugging Face's pipelines and by sentence-transformers.

    make_task_goldens.py [CASE...]

writes tasks/CASE.json: a folder (its small files, config and list of tensors; weights as in
make_encoder_goldens.py), and calls with their inputs and answers. The pipelines run with their fast tokenizers.
A text that the slow tokenizer would cut otherwise, or a choice too close to call, stops the script.
"""
import argparse
import json
import os
import shutil
import sys
import tempfile
import warnings

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import numpy as np
import torch
import transformers
from safetensors import safe_open
from safetensors.torch import load_file
from transformers import AutoTokenizer, pipeline

from make_encoder_goldens import HERE, ROOT, copy_weights, few_bits, load, scale_of, write_weights

OUT = os.path.join(HERE, "tasks")
SPIECE = os.path.join(ROOT, "tools/models/sentiment/spiece.model")
NER = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
CLOSE = 2e-3  # scores that decide something are further apart than this, relative to the better one

# ---- texts ----

SHORT = ["a warm and funny film", "dull.", "", "Ada Lovelace was born in London, in 1815.",
         "Zoë visited Zürich — and the Café  Müller!", "  two  spaces", "naïve ﬁlm ① …",
         "1,000 reasons to stay at home"]
WIDE = "😀 東京 is not in Köln 😀"
STORY = ("In the year 1815 Ada was born in London. Her friend Zoë lived in Zürich, where the river meets the lake. "
         "They wrote letters for many years, about engines that count and about the weather. When the winter came, "
         "Zoë travelled to London by ship and by coach; it took three weeks. Ada met her at the old bridge, and they "
         "walked along the river until it was dark. Nobody knows what they said to each other. In the morning the "
         "ship was gone, and with it the letters. A hundred years later a man in Köln found one of them in a book.")
QUESTIONS = ["Where was Ada born?", "Who lived in Zürich?", "How long did it take — by ship?"]


def wordpiece_vocab():
    """A vocabulary with the characters of the texts, some words, and some endings."""
    text = " ".join(SHORT + [WIDE, STORY] + QUESTIONS).lower()
    plain = "".join(c for c in __import__("unicodedata").normalize("NFD", text) if ord(c) < 0x300 or ord(c) > 0x36f)
    chars = sorted({c for c in plain if not c.isspace() and c not in "東😀①"})
    words = ["the", "and", "was", "in", "london", "river", "ship", "letters", "film", "warm", "lived", "years",
             "wal", "tra", "eng", "wint", "mor", "hund", "zu", "lo", "bo", "fun", "rea"]
    ends = ["ed", "er", "ing", "ning", "s", "ter", "ines", "rich", "ked", "velled", "red", "ve", "ok", "ny", "sons"]
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *chars, *("##" + c for c in chars), *words,
              *("##" + e for e in ends)]
    return list(dict.fromkeys(pieces))


# ---- folders ----

def albert(cls, positions=512, wide=(), **config):
    return dict(cls="Albert" + cls, wide=dict(wide), tokenizer="albert", positions=positions,
                config=dict(vocab_size=8192, embedding_size=12, hidden_size=24, num_attention_heads=2,
                            intermediate_size=40, num_hidden_layers=2, max_position_embeddings=positions,
                            **config))


def bert(cls, positions=512, wide=(), lower=True, **config):
    return dict(cls="Bert" + cls, wide=dict(wide), tokenizer="wordpiece", lower=lower, positions=positions,
                config=dict(vocab_size=len(wordpiece_vocab()), hidden_size=24, num_attention_heads=2,
                            intermediate_size=40, num_hidden_layers=2, max_position_embeddings=positions,
                            **config))


def distilbert(cls, positions=512, wide=(), **config):
    return dict(cls="DistilBert" + cls, wide=dict(wide), tokenizer="wordpiece", lower=True, positions=positions,
                tokenizer_config={"tokenizer_class": "DistilBertTokenizer"},
                config=dict(vocab_size=len(wordpiece_vocab()), dim=24, n_heads=2, hidden_dim=40, n_layers=2,
                            max_position_embeddings=positions, **config))


def labels(names):
    return dict(id2label=dict(enumerate(names)), label2id={n: i for i, n in enumerate(names)})


def small_files(case):
    """The text files of the tokenizer."""
    if case["tokenizer"] == "albert":
        config = {"tokenizer_class": "AlbertTokenizer", "do_lower_case": True, "keep_accents": False,
                  "remove_space": True, "model_max_length": case["positions"]}
        return {"tokenizer_config.json": json.dumps(config)}
    config = {"tokenizer_class": "BertTokenizer", "do_lower_case": case["lower"],
              "model_max_length": case["positions"], **case.get("tokenizer_config", {})}
    return {"tokenizer_config.json": json.dumps(config), "vocab.txt": "\n".join(wordpiece_vocab()) + "\n"}


def tensor_of(name, shape):
    return [name, shape, *scale_of(name, shape)]


def build_modules(folder, modules):
    """Folders of sentence-transformers' modules that have weights."""
    for name, (config, tensors) in modules.items():
        os.makedirs(os.path.join(folder, name))
        with open(os.path.join(folder, name, "config.json"), "w") as f:
            json.dump(config, f)
        keys = ("name", "shape", "scale", "offset")
        write_weights(os.path.join(folder, name), "F32", [dict(zip(keys, t)) for t in tensors])


def build(root, case):
    """Fill a folder; returns what the test needs to do the same."""
    cls = getattr(transformers, case["cls"])
    transformer = case.get("transformer", "")
    folder = os.path.join(root, transformer)
    os.makedirs(folder, exist_ok=True)
    build_modules(root, case.get("modules", {}))
    cls(cls.config_class(**{"bos_token_id": 2, "eos_token_id": 3, **case["config"]})).save_pretrained(folder)
    tensors = []
    with safe_open(os.path.join(folder, "model.safetensors"), "np") as f:
        for name in f.keys():
            shape = list(f.get_slice(name).get_shape())
            scale, offset = scale_of(name, shape)
            for part, factor in case["wide"].items():
                if part in name:
                    scale = few_bits(scale * factor)
            tensors.append({"name": name, "shape": shape, "scale": scale, "offset": offset})
    checksum = write_weights(folder, "F32", tensors)
    with open(os.path.join(folder, "config.json")) as f:
        config = json.load(f)
    for key in ("transformers_version", "torch_dtype", "_name_or_path"):
        config.pop(key, None)
    files = {os.path.join(transformer, name): text for name, text in small_files(case).items()}
    files.update(case.get("files", {}))
    for name, text in files.items():
        os.makedirs(os.path.dirname(os.path.join(root, name)), exist_ok=True)
        with open(os.path.join(root, name), "w") as f:
            f.write(text)
    if case["tokenizer"] == "albert":
        shutil.copy(SPIECE, folder)
    return {"class": case["cls"], "checksum": f"{checksum:016x}", "config": config, "files": files,
            "spiece": case["tokenizer"] == "albert", "transformer": transformer,
            "modules": {name: list(m) for name, m in case.get("modules", {}).items()},
            "tensors": [list(t.values()) for t in tensors]}


# ---- helpers of the tasks ----

class World:
    """The model and the tokenizers of a folder."""

    def __init__(self, folder, cls, part=None, root=None):
        self.folder, self.root = folder, root or folder
        self.model = load(folder, cls)
        if part:  # one head of several
            cls = getattr(transformers, cls.replace("ForPreTraining", part))
            self.model = cls.from_pretrained(folder, torch_dtype=torch.float32).eval()
            copy_weights(self.model, load_file(os.path.join(folder, "model.safetensors")))
        self.fast = AutoTokenizer.from_pretrained(folder)
        self.slow = AutoTokenizer.from_pretrained(folder, use_fast=False)
        assert self.fast.is_fast and not self.slow.is_fast
        self.limit = min(self.fast.model_max_length, self.model.config.max_position_embeddings)

    def ids(self, text, pair=None):
        fast = self.fast([text], [pair] if pair is not None else None, verbose=False)["input_ids"][0]
        if fast != self.slow(text, pair, verbose=False)["input_ids"]:
            sys.exit(f"the slow and the fast tokenizer disagree: {text!r}")
        return fast

    def cut(self, text, pair=None, limit=None):
        return len(self.ids(text, pair)) > (limit or self.limit)

    def pipe(self, task, **options):
        return pipeline(task, model=self.model, tokenizer=self.fast, device="cpu", **options)


def apart(scores, what):
    """Stop when neighbours in a ranking are too close."""
    for a, b in zip(scores, scores[1:]):
        if (a - b) <= CLOSE * abs(a):
            sys.exit(f"{what}: scores too close: {a:.6g} {b:.6g}")


def rounded(value, digits=6):
    if isinstance(value, (float, np.floating)):
        return float(f"{float(value):.{digits}g}")
    if isinstance(value, dict):
        return {k: rounded(v, digits) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(v, digits) for v in value]
    return value


# ---- the tasks: each returns (answers, which inputs were cut) ----

def classify(w, params, inputs):
    options = {"top_k": params.get("top_k"), "truncation": True}
    if w.model.config.problem_type == "regression":
        options["function_to_apply"] = "none"  # 4.44 gives one label a sigmoid whatever the problem; later ones don't
    pipe, answers = w.pipe("text-classification"), []
    for i in inputs:
        answers.append(pipe({k: v for k, v in i.items()}, **options))
        if w.model.config.num_labels > 1:
            apart([a["score"] for a in answers[-1]], i)
    return answers, [w.cut(i["text"], i.get("text_pair")) for i in inputs]


def fill_mask(w, params, inputs):
    if "ForPreTraining" in type(w.model).__name__:
        w = World(w.folder, type(w.model).__name__, "ForMaskedLM")
    pipe, answers = w.pipe("fill-mask"), []
    for text in inputs:
        answer = pipe(text, top_k=params.get("top_k", 5), tokenizer_kwargs={"truncation": True})
        answers.append(answer if isinstance(answer[0], list) else [answer])
        for fills in answers[-1]:
            if params.get("top_k", 5) < 100:
                apart([f["score"] for f in fills], text)
    return answers, [w.cut(text) for text in inputs]


def tag(w, params, inputs):
    how = params.get("aggregation", "simple")
    pipe = w.pipe("token-classification", aggregation_strategy=how)
    answers = []
    for text in inputs:
        long = w.cut(text)
        if how == "none" and long:
            sys.exit("HF cuts long texts without aggregation")
        answers.append(pipe(text, stride=params.get("stride", 64)) if long else pipe(text))
        check_tags(w, text)
    return answers, [False] * len(inputs)


def check_tags(w, text):
    """No label of a token is a close call in any window; words are checked by the texts chosen."""
    encoded = w.fast(text, truncation=True, return_overflowing_tokens=True, stride=8)
    for ids in encoded["input_ids"]:
        with torch.no_grad():
            scores = w.model(input_ids=torch.tensor([ids])).logits[0].softmax(-1)
        best = scores.topk(2).values
        if ((best[:, 0] - best[:, 1]) < CLOSE * best[:, 0]).any():
            sys.exit(f"{text!r}: a label is too close to call")


def answer(w, params, inputs):
    pipe, answers = w.pipe("question-answering"), []
    options = {"top_k": params.get("top_k", 1), "handle_impossible_answer": params.get("allow_no_answer", False),
               "max_answer_len": params.get("max_answer_tokens", 15)}
    for name, key in (("max_seq_len", "max_tokens"), ("doc_stride", "stride")):
        if key in params:
            options[name] = params[key]
    cut = []
    for i in inputs:
        w.ids(i["question"], i["context"])
        question = w.fast(i["question"], add_special_tokens=False)
        most = params.get("max_question_tokens", 64)
        cut.append(len(question["input_ids"]) > most)
        text = i["question"]
        if cut[-1]:  # the pipeline forgets about this with fast tokenizers
            text = text[:question["offset_mapping"][most - 1][1]] if "offset_mapping" in question else sys.exit("cut")
        got = pipe(question=text, context=i["context"], **options)
        answers.append(got if isinstance(got, list) else [got])
        more = pipe(question=text, context=i["context"], **{**options, "top_k": options["top_k"] + 1})
        apart([a["score"] for a in more] if isinstance(more, list) else [1], i)
    return answers, cut


def embed(w, params, inputs):
    from sentence_transformers import SentenceTransformer
    st = SentenceTransformer(w.root, device="cpu")
    limit = min(st.max_seq_length or 10 ** 9, w.model.config.max_position_embeddings)
    prompt = params.get("prompt", st.prompts.get(params.get("prompt_name", st.default_prompt_name), ""))
    texts = [(prompt + t).strip() for t in inputs]
    texts = [t.lower() if st[0].do_lower_case else t for t in texts]
    cut = [w.cut(t, limit=limit) for t in texts]
    pooling, normalize = params.get("pooling"), params.get("normalize")
    if pooling is None:
        vectors = [st.encode(t, prompt=params.get("prompt"), prompt_name=params.get("prompt_name")) for t in inputs]
        if "dimensions" in params:  # cut, and to length 1 again where the last module makes it so
            vectors = [v[:params["dimensions"]] for v in vectors]
            if type(st[-1]).__name__ == "Normalize" or normalize:
                vectors = [v / np.linalg.norm(v) for v in vectors]
        return [v.tolist() for v in vectors], cut
    answers = []
    for text in inputs:
        tokens = st.encode(text, output_value="token_embeddings")
        vectors = {"mean": tokens.mean(0, keepdim=True), "cls": tokens[:1], "none": tokens,
                   "max": tokens.max(0, keepdim=True).values}[pooling]
        if normalize:
            vectors = torch.nn.functional.normalize(vectors, dim=1)
        answers.append(vectors.tolist() if pooling == "none" else vectors[0].tolist())
    return answers, cut


def coherence(w, params, inputs):
    answers = []
    for i in inputs:
        w.ids(i["text"], i["text_pair"])
        encoded = w.fast(i["text"], i["text_pair"], return_tensors="pt", truncation=True)
        with torch.no_grad():
            out = w.model(**encoded)
        logits = out.sop_logits if hasattr(out, "sop_logits") else out.seq_relationship_logits
        answers.append(logits.softmax(-1)[0, 0].item())
    return answers, [w.cut(i["text"], i["text_pair"]) for i in inputs]


def choose(w, params, inputs):
    answers = []
    for i in inputs:
        for choice in i["choices"]:
            w.ids(i["text"], choice)
        encoded = w.fast([i["text"]] * len(i["choices"]), i["choices"], return_tensors="pt", padding=True,
                         truncation=True)
        with torch.no_grad():
            logits = w.model(**{k: v[None] for k, v in encoded.items()}).logits
        answers.append(logits.softmax(-1)[0].tolist())
    return answers, [any(w.cut(i["text"], c) for c in i["choices"]) for i in inputs]


def score(w, params, inputs):
    """Each token masked alone, one forward pass for each; what the tokenizer adds is neither masked nor counted."""
    if "ForPreTraining" in type(w.model).__name__:
        w = World(w.folder, type(w.model).__name__, "ForMaskedLM")
    answers = []
    for text in inputs:
        w.ids(text)
        encoded = w.fast(text, truncation=True, return_tensors="pt", return_special_tokens_mask=True)
        added = encoded.pop("special_tokens_mask")[0]
        places, total = [i for i, a in enumerate(added) if not a], 0.0
        for i in places:
            ids = encoded["input_ids"].clone()
            ids[0, i] = w.fast.mask_token_id
            with torch.no_grad():
                logits = w.model(**{**encoded, "input_ids": ids}).logits[0, i]
            total += logits.double().log_softmax(-1)[encoded["input_ids"][0, i]].item()
        answers.append({"score": total, "tokens": len(places)})
    return answers, [w.cut(text) for text in inputs]


TASKS = {"classify": classify, "fill-mask": fill_mask, "tag": tag, "answer": answer, "embed": embed,
         "coherence": coherence, "choose": choose, "score": score}

# ---- the cases: folders and calls (task, params, inputs) ----

TEXTS = [{"text": t} for t in SHORT]
PAIRS = [{"text": SHORT[0], "text_pair": SHORT[1]}, {"text": SHORT[3], "text_pair": STORY},
         {"text": STORY, "text_pair": STORY}, {"text": "", "text_pair": "dull."}, {"text": "dull.", "text_pair": ""}]
MASKED = ["the movie was [MASK] .", "a [MASK] 😀 . 😀", "In the year 1815 [MASK] was born in [MASK], and [MASK]!",
          "Zoë's  [MASK]s, \"one\" [MASK] two", "the [MASK] film " + STORY]
ASKED = [{"question": QUESTIONS[0], "context": STORY}, {"question": QUESTIONS[1], "context": STORY},
         {"question": QUESTIONS[0], "context": SHORT[3]}, {"question": QUESTIONS[2], "context": SHORT[4]}]
CHOICES = [{"text": "It rained, so", "choices": ["we stayed in", "I am tall", "", "Zoë sang"]},
           {"text": STORY, "choices": ["the end", STORY[:200]]}, {"text": "x", "choices": ["one"]}]
SCORED = [*SHORT, WIDE, "a [MASK] film", STORY[:180], STORY]
LABELS = {"classifier": 6, "qa_outputs": 4}
AGGREGATIONS = ["none", "simple", "first", "average", "max"]


def tag_calls(long):
    texts = ["", *SHORT[3:6], WIDE]
    calls = [("tag", {"aggregation": a}, texts) for a in AGGREGATIONS]
    return calls + [("tag", {"aggregation": a, "stride": s}, [long, "dull."])
                    for a, s in (("simple", 8), ("first", 8), ("average", 12), ("max", 20), ("simple", 1))]


def answer_calls():
    return [("answer", {}, ASKED), ("answer", {"top_k": 4, "max_tokens": 40, "stride": 10}, ASKED),
            ("answer", {"max_tokens": 32, "stride": 4, "max_answer_tokens": 3}, ASKED[:2]),
            ("answer", {"max_tokens": 48, "stride": 16, "allow_no_answer": True}, ASKED),
            ("answer", {"top_k": 3, "allow_no_answer": True}, ASKED)]


def sentence_files(pooling, normalize, **limits):
    modules = [("", "Transformer"), ("1_Pooling", "Pooling")] + ([("2_Normalize", "Normalize")] if normalize else [])
    modes = {f"pooling_mode_{m}": m.startswith(pooling) for m in ("cls_token", "mean_tokens", "max_tokens")}
    return {"modules.json": json.dumps([{"idx": i, "name": str(i), "path": p,
                                         "type": "sentence_transformers.models." + t}
                                        for i, (p, t) in enumerate(modules)]),
            "1_Pooling/config.json": json.dumps({"word_embedding_dimension": 24, **modes}),
            "sentence_bert_config.json": json.dumps(limits)}


def embed_case(folder, files, calls):
    return {**folder, "files": files, "calls": calls}


def dense(inside, outside, activation, bias=True):
    tensors = [tensor_of("linear.weight", [outside, inside])] + [tensor_of("linear.bias", [outside])] * bias
    return ({"in_features": inside, "out_features": outside, "bias": bias,
             "activation_function": "torch.nn.modules." + activation}, tensors)


def layer_norm(width):
    return {"dimension": width}, [["norm.weight", [width], 0.25, 1.0], tensor_of("norm.bias", [width])]


def modules_case(folder, poolings, behind, calls, transformer="", sentence=None, **pooling):
    """All ways of pooling in `poolings` at once, and modules behind them: (name, (config, tensors) or None)."""
    listed = [(transformer, "Transformer"), ("1_Pooling", "Pooling")]
    listed += [(f"{i + 2}_{name}", name) for i, (name, _) in enumerate(behind)]
    modes = ("cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens", "weightedmean_tokens", "lasttoken")
    files = {"modules.json": json.dumps([{"idx": i, "name": str(i), "path": p,
                                          "type": "sentence_transformers.models." + t}
                                         for i, (p, t) in enumerate(listed)]),
             "1_Pooling/config.json": json.dumps({"word_embedding_dimension": 24, **pooling,
                                                  **{"pooling_mode_" + m: m in poolings for m in modes}}),
             os.path.join(transformer, "sentence_bert_config.json"): json.dumps({"max_seq_length": 24}),
             "config_sentence_transformers.json": json.dumps(sentence or {})}
    modules = {f"{i + 2}_{name}": parts or ({}, []) for i, (name, parts) in enumerate(behind)}
    return {**folder, "files": files, "transformer": transformer, "modules": modules, "calls": calls}


EMBEDDED = SHORT + [STORY]
CASES = {
    "classify": {**albert("ForSequenceClassification", 48, LABELS, **labels(["bad", "so-so", "good"])),
                 "calls": [("classify", {}, TEXTS + PAIRS), ("classify", {"top_k": 2}, TEXTS[:3])]},
    "classify_many": {**bert("ForSequenceClassification", 48, LABELS, problem_type="multi_label_classification",
                             **labels(["a", "b", "c", "d"])),
                      "calls": [("classify", {}, TEXTS + PAIRS)]},
    "classify_one": {**albert("ForSequenceClassification", wide=LABELS, **labels(["score"])),
                     "calls": [("classify", {}, TEXTS[:4])]},
    "classify_value": {**albert("ForSequenceClassification", wide=LABELS, problem_type="regression",
                                **labels(["score"])),
                       "calls": [("classify", {}, TEXTS[:4])]},
    "fill": {**albert("ForMaskedLM", 64, {"word_embeddings": 2}),
             "calls": [("fill-mask", {}, MASKED), ("fill-mask", {"top_k": 2}, MASKED[2:4])]},
    "fill_wordpiece": {**bert("ForMaskedLM", 100, {"word_embeddings": 2}),
                       "tokenizer_config": {"clean_up_tokenization_spaces": False},
                       "calls": [("fill-mask", {}, MASKED[:4]), ("fill-mask", {"top_k": 12}, MASKED[1:2])]},
    "tag": {**albert("ForTokenClassification", 40, LABELS, **labels(NER)), "calls": tag_calls(STORY)},
    "tag_wordpiece": {**bert("ForTokenClassification", 64, LABELS, **labels(["B-A-x", "I-A-x", "PLAIN", "O"])),
                      "calls": tag_calls(STORY[:230])},
    "answer": {**albert("ForQuestionAnswering", wide=LABELS), "calls": answer_calls()},
    "answer_wordpiece": {**bert("ForQuestionAnswering", wide=LABELS), "calls": answer_calls()},
    "embed_mean": embed_case(albert("Model", 64), sentence_files("mean", True, max_seq_length=20, do_lower_case=False),
                             [("embed", {}, EMBEDDED), ("embed", {"pooling": "none"}, SHORT[:3]),
                              ("embed", {"pooling": "cls", "normalize": True}, SHORT[:3]),
                              ("embed", {"pooling": "max", "normalize": False}, SHORT[:3]),
                              ("embed", {"pooling": "none", "normalize": True}, SHORT[:2])]),
    "embed_cls": embed_case(bert("Model", 64, lower=False),
                            sentence_files("cls", False, max_seq_length=None, do_lower_case=True),
                            [("embed", {}, EMBEDDED + ["ΟΔΟΣ ΣΑΣ", "İstanbul"])]),
    "embed_max": embed_case(albert("Model", 64), sentence_files("max", False, max_seq_length=64, do_lower_case=False),
                            [("embed", {}, EMBEDDED)]),
    "embed_plain": embed_case(bert("Model", 64), {}, [("embed", {}, EMBEDDED)]),
    "embed_modules": modules_case(
        albert("Model", 64), ["weightedmean_tokens"],
        [("Dense", dense(24, 20, "activation.Tanh")), ("LayerNorm", layer_norm(20)),
         ("Dense", dense(20, 30, "activation.GELU", bias=False)), ("Normalize", None)],
        [("embed", {}, EMBEDDED), ("embed", {"dimensions": 7}, EMBEDDED[:3]), ("embed", {"pooling": "none"}, SHORT[:1])],
        transformer="0_Transformer"),
    "embed_joined": modules_case(
        bert("Model", 64), ["cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens", "weightedmean_tokens",
                            "lasttoken"],
        [("Normalize", None), ("Dense", dense(144, 6, "linear.Identity")), ("Dropout", ({"dropout": 0.1}, []))],
        [("embed", {}, EMBEDDED), ("embed", {"prompt_name": "query"}, EMBEDDED),
         ("embed", {"prompt": "  the film: "}, EMBEDDED[:3] + ["  two"]), ("embed", {"prompt": ""}, EMBEDDED[:2]),
         ("embed", {"dimensions": 2, "normalize": True}, EMBEDDED[:2])],
        sentence={"prompts": {"query": "In London: ", "passage": "the river "}, "default_prompt_name": "passage"}),
    "embed_prompts": modules_case(
        albert("Model", 64), ["lasttoken", "mean_tokens", "max_tokens"], [("Normalize", None)],
        [("embed", {}, EMBEDDED[:3]), ("embed", {"prompt_name": "long"}, EMBEDDED[:2] + EMBEDDED[-1:]),
         ("embed", {"prompt_name": "short"}, EMBEDDED)],
        sentence={"prompts": {"short": "find: ", "long": STORY}, "default_prompt_name": None}, include_prompt=False),
    "choose": {**albert("ForMultipleChoice", 64, LABELS), "calls": [("choose", {}, CHOICES)]},
    "choose_wordpiece": {**bert("ForMultipleChoice", 120, LABELS), "calls": [("choose", {}, CHOICES)]},
    "distilbert_classify": {**distilbert("ForSequenceClassification", 48, LABELS, **labels(["bad", "so-so", "good"])),
                            "calls": [("classify", {}, TEXTS + PAIRS)]},
    "distilbert_fill": {**distilbert("ForMaskedLM", 100, {"word_embeddings": 2}),
                        "calls": [("fill-mask", {}, MASKED[:4])]},
    "distilbert_tag": {**distilbert("ForTokenClassification", 64, LABELS, **labels(NER)),
                       "calls": [("tag", {"aggregation": a}, ["", *SHORT[3:6]]) for a in AGGREGATIONS]},
    "distilbert_answer": {**distilbert("ForQuestionAnswering", wide=LABELS),
                          "calls": [("answer", {}, [*ASKED[:2], ASKED[3]]),
                                    ("answer", {"max_tokens": 40, "stride": 10}, ASKED[:2])]},
    "distilbert_embed": embed_case(distilbert("Model", 64), sentence_files("mean", True, max_seq_length=32,
                                                                           do_lower_case=False),
                                   [("embed", {}, EMBEDDED)]),
    "distilbert_choose": {**distilbert("ForMultipleChoice", 120, LABELS), "calls": [("choose", {}, CHOICES)]},
    "score": {**albert("ForMaskedLM", 64, {"word_embeddings": 2}, num_hidden_groups=2),
              "calls": [("score", {}, SCORED)]},
    "score_wordpiece": {**bert("ForMaskedLM", 100, {"word_embeddings": 2}), "calls": [("score", {}, SCORED)]},
    "score_cased": {**bert("ForPreTraining", 512, {"word_embeddings": 3}, lower=False, hidden_act="relu"),
                    "calls": [("score", {}, SCORED)]},
    "score_distilbert": {**distilbert("ForMaskedLM", 100, {"word_embeddings": 2}),
                         "calls": [("score", {}, SCORED[:9])]},
    "order": {**albert("ForPreTraining", 64, {"sop_classifier": 4}),
              "calls": [("coherence", {}, PAIRS), ("fill-mask", {}, MASKED[:2])]},
    "order_wordpiece": {**bert("ForPreTraining", 64, {"seq_relationship": 4}), "calls": [("coherence", {}, PAIRS)]},
}
BUNDLED = {
    "sentiment": ("tools/models/sentiment", [("classify", {}, TEXTS + [{"text": STORY}, PAIRS[1]])]),
    "score_pretrained": ("tools/models/pretrained",
                         [("score", {}, ["She opened the door.", "She opened the doors door.", *SCORED[:8]])]),
    "pretrained": ("tools/models/pretrained",
                   [("fill-mask", {"top_k": 3}, MASKED[:4]),
                    ("coherence", {}, [{"text": "She opened the door.", "text_pair": "Nobody was there."},
                                       {"text": "Nobody was there.", "text_pair": "She opened the door."}])]),
}


def run_calls(w, calls):
    out = []
    for task, params, inputs in calls:
        answers, cut = TASKS[task](w, params, inputs)
        out.append({"task": task, "params": params, "inputs": inputs, "cut": cut,
                    "answers": rounded(answers, 10 if task == "score" else 6)})
    return out


def write(name, golden, calls):
    lines = ",\n".join("  " + json.dumps(c, ensure_ascii=False) for c in calls)
    head = ",\n".join(f" {json.dumps(k)}: {json.dumps(v, ensure_ascii=False)}" for k, v in golden.items())
    path = os.path.join(OUT, name + ".json")
    with open(path, "w") as f:
        f.write("{\n" + head + ",\n \"calls\": [\n" + lines + "\n ]\n}\n")
    print(f"{name:18} {os.path.getsize(path):7} bytes, {sum(len(c['inputs']) for c in calls)} answers")


def make_case(name):
    if name in BUNDLED:
        where, calls = BUNDLED[name]
        folder = os.path.join(ROOT, where)
        with open(os.path.join(folder, "config.json")) as f:
            cls = json.load(f)["architectures"][0]
        write(name, {"class": cls, "folder": where}, run_calls(World(folder, cls), calls))
        return
    folder = tempfile.mkdtemp()
    try:
        torch.manual_seed(0)
        golden = build(folder, CASES[name])
        world = World(os.path.join(folder, golden["transformer"]), CASES[name]["cls"], root=folder)
        write(name, golden, run_calls(world, CASES[name]["calls"]))
    finally:
        shutil.rmtree(folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE", help="only these; default: all")
    args = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity_error()
    os.makedirs(OUT, exist_ok=True)
    for name in args.cases or [*CASES, *BUNDLED]:
        if name not in CASES and name not in BUNDLED:
            parser.error(f"{name}: choose among {' '.join([*CASES, *BUNDLED])}")
        make_case(name)


if __name__ == "__main__":
    main()
