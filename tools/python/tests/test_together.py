"""Eight threads on one model, and workers of which one is killed: no error, another answer or growth.

REPRISE_TEST_SECONDS is how long, each (default: 20)."""
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import reprise
import tiny

SECONDS = float(os.environ.get("REPRISE_TEST_SECONDS") or 20)
TEXTS = ["a warm and funny film", "an hour too long", "emoji 😀", "", "word " * 90]
WORKER = """
import sys, reprise
model = reprise.Model(sys.argv[1])
print("open", flush=True)
for line in sys.stdin:
    print(model.classify([line.strip()], as_json=True)[0], flush=True)
"""


def memory():
    """Bytes of this process that are in memory and its own."""
    with open("/proc/self/statm") as file:
        pages = file.read().split()
    return (int(pages[1]) - int(pages[2])) * os.sysconf("SC_PAGESIZE")


class Together(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.root = tempfile.TemporaryDirectory()
        cls.folders = tiny.folders(cls.root.name)

    @classmethod
    def tearDownClass(cls):
        cls.root.cleanup()

    def test_threads(self):
        model, wrong, calls = reprise.Model(self.folders["pretrained"]), [], [0] * 8
        tasks = [lambda: model.coherence([(text, text) for text in TEXTS], as_json=True),
                 lambda: [v.tolist() for v in model.embed(TEXTS)],
                 lambda: model.fill_mask([text + "[MASK]" for text in TEXTS], as_json=True)]
        expected = [task() for task in tasks]
        until = [0.0]

        def work(number):
            try:
                while time.monotonic() < until[0]:
                    kind = calls[number] % len(tasks)
                    if tasks[kind]() != expected[kind]:
                        wrong.append("another answer")
                    calls[number] += 1
            except Exception as error:
                wrong.append(error)

        def share(seconds):
            until[0] = time.monotonic() + seconds
            threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            return memory()

        share(SECONDS / 5)  # allocators of the threads have what they keep
        before = share(SECONDS / 5)
        after = share(SECONDS * 3 / 5)
        sys.stdout.write(f"{sum(calls)} calls of 8 threads in {SECONDS:.0f} s: {before >> 10} KiB, then {after >> 10} KiB\n")
        self.assertEqual(wrong, [])
        self.assertGreater(min(calls), 0)
        self.assertLess(after - before, 4 << 20)

    def test_killed_worker(self):
        """kill -9 in the midst of opening, and of work: the others answer, and the cache serves a new one."""
        with tempfile.TemporaryDirectory() as cache:
            environment = {**os.environ, "REPRISE_CACHE_DIR": cache}

            def start():
                return subprocess.Popen([sys.executable, "-c", WORKER, self.folders["classify"]], env=environment, text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)

            def ask(worker, text):
                worker.stdin.write(text + "\n")
                worker.stdin.flush()
                return worker.stdout.readline()

            opening = start()
            time.sleep(0.5)  # it writes the cache
            stays, killed = start(), start()
            opening.send_signal(signal.SIGKILL)
            for worker in (stays, killed):
                self.assertEqual(worker.stdout.readline(), "open\n")
            expected = ask(stays, "a warm film")
            until = time.monotonic() + SECONDS
            while time.monotonic() < until:
                self.assertEqual(ask(killed, "a warm film"), expected)
                killed.stdin.write("word " * 500 + "\n")
                killed.stdin.flush()
                killed.send_signal(signal.SIGKILL)
                self.assertEqual(ask(stays, "a warm film"), expected)
                fresh = start()
                self.assertEqual(fresh.stdout.readline(), "open\n")
                killed.communicate()
                killed = fresh
            for worker in (stays, killed):
                self.assertEqual(ask(worker, "a warm film"), expected)
                worker.communicate()
                self.assertEqual(worker.returncode, 0)
            opening.communicate()


if __name__ == "__main__":
    unittest.main()
