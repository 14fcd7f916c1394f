"""The binding itself: needs neither NumPy nor transformers."""
import gc
import json
import os
import pickle
import subprocess
import sys
import tempfile
import threading
import unittest

import reprise

ODD = ["a warm and funny film", "", "x", "NUL \0 inside", "emoji 😀 👩‍👩‍👧", "עברית وعربية", "日本語。", "tabs\tand\nlines", "a" * 5000]


class Binding(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.model = reprise.Model("sentiment")

    def test_same_as_the_command(self):
        command = os.environ.get("REPRISE_COMMAND")
        if not command:
            self.skipTest("REPRISE_COMMAND names no command")
        lines = "".join(json.dumps({"text": text}) + "\n" for text in ODD)
        out = subprocess.run([command, "classify", "--jsonl"], input=lines.encode(), stdout=subprocess.PIPE, check=True)
        self.assertEqual([json.loads(line) for line in out.stdout.splitlines()], self.model.classify(ODD))

    def test_errors(self):
        with self.assertRaisesRegex(ValueError, "input 1: character 2"):
            self.model.classify(["ok", "a \ud800"])
        with self.assertRaisesRegex(TypeError, "input 0 is no str but int"):
            self.model.classify([3])
        with self.assertRaisesRegex(TypeError, "there is no argument 'bogus'"):
            self.model.classify(["a"], bogus=1)
        with self.assertRaisesRegex(reprise.Error, "nowhere") as raised:
            reprise.Model("/nowhere")
        self.assertEqual(raised.exception.status, "error_file")
        self.assertEqual(str(pickle.loads(pickle.dumps(raised.exception))), str(raised.exception))
        answers = self.model.classify(["ok", b"\xff"], errors="return")
        self.assertIsInstance(answers[1], reprise.Error)
        self.assertEqual(answers[0][0]["label"], self.model.classify(["ok"])[0][0]["label"])
        with self.assertRaises(reprise.Error):
            self.model.classify(["ok", b"\xff"])

    def test_use_after_close(self):
        model = reprise.Model("sentiment")
        model.close()
        model.close()
        with self.assertRaisesRegex(ValueError, "this model is closed"):
            model.classify(["a"])

    def test_pickle(self):
        again = pickle.loads(pickle.dumps(self.model))
        self.assertEqual(again.classify(ODD), self.model.classify(ODD))
        pipe = pickle.loads(pickle.dumps(reprise.pipeline("sentiment-analysis", top_k=1)))
        self.assertEqual(len(pipe("a")[0]), 1)

    def test_threads_and_closing(self):
        model, expected, wrong = reprise.Model("sentiment"), self.model.classify(ODD), []

        def work():
            try:
                for _ in range(5):
                    if model.classify(ODD) != expected:
                        wrong.append("another answer")
            except ValueError as error:
                if "closed" not in str(error):
                    wrong.append(error)

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        model.close()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])

    def test_call(self):
        told = []
        call = reprise.Call(progress=lambda done, total: told.append((done, total)))
        self.model.classify(ODD, call=call)
        self.assertEqual(told[-1], (len(ODD), len(ODD)))
        call.cancel()
        with self.assertRaises(reprise.CancelledError):
            self.model.classify(ODD, call=call)
        with self.assertRaises(reprise.CancelledError):
            self.model.classify(ODD, call=reprise.Call(timeout=-1))

        def raises(done, total):
            raise KeyError("mine")

        with self.assertRaisesRegex(KeyError, "mine"):
            self.model.classify(ODD, call=reprise.Call(progress=raises))
        with self.assertRaisesRegex(RuntimeError, "callback"):
            self.model.classify(ODD, call=reprise.Call(progress=lambda done, total: self.model.close()))
        self.assertEqual(len(self.model.classify(ODD)), len(ODD))

    def test_vectors_outlive_the_model(self):
        model = reprise.Model("sentiment")
        vectors = model.embed(["one", "two"])
        expected = [list(map(list, v.tolist())) for v in self.model.embed(["one", "two"])]
        model.close()
        del model
        gc.collect()
        self.assertEqual([v.tolist() for v in vectors], expected)

    def test_without_numpy(self):
        script = ("import sys; sys.modules['numpy'] = None; import reprise; v = reprise.Model('sentiment').embed(['a'])[0];"
                  "print(type(v).__name__, v.shape[0], v.format, 'numpy' in repr(sys.modules['numpy']))")
        out = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, check=True, text=True)
        self.assertEqual(out.stdout.split(), ["memoryview", "1", "f", "False"])

    def test_fork(self):
        child = os.fork()
        if not child:
            try:
                self.model.classify(["a"])
            except reprise.Error as error:
                os._exit(0 if error.status == "error_device" else 2)
            os._exit(1)
        self.assertEqual(os.waitpid(child, 0)[1], 0)

    def test_training(self):
        with tempfile.TemporaryDirectory() as folder:
            train, out, told = os.path.join(folder, "t.tsv"), os.path.join(folder, "out"), []
            with open(train, "w") as file:
                file.write("sentence\tlabel\ngood\t1\nbad\t0\nfine\t1\nawful\t0\n")
            reprise.finetune(model="sentiment", train=train, out=out, task="classify", batch_size=2, steps=3,
                             on_step=told.append)
            self.assertEqual([step["step"] for step in told], [1, 2, 3])
            self.assertEqual(reprise.Model(out).evaluate(train)["rows"], 4)

            def stop(step):
                raise StopIteration("enough")

            with self.assertRaisesRegex(StopIteration, "enough"):
                reprise.finetune(model="sentiment", train=train, out=out + "2", steps=3, on_step=stop)

    def test_tokenizer(self):
        tokenizer = reprise.Tokenizer("sentiment")
        text = "déjà 😀 films"
        made = tokenizer(text)
        self.assertEqual(made.ids[0], tokenizer.special_ids["cls"])
        self.assertEqual(made.offsets[-2][1], len(text))
        self.assertEqual(tokenizer(text, "pair").type_ids[-1], 1)
        self.assertIn("films", tokenizer.decode(made.ids, skip_special_tokens=True))


if __name__ == "__main__":
    unittest.main()
