"""pipeline() and Encoder beside transformers and sentence-transformers: keys, order and types equal, scores to 1e-5.

Skipped where transformers is not installed."""
import math
import os
import tempfile
import unittest
import warnings

import reprise

try:
    import numpy
    import torch
    import transformers
except ImportError:
    transformers = None

TEXTS = [
    "a warm and funny film", "an hour too long and not one laugh", "x", "The quick brown fox, they said, jumps!",
    "Ada Lovelace was born in London in 1815, and Charles Babbage wrote to her.", "naïve café déjà vu — ﬁ ﬂ ½",
    "emoji 😀 👩‍👩‍👧 🇩🇪 end", "עברית وعربية mixed", "日本語のテキスト。 中文", "tabs\tand\nnew lines\r\n", "  spaces   around  ",
    "NUL \x00 inside", "a" * 300, "word " * 60, "[MASK] [SEP] [CLS]", "<unk> <pad>", "e\u0301 combining \u0308", "\u200bzero\u200dwidth\ufeff",
    "UPPER lower MiXeD", "1234567890 3.14 1e-5 100%", "don't can't won't I'm", "http://example.org/a?b=c&d=e#f", "ß ẞ İ ı Σ ς",
    "𝒜𝓁𝒷ℯ𝓇𝓉 math", "a.b.c...d", "\"quotes\" 'single' “curly”", "hyphen-ated words—and dashes", "¿Qué? ¡Sí!", "Привет, мир", "ไทย ภาษา",
]
LABELS = {0: "O", 1: "B-PER", 2: "I-PER", 3: "B-LOC", 4: "I-LOC"}


def folders(root):
    """Small models of random weights, one a head, over the vocabulary of the bundled model."""
    source = reprise.find_model("sentiment")  # what the wheel has
    tokenizer = transformers.AutoTokenizer.from_pretrained(source)
    config = transformers.AlbertConfig(
        vocab_size=len(tokenizer), embedding_size=16, hidden_size=39, num_attention_heads=3, intermediate_size=50,
        num_hidden_layers=3, max_position_embeddings=64, initializer_range=0.4)
    made = {}
    for name, kind, labels in (("tag", "TokenClassification", LABELS), ("answer", "QuestionAnswering", None),
                               ("classify", "SequenceClassification", {0: "a", 1: "b", 2: "c"}),
                               ("multi", "SequenceClassification", {0: "a", 1: "b", 2: "c"}),
                               ("entails", "SequenceClassification",
                                {0: "contradiction", 1: "neutral", 2: "entailment"}),
                               ("mask", "MaskedLM", None)):
        torch.manual_seed(7)
        config.problem_type = "multi_label_classification" if name == "multi" else None
        config.num_labels = 2
        if labels:
            config.id2label, config.label2id = labels, {v: k for k, v in labels.items()}
        model = getattr(transformers, f"AlbertFor{kind}")(config).eval()
        made[name] = os.path.join(root, name)
        model.save_pretrained(made[name])
        tokenizer.model_max_length = 64
        tokenizer.save_pretrained(made[name])
    return made


