"""Every task and application from Python beside the command: the same JSON, byte for byte, over texts that are odd.

REPRISE_COMMAND names the command; needs neither NumPy nor transformers."""
import json
import os
import subprocess
import tempfile
import unittest

import reprise
import tiny

ODD = [
    "", " ", "\t", "\n", "x", "a warm and funny film", "an hour too long and not one laugh", "UPPER lower MiXeD",
    "  spaces   around  ", "tabs\tand\nnew lines\r\n", "\r", "\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029", "NUL \0 inside", "\0", "\0\0 a",
    "a\0", "\x01\x02\x1b[31m red", "\x7f", "\ufffd", "\ufeffbom", "\ufffe\uffff", "\U0010ffff", "\ue000 private", "emoji 😀",
    "👩‍👩‍👧 family", "🇩🇪🇫🇷", "👍🏽 skin", "❤️ variation", "😀" * 40, "עברית", "العربية", "mixed עברית and العربية text", "\u202eright to left\u202c",
    "\u2066isolate\u2069", "日本語のテキスト。", "中文没有空格", "한국어 텍스트", "ไทย ภาษา", "हिन्दी पाठ", "தமிழ்", "ខ្មែរ", "Привет, мир", "Ελληνικά ΣΊΣΥΦΟΣ ς",
    "naïve café déjà vu", "e\u0301 combining \u0308 \u0323", "Z\u0335\u0321\u0321a\u0337l\u0334g\u0336o", "ﬁ ﬂ ﬃ ligatures", "½ ² ³ ① Ⅷ", "ß ẞ İ ı ſ",
    "𝒜𝓁𝒷ℯ𝓇𝓉", "\u200bzero\u200dwidth\u2060", "soft\u00adhyphen", "\u00a0no-break\u202fspaces\u3000", "“curly” ‘quotes’ «guillemets»",
    "—–‒ dashes…", "don't can't won't I'm", "http://example.org/a?b=c&d=e#f", "<b>tags</b> &amp; &#x41;", "{\"json\": [1, null]}", "back\\slash \"quote\"",
    "1234567890 3.14 1e-5 100% $5 №7", "[MASK] [SEP] [CLS] [PAD] <unk>", "a" * 400, "word " * 90, "a.b.c...d!?!?",
]
# What Python's str can hold and UTF-8 cannot: the place of the character is in the message.
HALVES = [("\ud800", 0), ("a \udfff", 2), ("ok \ud83d end", 3), ("\ude00\ud83d", 0), ("😀 \udc80", 2)]


