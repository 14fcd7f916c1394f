"""What scripts ask of pipeline() and Encoder, beyond the answers themselves: needs neither NumPy nor transformers.
test_transformers.py compares the answers with those of transformers."""
import math
import os
import pickle
import tempfile
import unittest

import reprise
import tiny

TEXT, OTHER = "Ada Lovelace was born in London in 1815.", "a warm and funny film"
QUESTION = {"question": "Where was Ada born?", "context": TEXT}


class Arguments(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        folders = tiny.folders(cls.folder.name)
        cls.folders = folders
        tasks = {"classify": "text-classification", "multi": "text-classification", "tag": "ner",
                 "answer": "question-answering", "pretrained": "fill-mask", "entails": "zero-shot-classification"}
        cls.pipes = {name: reprise.pipeline(task, folders[name]) for name, task in tasks.items()}
        cls.features = reprise.pipeline("feature-extraction", cls.pipes["classify"].model)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def near(self, ours, theirs):
        self.assertEqual([row["label"] for row in ours], [row["label"] for row in theirs])
        for one, other in zip(ours, theirs):
            self.assertAlmostEqual(one["score"], other["score"], places=5)

    def test_functions_of_logits(self):
        for name, own in (("classify", "softmax"), ("multi", "sigmoid")):
            pipe = self.pipes[name]
            usual, raw = pipe(TEXT, top_k=None), pipe(TEXT, top_k=None, function_to_apply="none")
            shares = [math.exp(row["score"]) for row in raw]
            made = {"softmax": [share / sum(shares) for share in shares],
                    "sigmoid": [share / (1 + share) for share in shares]}
            for function, scores in made.items():
                rows = [{"label": row["label"], "score": score} for row, score in zip(raw, scores)]
                self.near(pipe(TEXT, top_k=None, function_to_apply=function), rows)
                if function == own:
                    self.near(usual, rows)
        self.assertEqual(len(pipe([TEXT, OTHER], function_to_apply="none")), 2)
        self.assertEqual(pipe([], function_to_apply="none"), [])
        with self.assertRaisesRegex(KeyError, "function_to_apply"):
            pipe(TEXT, function_to_apply="bogus")

    def test_lengths(self):
        pipe = self.pipes["classify"]
        tokens = pipe.tokenizer
        whole = pipe(TEXT)
        short = tokens.decode(tokens(TEXT, truncation=True, max_length=8).ids, skip_special_tokens=True)
        self.near(pipe(TEXT, truncation=True, max_length=8), pipe(short))
        self.near(pipe(TEXT, max_length=8), pipe(short))
        for arguments in ({"truncation": True, "max_length": 500}, {"max_length": 8, "truncation": False}, {"padding": True},
                          {"max_length": 8, "padding": "longest"}, {"truncation": "longest_first"}):
            self.near(pipe(TEXT, **arguments), whole)
        rows = self.features(TEXT, tokenize_kwargs={"truncation": True, "max_length": 6})[0]
        self.assertEqual(len(rows), 6)
        self.assertEqual(len(self.features(TEXT)[0]),
                         2 + len(self.features(TEXT, tokenize_kwargs={"add_special_tokens": False})[0]))
        pair = {"text": TEXT, "text_pair": TEXT}
        self.assertEqual(len(pipe([pair, pair], truncation=True, max_length=10)), 2)
        for task, arguments, error, word in (
                ("classify", {"truncation": "bogus"}, ValueError, "truncation"),
                ("classify", {"padding": "bogus"}, ValueError, "padding")):
            with self.assertRaisesRegex(error, word):
                self.pipes[task](TEXT, **arguments)
        with self.assertRaisesRegex(TypeError, "truncation"):
            pipe(pair, truncation="only_second", max_length=10)
        with self.assertRaisesRegex(TypeError, "padding"):
            self.features(TEXT, tokenize_kwargs={"padding": "max_length"})
        with self.assertRaisesRegex(ValueError, "truncation"):
            self.features(TEXT, truncation=True, tokenize_kwargs={"truncation": True})
        with self.assertRaisesRegex(TypeError, "tokenizer_kwargs"):
            self.pipes["pretrained"](f"[MASK] {TEXT}", tokenizer_kwargs={"truncation": True, "max_length": 5})

    def test_labels_of_tokens(self):
        pipe = self.pipes["tag"]
        every, count = pipe(TEXT, ignore_labels=[]), len(pipe.tokenizer.tokenize(TEXT))
        self.assertEqual([entity["index"] for entity in every], list(range(1, count + 1)))
        self.assertEqual([e for e in every if e["entity"] != "O"], pipe(TEXT))
        self.assertEqual([e for e in every if e["entity"] != "B-PER"], pipe(TEXT, ignore_labels=["B-PER"]))
        self.assertEqual(pipe((TEXT,)), [pipe(TEXT)])
        for arguments, error, word in (({"aggregation_strategy": "bogus"}, KeyError, "aggregation_strategy"),
                                       ({"aggregation_strategy": 3}, ValueError, "aggregation_strategy"),
                                       ({"ignore_labels": "O"}, TypeError, "ignore_labels"),
                                       ({"stride": 8}, TypeError, "stride"),
                                       ({"stride": 0, "aggregation_strategy": "simple"}, TypeError, "stride"),
                                       ({"stride": 64, "aggregation_strategy": "simple"}, ValueError, "stride")):
            with self.assertRaisesRegex(error, word):
                pipe(TEXT, **arguments)

    def test_places(self):
        """top_k as Python slices, and templates as Python formats."""
        pipe = self.pipes["classify"]
        self.assertEqual([len(pipe(TEXT, top_k=k)) for k in (0, -1, 1, 2, 100)], [0, 2, 1, 2, 3])
        mask = self.pipes["pretrained"]
        self.assertEqual([len(mask("a [MASK].", top_k=k)) for k in (0, 1, 7)], [0, 1, 7])
        for top in (-1, 10 ** 6):
            with self.assertRaisesRegex(RuntimeError, "top_k"):
                mask("a [MASK].", top_k=top)
        zero = self.pipes["entails"]
        usual = zero(TEXT, ["film", "travel"])
        self.assertEqual(zero(TEXT, ["film", "travel"], hypothesis_template="This example is {0}."), usual)
        self.assertEqual(set(zero(TEXT, [3, 4])["labels"]), {3, 4})
        for arguments, error in (({"hypothesis_template": "nothing"}, ValueError), ({"hypothesis_template": "{x}"}, KeyError),
                                 ({"candidate_labels": []}, ValueError), ({"candidate_labels": ["a\0b"]}, ValueError),
                                 ({}, TypeError)):
            with self.assertRaises(error):
                zero(TEXT, **{**({"candidate_labels": ["x"]} if "hypothesis_template" in arguments else {}), **arguments})

    def test_what_is_no_text(self):
        for name, pipe in self.pipes.items():
            if name != "answer":
                more = {"candidate_labels": ["x"]} if name == "entails" else {}
                for item in (3, None, [3], {"txt": TEXT}):
                    with self.assertRaises(ValueError, msg=f"{name} {item}"):
                        pipe(item, **more)
        with self.assertRaises(ValueError):
            self.pipes["classify"]({"text": None})
        with self.assertRaises(ValueError):
            self.pipes["tag"]([])

    def test_the_constructor_and_the_call(self):
        """A call's arguments stand beside the constructor's."""
        folder = self.folders["classify"]
        pipe = reprise.pipeline("sentiment-analysis", folder, None, folder, top_k=2, pipeline_class=None, revision="main")
        self.assertEqual(pipe.task, "sentiment-analysis")
        self.assertEqual(len(pipe(TEXT, function_to_apply="sigmoid")[0]), 2)
        self.assertEqual(pickle.loads(pickle.dumps(pipe)).task, pipe.task)
        self.assertEqual(pickle.loads(pickle.dumps(pipe))(TEXT), pipe(TEXT))
        tagger = reprise.pipeline("ner", self.folders["tag"], aggregation_strategy="simple", ignore_labels=[])
        self.assertTrue(tagger(TEXT * 9, stride=8))
        self.assertEqual(pipe.predict([TEXT]), pipe([TEXT]))
        for arguments in ({"tokenizer": self.folders["tag"]}, {"config": self.folders["tag"]}, {"device": 3.5}):
            with self.assertRaisesRegex(TypeError, next(iter(arguments))):
                reprise.pipeline("ner", folder, **arguments)
        with self.assertRaisesRegex(reprise.Error, "nobody/nothing@v2"):
            reprise.pipeline("ner", "nobody/nothing", revision="v2")

    def test_what_scripts_look_at(self):
        pipe = self.pipes["classify"]
        tokenizer, config = pipe.tokenizer, pipe.model.config
        made = tokenizer(TEXT)
        self.assertEqual(made["input_ids"], tokenizer.encode(TEXT))
        self.assertEqual(made["attention_mask"], [1] * len(made.ids))
        self.assertEqual(made[0], made.ids)
        self.assertEqual(tokenizer.convert_ids_to_tokens(made.ids)[1:-1], tokenizer.tokenize(TEXT))
        self.assertEqual(tokenizer.convert_tokens_to_ids(tokenizer.tokenize(TEXT)),
                         tokenizer.encode(TEXT, add_special_tokens=False))
        self.assertEqual(tokenizer.convert_tokens_to_ids("no such piece"), tokenizer.unk_token_id)
        self.assertEqual(tokenizer.get_vocab()["[MASK]"], tokenizer.mask_token_id)
        self.assertEqual(len(tokenizer), tokenizer.vocab_size)
        self.assertEqual(tokenizer.batch_decode([made.ids]), [tokenizer.decode(made.ids)])
        self.assertEqual(len(tokenizer(TEXT, truncation=True, max_length=5)["input_ids"]), 5)
        self.assertEqual(len(tokenizer(TEXT * 60, truncation=True)["input_ids"]), tokenizer.model_max_length)
        self.assertIsNone(config.problem_type)
        self.assertEqual(config.to_dict()["id2label"], {0: "a", 1: "b", 2: "c"})
        self.assertEqual((pipe.model.name_or_path, pipe.model.eval()), (self.folders["classify"], pipe.model))

    def test_run(self):
        model = self.pipes["tag"].model
        made = [model.tokenizer(text) for text in (TEXT, "x")]
        for output, columns in (("hidden", model.info["hidden_size"]), ("tokens", 5)):
            shapes = [tuple(matrix.shape) for matrix in model.run(made, output)]
            self.assertEqual(shapes, [(len(each.ids), columns) for each in made])
        with self.assertRaisesRegex(reprise.Error, "no weights for this output"):
            model.run(made, "spans")
        with self.assertRaisesRegex(ValueError, "output"):
            model.run(made, "bogus")
        self.assertEqual(model.run([], "hidden"), [])

    def test_encoder(self):
        encoder = reprise.Encoder(self.pipes["classify"].model, prompts={"query": "query: "}, truncate_dim=4)
        self.assertEqual(encoder.encode(TEXT).shape[-1], 4)
        whole = reprise.Encoder(encoder.model).encode([TEXT])[0]
        self.assertEqual(list(encoder.encode([TEXT])[0].tolist()), [row[:4] if isinstance(row, list) else row for row in whole.tolist()][:4])
        asked = encoder.encode([TEXT], prompt_name="query")[0]
        self.assertEqual(asked.tolist(), encoder.encode([TEXT], prompt="query: ")[0].tolist())
        again = pickle.loads(pickle.dumps(encoder))
        self.assertEqual(again.encode([TEXT], prompt_name="query")[0].tolist(), asked.tolist())
        self.assertEqual(len(encoder.encode([])), 0)
        for arguments in ({"precision": "int8"}, {"output_value": "token_embeddings"}, {"bogus": 1}):
            with self.assertRaisesRegex(TypeError, next(iter(arguments))):
                encoder.encode(TEXT, **arguments)
        for wrong in (3, None, [3], [None], b"abc"):
            with self.assertRaises(TypeError):
                encoder.encode(wrong)
        for arguments in ({"precision": "bogus"}, {"prompt_name": "nowhere"}):
            with self.assertRaisesRegex(ValueError, next(iter(arguments.values()))):
                encoder.encode(TEXT, **arguments)
        with self.assertRaisesRegex(ValueError, "other"):
            reprise.Encoder(encoder.model, prompts={"query": "query: "}, default_prompt_name="other")

    def test_questions(self):
        pipe = self.pipes["answer"]
        one = pipe(QUESTION)
        self.assertEqual(pipe(**QUESTION), one)
        self.assertEqual(pipe(question=[QUESTION["question"]], context=[TEXT]), one)
        self.assertEqual(pipe(**QUESTION, truncation=True, max_length=10), one)
        self.assertEqual(pipe(**QUESTION, max_question_len=1), one)
        for arguments, error in (({"doc_stride": 0}, TypeError), ({"doc_stride": 500}, ValueError), ({"top_k": 0}, ValueError),
                                 ({"question": ("a",)}, ValueError), ({"align_to_words": False}, TypeError)):
            with self.assertRaisesRegex(error, next(iter(arguments))):
                pipe(**{**QUESTION, **arguments})
        with self.assertRaises(ValueError):
            pipe({"question": 3, "context": TEXT})


if __name__ == "__main__":
    unittest.main()