@unittest.skipUnless(transformers, "transformers is not installed")
class Pipelines(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.root = tempfile.TemporaryDirectory()
        cls.models = folders(cls.root.name)

    @classmethod
    def tearDownClass(cls):
        cls.root.cleanup()

    def equal(self, ours, theirs, where):
        self.assertIs(type(ours), type(theirs), where)
        if isinstance(ours, dict):
            self.assertEqual(list(ours), list(theirs), where)
            for key in ours:
                self.equal(ours[key], theirs[key], f"{where} {key}")
        elif isinstance(ours, list):
            self.assertEqual(len(ours), len(theirs), where)
            for i, (a, b) in enumerate(zip(ours, theirs)):
                self.equal(a, b, f"{where} [{i}]")
        elif isinstance(ours, (float, numpy.floating)):
            # Logits of random weights, which no softmax makes smaller, have more of float32's rounding.
            bound = 1e-4 if "'none'" in where and "function" in where else 1e-5
            self.assertLess(abs(ours - theirs), bound * max(1, abs(theirs)), where)
        else:
            self.assertEqual(ours, theirs, where)

    def compare(self, task, name, inputs, **arguments):
        ours = reprise.pipeline(task, self.models[name], **arguments)
        theirs = transformers.pipeline(task, self.models[name], device="cpu", **arguments)
        for item in inputs:
            self.equal(ours(item), theirs(item), f"{task} {name} {arguments} {item!r}")
        self.equal(ours(inputs), theirs(inputs), f"{task} {name} {arguments}, all")
        return ours, theirs

    def test_text_classification(self):
        for name in ("classify", "multi"):
            for arguments in ({}, {"top_k": None}, {"top_k": 2}, {"top_k": 1}, {"return_all_scores": True}):
                ours, theirs = self.compare("text-classification", name, TEXTS, truncation=True, **arguments)
        pair = {"text": "a first text", "text_pair": "and a second"}
        self.equal(ours(pair), theirs(pair), "pair")
        self.equal(ours([pair, pair]), theirs([pair, pair]), "pairs")
        self.equal(ours("x", top_k=1), theirs("x", top_k=1), "top_k of the call")
        self.equal(list(ours(t for t in TEXTS)), list(theirs(t for t in TEXTS)), "generator")

    def test_token_classification(self):
        for strategy in ("none", "simple", "first", "average", "max"):
            texts = [text for text in TEXTS if "\0" not in text]  # README.md says why
            self.compare("ner", "tag", texts, aggregation_strategy=strategy)
        self.compare("token-classification", "tag", TEXTS[:5])

    def test_question_answering(self):
        items = [{"question": "Where was Ada born?", "context": TEXTS[4]},
                 {"question": "Who?", "context": " ".join(TEXTS[:5]) * 3}, {"question": "x y", "context": TEXTS[6]}]
        for arguments in ({}, {"top_k": 3}, {"handle_impossible_answer": True}, {"max_answer_len": 4, "doc_stride": 8}):
            ours, theirs = self.compare("question-answering", "answer", items, **arguments)
        q, c = items[0]["question"], items[0]["context"]
        self.equal(ours(question=q, context=c), theirs(question=q, context=c), "keywords")
        self.equal(ours(question=[q, q], context=c), theirs(question=[q, q], context=c), "lists")

    def test_fill_mask(self):
        texts = ["She opened the [MASK] and looked out.", "[MASK] [MASK]", "a [MASK]."]
        for arguments in ({}, {"top_k": 2}):
            self.compare("fill-mask", "mask", texts, **arguments)

    def test_feature_extraction(self):
        self.compare("feature-extraction", "classify", TEXTS[:5], truncation=True)

    def test_zero_shot(self):
        for arguments in ({}, {"multi_label": True}, {"hypothesis_template": "It is about {}, they say."}):
            self.compare("zero-shot-classification", "entails", TEXTS[:6], candidate_labels=["film", "travel", "a b c"],
                         **arguments)
        ours, theirs = self.compare("zero-shot-classification", "entails", TEXTS[:1], candidate_labels="one, two,three")
        self.equal(ours("a text", ["x", "y"]), theirs("a text", ["x", "y"]), "positional")

    def test_scripts(self):
        """The ways in which scripts call pipelines: a script changes its import, and nothing else."""
        from torch.utils.data import Dataset
        from transformers.pipelines.pt_utils import KeyDataset

        class Rows(Dataset):
            def __len__(self):
                return 5

            def __getitem__(self, i):
                if i >= 5:
                    raise IndexError
                return {"text": TEXTS[i], "n": i}

        def both(task, name, run, **arguments):
            made = [module.pipeline(task, model=self.models[name], **arguments) for module in (reprise, transformers)]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self.equal(run(made[0]), run(made[1]), f"{task} {arguments}")

        text, device = TEXTS[4], torch.device("cpu")
        for arguments in ({"device": -1}, {"device": "cpu"}, {"device": device}, {"framework": "pt"}, {"batch_size": 4},
                          {"torch_dtype": torch.float32}, {"tokenizer": self.models["classify"]}, {"num_workers": 0},
                          {"tokenizer": transformers.AutoTokenizer.from_pretrained(self.models["classify"])},
                          {"use_fast": True}, {"truncation": True, "max_length": 512}, {"padding": True, "truncation": True}):
            both("sentiment-analysis", "classify", lambda pipe: pipe(text), **arguments)
        both("text-classification", "classify", lambda pipe: list(pipe(KeyDataset(Rows(), "text"), batch_size=2)))
        both("text-classification", "classify", lambda pipe: [pipe(t)[0]["label"] for t in TEXTS[:3]])
        both("text-classification", "classify", lambda pipe: list(pipe(t for t in TEXTS[:5])))
        both("text-classification", "classify", lambda pipe: pipe(inputs=[text], top_k=None))
        both("text-classification", "classify", lambda pipe: pipe([text], return_all_scores=True))
        both("text-classification", "classify", lambda pipe: pipe(text, function_to_apply="softmax"))
        both("text-classification", "multi", lambda pipe: pipe(text, function_to_apply="sigmoid", top_k=2))
        for function in ("none", "sigmoid", "softmax"):
            for name in ("classify", "multi"):
                both("text-classification", name, lambda pipe: pipe(TEXTS, truncation=True), function_to_apply=function)
                both("text-classification", name, lambda pipe: pipe(TEXTS[:5], top_k=None), function_to_apply=function)
            both("text-classification", "classify", lambda pipe: pipe(TEXTS[:5]), function_to_apply=function,
                 return_all_scores=True)
        for arguments in ({"truncation": True, "max_length": 8}, {"max_length": 8}, {"max_length": 8, "truncation": False},
                          {"max_length": 8, "padding": True}, {"truncation": "only_first", "max_length": 8},
                          {"padding": "max_length", "max_length": 12, "truncation": True}, {"add_special_tokens": False}):
            both("text-classification", "classify", lambda pipe: pipe(TEXTS[:6]), **arguments)
        both("text-classification", "classify", lambda pipe: pipe({"text": text, "text_pair": TEXTS[0]}, truncation=True,
                                                                  max_length=9))
        for top in (0, -1, 100):
            both("text-classification", "classify", lambda pipe: pipe(text, top_k=top))
        both("text-classification", "classify", lambda pipe: pipe(text, return_all_scores=True), top_k=1)
        for strategy in ("none", "simple", "first", "average", "max"):
            for ignored in ([], ["B-LOC"], ["PER"], ["O", "LOC"]):
                both("ner", "tag", lambda pipe: pipe(TEXTS[:6], ignore_labels=ignored), aggregation_strategy=strategy)
        both("ner", "tag", lambda pipe: pipe(" ".join(TEXTS[:4] * 6), stride=8), aggregation_strategy="max", ignore_labels=[])
        both("fill-mask", "mask", lambda pipe: pipe("a [MASK].", top_k=0))
        both("fill-mask", "mask", lambda pipe: pipe("a [MASK].", tokenizer_kwargs={"truncation": True, "max_length": 12}))
        for kwargs in ({"truncation": True, "max_length": 6}, {"add_special_tokens": False}, {"padding": True}):
            both("feature-extraction", "classify", lambda pipe: pipe(TEXTS[:3], tokenize_kwargs=kwargs))
        both("zero-shot-classification", "entails", lambda pipe: pipe(text, [3, 4], hypothesis_template="It is {0}."))
        both("text-classification", "classify", lambda pipe: [
            pipe.tokenizer.encode(text), pipe.tokenizer.tokenize(text), pipe.tokenizer(text)["input_ids"],
            pipe.tokenizer.convert_ids_to_tokens([2, 5]), pipe.tokenizer.convert_tokens_to_ids(["[MASK]", "nowhere"]),
            len(pipe.tokenizer), pipe.model.config.problem_type, pipe.model.config.to_dict()["id2label"],
            pipe.predict(text)])
        both("text-classification", "classify",
             lambda pipe: [pipe.model.config.id2label[i] for i in range(pipe.model.config.num_labels)])
        both("text-classification", "classify", lambda pipe: (pipe.task, pipe.model.config.label2id["b"],
                                                              pipe.model.config.model_type))
        both("ner", "tag", lambda pipe: pipe(inputs=text))
        both("ner", "tag", lambda pipe: pipe([text]), grouped_entities=True)
        both("ner", "tag", lambda pipe: list(pipe(KeyDataset(Rows(), "text"))), aggregation_strategy="simple")
        both("ner", "tag", lambda pipe: pipe(text, ignore_labels=["O", "B-PER"]))
        both("ner", "tag", lambda pipe: pipe(text, ignore_labels=["O", "PER"]), aggregation_strategy="max")
        both("ner", "tag", lambda pipe: [(e["word"], e["entity"], round(float(e["score"]), 3)) for e in pipe(text)])
        both("token-classification", "tag", lambda pipe: pipe(" ".join(TEXTS[:4] * 6)), stride=8,
             aggregation_strategy="first")
        for many in (8, 15):  # whose question is whole
            both("question-answering", "answer", lambda pipe: pipe(question="Who? " * many, context=text[:20], max_question_len=4))
        for pick in ("X", "data"):
            both("question-answering", "answer", lambda pipe: pipe(**{pick: {"question": "Who?", "context": text}}))
        both("question-answering", "answer", lambda pipe: pipe("Where was Ada born?", text))
        both("question-answering", "answer", lambda pipe: pipe([{"question": "Who?", "context": text}], top_k=2))
        both("question-answering", "answer", lambda pipe: pipe(question=["Who?"], context=[text]))
        both("question-answering", "answer", lambda pipe: list(pipe({"question": "Who?", "context": t} for t in TEXTS[:3])))
        both("question-answering", "answer", lambda pipe: pipe(question="Who?", context=text * 4, max_seq_len=40,
                                                               max_question_len=8, padding=True, align_to_words=True))
        both("fill-mask", "mask", lambda pipe: pipe(f"The {pipe.tokenizer.mask_token} is here."))
        both("fill-mask", "mask", lambda pipe: pipe([f"The {pipe.tokenizer.mask_token} is here."]))
        both("fill-mask", "mask", lambda pipe: pipe("The [MASK] is here.", targets=["\u2581good", "bad", "unlikelyish", "a"]))
        both("fill-mask", "mask", lambda pipe: pipe(["[MASK] or [MASK]", "a [MASK]"], targets="\u2581the", top_k=3))
        both("fill-mask", "mask", lambda pipe: (pipe.tokenizer.mask_token_id, pipe.tokenizer.vocab_size,
                                                pipe.tokenizer.cls_token, pipe.tokenizer.pad_token_id))
        both("feature-extraction", "classify", lambda pipe: [len(v[0][0]) for v in pipe(TEXTS[:3])])
        both("feature-extraction", "classify", lambda pipe: numpy.array(pipe(text)).mean(axis=1).shape)
        both("feature-extraction", "classify", lambda pipe: pipe(text, return_tensors=True).tolist())
        both("zero-shot-classification", "entails", lambda pipe: pipe(sequences=text, candidate_labels=["x", "y"]))
        both("zero-shot-classification", "entails", lambda pipe: pipe([text], "x, y", multi_label=True))
        both("zero-shot-classification", "entails", lambda pipe: list(pipe(KeyDataset(Rows(), "text"),
                                                                           candidate_labels=["x"])))
        with tempfile.TemporaryDirectory() as out:
            reprise.pipeline("ner", self.models["tag"]).save_pretrained(out)
            self.equal(reprise.pipeline("ner", out)(text), transformers.pipeline("ner", out, device="cpu")(text), "saved")

    def test_the_same_exceptions(self):
        for task, name, call in (
                ("text-classification", "classify", lambda pipe: pipe(3)),
                ("text-classification", "classify", lambda pipe: pipe([None])),
                ("text-classification", "classify", lambda pipe: pipe({"txt": "a"})),
                ("text-classification", "classify", lambda pipe: pipe([["a", "b"]])),
                ("text-classification", "classify", lambda pipe: pipe("a", function_to_apply="bogus")),
                ("text-classification", "classify", lambda pipe: pipe("a", truncation="bogus")),
                ("ner", "tag", lambda pipe: pipe([])), ("ner", "tag", lambda pipe: pipe({"text": "a"})),
                ("ner", "tag", lambda pipe: pipe("a", aggregation_strategy="bogus")),
                ("ner", "tag", lambda pipe: pipe("a", ignore_labels="O")),
                ("ner", "tag", lambda pipe: pipe("a", aggregation_strategy="none", stride=8)),
                ("ner", "tag", lambda pipe: pipe("a", aggregation_strategy="simple", stride=64)),
                ("question-answering", "answer", lambda pipe: pipe(question="", context="a")),
                ("question-answering", "answer", lambda pipe: pipe({"question": "a"})),
                ("question-answering", "answer", lambda pipe: pipe(question=["a"], context=["b", "c"])),
                ("question-answering", "answer", lambda pipe: pipe(question="a", context="b", top_k=0)),
                ("fill-mask", "mask", lambda pipe: pipe("a [MASK]", targets=[])),
                ("fill-mask", "mask", lambda pipe: pipe("a [MASK]", top_k=-1)), ("fill-mask", "mask", lambda pipe: pipe(None)),
                ("feature-extraction", "classify", lambda pipe: pipe(3)),
                ("zero-shot-classification", "entails", lambda pipe: pipe("a", [])),
                ("zero-shot-classification", "entails", lambda pipe: pipe("a")),
                ("zero-shot-classification", "entails", lambda pipe: pipe("a", ["b"], hypothesis_template="c"))):
            kinds = []
            for module in (reprise, transformers):
                pipe = module.pipeline(task, self.models[name], **({"device": "cpu"} if module is transformers else {}))
                with self.assertRaises(Exception) as raised:
                    call(pipe)
                kinds.append(type(raised.exception))
            self.assertIs(kinds[0], kinds[1], f"{task}: {raised.exception}")

    def test_what_is_not_served(self):
        for task, name, arguments in (("text-classification", "classify", {"bogus": 1}),
                                      ("ner", "tag", {"offset_mapping": []}),
                                      ("fill-mask", "mask", {"tokenizer_kwargs": {"stride": 2}}),
                                      ("feature-extraction", "classify", {"tokenize_kwargs": {"stride": 2}}),
                                      ("zero-shot-classification", "entails", {"bogus": 1}),
                                      ("question-answering", "answer", {"align_to_words": False})):
            with self.assertRaisesRegex(TypeError, next(iter(arguments))):
                reprise.pipeline(task, self.models[name], **arguments)
        with self.assertRaisesRegex(TypeError, "tokenizer"):
            reprise.pipeline("ner", self.models["tag"], tokenizer=self.models["mask"])
        with self.assertRaisesRegex(TypeError, "model"):
            reprise.pipeline("ner", object())
        with self.assertRaisesRegex(TypeError, "model"):
            reprise.pipeline("ner")
        with self.assertRaisesRegex(TypeError, "task"):
            reprise.pipeline(model=self.models["tag"])
        self.assertEqual(reprise.pipeline("sentiment-analysis")("a warm and funny film")[0]["label"], "POSITIVE")
        try:  # a wheel has no other model than that of sentiment
            reprise.find_model("pretrained")
        except reprise.Error:
            with self.assertRaisesRegex(reprise.Error, "pretrained: .* not installed"):
                reprise.pipeline("fill-mask")
        else:
            self.assertEqual(len(reprise.pipeline("fill-mask")("a [MASK] film")), 5)


@unittest.skipUnless(transformers and math, "transformers is not installed")
class Sentences(unittest.TestCase):
    def test_encode(self):
        try:
            import sentence_transformers
        except ImportError:
            self.skipTest("sentence-transformers is not installed")
        folder = os.environ.get("REPRISE_MINILM") or reprise.find_model("sentiment")
        ours, theirs = reprise.Encoder(folder), sentence_transformers.SentenceTransformer(folder, device="cpu")
        empty = ours.encode([]), theirs.encode([])
        self.assertEqual((empty[0].dtype, empty[0].shape), (empty[1].dtype, empty[1].shape))
        for arguments in ({"convert_to_tensor": True}, {"convert_to_numpy": False}):
            for items in (TEXTS[0], TEXTS[:3]):
                a, b = ours.encode(items, **arguments), theirs.encode(items, **arguments)
                self.assertIs(type(a), type(b))
                for one, other in zip(a, b):
                    self.assertEqual(one.dtype, other.dtype)
                    self.assertTrue(torch.allclose(one, other, atol=1e-5))
        for cut in ({"truncate_dim": 8}, {"prompts": {"query": "query: "}, "default_prompt_name": "query"}):
            pair = reprise.Encoder(folder, **cut), sentence_transformers.SentenceTransformer(folder, device="cpu", **cut)
            for normalize in (False, True):
                a, b = (each.encode(TEXTS[:3], normalize_embeddings=normalize) for each in pair)
                numpy.testing.assert_allclose(a, b, atol=1e-5)
        for arguments in ({}, {"normalize_embeddings": True}, {"batch_size": 3}):
            a, b = ours.encode(TEXTS[:12], **arguments), theirs.encode(TEXTS[:12], **arguments)
            self.assertEqual((a.shape, a.dtype), (b.shape, b.dtype))
            self.assertLess(abs(a - b).max(), 1e-4)
        self.assertEqual(ours.encode("one").shape, theirs.encode("one").shape)


if __name__ == "__main__":
    unittest.main()