@unittest.skipUnless(os.environ.get("REPRISE_COMMAND"), "REPRISE_COMMAND names no command")
class AsTheCommand(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.folders = tiny.folders(cls.folder.name)
        cls.models = {name: reprise.Model(folder) for name, folder in cls.folders.items()}

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def path(self, name, text=""):
        path = os.path.join(self.folder.name, name)
        with open(path, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        return path

    def command(self, *arguments, rows=None, status=(0, 1)):
        """What the command prints for JSON objects, a line each."""
        lines = None if rows is None else "".join(json.dumps(row) + "\n" for row in rows).encode()
        done = subprocess.run([os.environ["REPRISE_COMMAND"], *arguments], input=lines, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE)
        self.assertIn(done.returncode, status, done.stderr)
        return done.stdout.decode("utf-8")

    def same(self, name, model, ours, rows, *options):
        theirs = self.command(name, "-m", self.folders[model], "--jsonl", *options, rows=rows)
        self.assertEqual(len(ours), len(rows))
        for mine, line, row in zip(ours, theirs.split("\n"), rows):
            self.assertEqual(mine, line, f"{name} {options} {row!r}")

    def test_there_are_65(self):
        self.assertEqual(len(set(ODD)), 65)

    def test_classify(self):
        texts = [{"text": text} for text in ODD]
        for model in ("classify", "multi"):
            self.same("classify", model, self.models[model].classify(ODD, as_json=True), texts)
        self.same("classify", "classify", self.models["classify"].classify(ODD, as_json=True, top_k=1), texts, "-k", "1")
        self.same("classify", "classify", self.models["classify"].classify(ODD, as_json=True, explain=True), texts,
                  "--explain")
        self.same("classify", "classify",
                  self.models["classify"].classify(ODD, as_json=True, long_texts="mean", stride=8), texts,
                  "--long", "mean", "--stride", "8")
        pairs = list(zip(ODD, ODD[1:] + ODD[:1]))
        self.same("classify", "classify", self.models["classify"].classify(pairs, as_json=True),
                  [{"text": a, "text_pair": b} for a, b in pairs])

    def test_own_labels(self):
        labels = ["film", "Reise ✈", "日本"]
        for model in ("entails", "pretrained"):
            self.same("classify", model, self.models[model].zero_shot(ODD, labels, as_json=True),
                      [{"text": text} for text in ODD], "--labels", ", ".join(labels))

    def test_coherence(self):
        pairs = list(zip(ODD, ODD[1:] + ODD[:1]))
        self.same("coherence", "pretrained", self.models["pretrained"].coherence(pairs, as_json=True),
                  [{"text": a, "text_pair": b} for a, b in pairs])

    def test_fill_mask(self):
        texts = ODD + [text + " [MASK] " + text for text in ODD[:40]] + ["[MASK] [MASK]"]
        self.same("fill-mask", "pretrained", self.models["pretrained"].fill_mask(texts, as_json=True, top_k=3),
                  [{"text": text} for text in texts], "-k", "3")

    def test_tag(self):
        for aggregation in ("simple", "none", "first", "average", "max"):
            self.same("tag", "tag", self.models["tag"].tag(ODD, as_json=True, aggregation=aggregation),
                      [{"text": text} for text in ODD], "--aggregation", aggregation)

    def test_answer(self):
        pairs = list(zip(ODD, ODD[1:] + ODD[:1])) + [("Who?", text) for text in ODD]
        rows = [{"question": a, "context": b} for a, b in pairs]
        self.same("answer", "answer", self.models["answer"].answer(pairs, as_json=True), rows)
        self.same("answer", "answer", self.models["answer"].answer(pairs, as_json=True, top_k=3, allow_no_answer=True), rows,
                  "-k", "3", "--allow-no-answer")

    def test_choose(self):
        inputs = [(text, ODD[i % 60: i % 60 + 3]) for i, text in enumerate(ODD)]
        self.same("choose", "choose", self.models["choose"].choose(inputs, as_json=True),
                  [{"text": text, "choices": choices} for text, choices in inputs])

    def test_embed(self):
        texts = [{"text": text} for text in ODD]
        self.same("embed", "pretrained", self.models["pretrained"].embed(ODD, as_json=True), texts)
        self.same("embed", "pretrained", self.models["pretrained"].embed(ODD, as_json=True, pooling="cls", normalize="yes"),
                  texts, "--pooling", "cls", "--normalize")
        self.same("embed", "pretrained", self.models["pretrained"].embed(ODD[:8], as_json=True, pooling="none"), texts[:8],
                  "--pooling", "none")

    def test_score_and_summaries(self):
        texts = [{"text": text} for text in ODD]
        short = [text for text in ODD if len(text) < 30]
        self.same("score", "pretrained", self.models["pretrained"].score(short, as_json=True), [{"text": t} for t in short])
        self.same("summarize", "pretrained", self.models["pretrained"].summarize(ODD, as_json=True), texts)
        self.same("summarize", "pretrained", self.models["pretrained"].summarize([". ".join(ODD[5:40])], as_json=True,
                                                                               sentences=5),
                  [{"text": ". ".join(ODD[5:40])}], "-n", "5")

    def test_rank(self):
        inputs = [(text, ODD[i % 60: i % 60 + 4]) for i, text in enumerate(ODD)]
        for model in ("classify", "pretrained"):
            if model == "classify":
                with self.assertRaisesRegex(reprise.Error, "label"):
                    self.models[model].rank(inputs)
                continue
            self.same("rank", model, self.models[model].rank(inputs, as_json=True, top_k=2),
                      [{"query": query, "documents": documents} for query, documents in inputs], "-k", "2")

    def test_search(self):
        path, model = os.path.join(self.folder.name, "odd.index"), self.models["pretrained"]
        kept = [text for text in ODD if text.strip("\0 \n\t\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029")]
        reprise.write_index(path, kept, [str(i) + "é" for i in range(len(kept))], model=model)
        rows = [{"text": text} for text in ODD]
        for device in (None, False):
            with reprise.Index(path, device=device) as index:
                self.assertEqual(index.info["count"], len(kept))
                self.same("search", "pretrained", index.search(ODD, model, as_json=True, top_k=3), rows, "-i", path, "-k", "3")
        index = reprise.Index(path)
        self.assertLessEqual(len(index.search(["x"], model, threshold=0.99)[0]), 10)
        with self.assertRaisesRegex(ValueError, "input 1: character 0"):
            reprise.write_index(path, ["a", "\ud800"], model=model)

    def test_documents(self):
        lines = [text for text in ODD if text.isprintable() and text.strip()]
        path = self.path("lines.jsonl", "".join(json.dumps({"text": t, "id": str(i)}) + "\n" for i, t in enumerate(lines)))
        reader = self.models["answer"]
        documents = reprise.Documents(path)
        self.same("answer", "answer", documents.answer(ODD, reader, as_json=True), [{"question": text} for text in ODD],
                  "--documents", path)
        self.same("answer", "answer", documents.answer(ODD, reader, as_json=True, top_k=2, passages=3),
                  [{"question": text} for text in ODD], "--documents", path, "-k", "2", "--passages", "3")
        found = documents.find("a warm film", 3)
        self.assertEqual((found[0]["text"], found[0]["document"]), ("a warm and funny film", str(lines.index(found[0]["text"]))))
        self.assertEqual(documents.info["documents"], len(lines))

    def test_chat(self):
        faq = self.path("faq.csv", "question,answer\nis it warm?,it is warm and funny\nהאם?,כן 😀\n")
        chat = reprise.Chat(self.models["classify"], faq=faq, tagger=self.models["tag"], threshold=0.1)
        self.same("chat", "classify", chat.say(ODD, as_json=True), [{"text": text} for text in ODD], "--faq", faq, "--slots",
                  self.folders["tag"], "--threshold", "0.1")
        chat.forget()
        self.assertIsNone(chat.intent)

    def test_moderate(self):
        policy = self.path("policy.json", '{"rules": [{"label": "b", "threshold": 0.3, "action": "review"}], "default": "pass"}')
        rows = [{"text": text} for text in ODD]
        for model in ("classify", "multi"):
            moderation = reprise.Moderation(self.models[model], policy=policy)
            self.same("moderate", model, moderation.moderate(ODD, as_json=True), rows, "--policy", policy)
            self.same("moderate", model, moderation.moderate(ODD, as_json=True, normalize=True), rows, "--policy", policy,
                      "--normalize")

    def test_nbest(self):
        path = self.path("n.best", "0 ||| she opened the door ||| a=1 ||| -1.5\n0 ||| she opened doors 😀 ||| a=2 ||| -1.25\n"
                                   "3 ||| é ||| ||| -2\n")
        references = self.path("n.ref", "she opened the door\nx\ny\né\n")
        model = self.models["pretrained"]
        theirs = self.command("score", "-m", self.folders["pretrained"], "--nbest", path, "--weight", "0.2", "--json",
                              "-k", "10")
        self.assertEqual(list(reprise.nbest(model, path, 0.2)), [json.loads(line) for line in theirs.splitlines()])
        theirs = self.command("score", "-m", self.folders["pretrained"], "--nbest", path, "--tune", "--references", references,
                              "--json")
        self.assertEqual(reprise.tune_nbest(model, path, references), json.loads(theirs))

    def test_evaluate(self):
        rows = "".join(f"{word}\t{label}\n" for word in ("one", "two 😀", "three") for label in "abc")  # some are right
        table = self.path("t.tsv", "text\tlabel\n" + rows)
        for more, arguments in (([], {}), (["--calibrate", os.path.join(self.folder.name, "t.json"), "--target-recall", "0.5"],
                                          {"calibrate": os.path.join(self.folder.name, "u.json"), "target_recall": 0.5})):
            theirs = self.command("eval", "-m", self.folders["classify"], "--task", "classify", "--json", *more, table)
            ours = self.models["classify"].evaluate(table, task="classify", **arguments)
            self.assertEqual(json.dumps(ours), json.dumps(json.loads(theirs)))
        tags = self.path("t.jsonl", '{"tokens": ["Ada", "in", "Rome"], "labels": ["B-PER", "O", "B-LOC"]}\n')
        theirs = self.command("eval", "-m", self.folders["tag"], "--task", "tag", "--json", tags)
        self.assertEqual(json.dumps(self.models["tag"].evaluate(tags, task="tag")), json.dumps(json.loads(theirs)))

    def test_check(self):
        told = []
        failed = self.models["classify"].device.check(told.append, only="pool")
        theirs = [json.loads(line) for line in self.command("check", "--json", "--only", "pool").splitlines()]
        self.assertEqual((told, failed), (theirs, 0))

    def test_half_pairs(self):
        models, calls = self.models, []
        for text, place in HALVES:
            calls += [(lambda: models["classify"].classify(["a", text]), place), (lambda: models["tag"].tag(["a", text]), place),
                      (lambda: models["classify"].classify(["a", ("b", text)]), place),
                      (lambda: models["answer"].answer([("a", "b"), ("c", text)]), place),
                      (lambda: models["pretrained"].fill_mask(["[MASK]", text]), place),
                      (lambda: models["pretrained"].embed(["a", text]), place),
                      (lambda: models["pretrained"].score(["a", text]), place),
                      (lambda: models["pretrained"].summarize(["a", text]), place),
                      (lambda: models["pretrained"].coherence([("a", "b"), (text, "b")]), place),
                      (lambda: models["choose"].choose([("a", ["b"]), (text, ["b"])]), place),
                      (lambda: models["pretrained"].rank([("a", ["b"]), (text, ["b"])]), place),
                      (lambda: models["entails"].zero_shot(["a", text], ["b"]), place)]
            for call, at in calls:
                with self.assertRaisesRegex(ValueError, f"input 1: character {at} is half"):
                    call()
            calls.clear()

    def test_closing(self):
        model = reprise.Model(self.folders["classify"])
        moderation, chat = reprise.Moderation(model), reprise.Chat(model)
        model.close()
        with self.assertRaisesRegex(ValueError, "closed"):
            moderation.moderate(["a"])
        with self.assertRaisesRegex(ValueError, "closed"):
            chat.say(["a"])


if __name__ == "__main__":
    unittest.main()
