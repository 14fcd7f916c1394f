"""Time from the start of a program to its answer for one text, and the most memory it took; see tools/bench/peers.

Each program is started anew, in turn, round after round: the command with its cache filled, the command with no cache at
all (the driver's neither), and Python with Hugging Face's pipeline, which reads the same folder and the same text. All
scores are compared. The memory is what the system says of the process when it has ended (ru_maxrss).
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time

PIPELINE = """
import json, sys
from transformers import pipeline
print(json.dumps(pipeline("text-classification", sys.argv[1], top_k=None, device="cpu")([sys.argv[2]])[0]))
"""
TEXT = "a warm and funny film"


class Program:
    def __init__(self, name, command, fresh=(), **environment):
        self.name, self.command, self.fresh, self.environment = name, command, fresh, environment
        self.seconds, self.work, self.memory, self.scores = [], [], [], {}

    def run(self, keep=True):
        """Start it once. `fresh` names variables that get an empty folder."""
        with tempfile.TemporaryDirectory() as scratch, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as said:
            environment = {**os.environ, **self.environment}
            for variable in self.fresh:
                environment[variable] = os.path.join(scratch, variable)
            began = time.perf_counter()
            child = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=out, stderr=said, env=environment)
            _, status, usage = os.wait4(child.pid, 0)
            seconds = time.perf_counter() - began
            child.returncode = os.waitstatus_to_exitcode(status)
            out.seek(0)
            said.seek(0)
            if child.returncode:
                raise RuntimeError(said.read().decode(errors="replace").strip().splitlines()[-1:] or "it fails")
            self.scores = {label["label"]: label["score"] for label in json.loads(out.read())}
        if keep:
            self.seconds.append(seconds)
            self.work.append(usage.ru_utime + usage.ru_stime)
            self.memory.append(usage.ru_maxrss / 1024)


def programs(build, folder):
    ours = [os.path.join(build, "reprise"), "classify", "--json", "-m", folder, TEXT]
    yield Program("`reprise classify`", ours)
    yield Program("`reprise classify`, its first start", ours, fresh=("REPRISE_CACHE_DIR", "MESA_SHADER_CACHE_DIR"))
    yield Program("Python, Hugging Face's `pipeline`", [sys.executable, "-c", PIPELINE, folder, TEXT],
                  HF_HUB_OFFLINE="1", TRANSFORMERS_VERBOSITY="error")


def main(options):
    timed = list(programs(options.build, options.start))
    for one in list(timed):
        try:
            one.run(keep=False)  # files are read, caches filled
        except (OSError, RuntimeError, ValueError) as problem:
            if one is timed[0]:
                sys.exit(f"peers: Reprise cannot be measured: {problem}")
            print(f"{one.name} is left out: {problem}", file=sys.stderr)
            timed.remove(one)
    for _ in range(options.repeat):
        for one in timed:
            one.run()
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # the system counts it to each child
    if own >= min(min(one.memory) for one in timed):
        sys.exit("peers: this program takes more memory than what it measures")
    print(f'"{TEXT}", the least of {options.repeat} starts\n')
    print("| program | seconds to the answer | processor seconds | most memory | largest difference of a score |")
    print("|---|---|---|---|---|")
    for one in timed:
        difference = max(abs(score - timed[0].scores[label]) for label, score in one.scores.items())
        difference = f"{difference:.0e}" if one.command is not timed[0].command else ""
        print(f"| {one.name} | {min(one.seconds):.2f} | {min(one.work):.2f} | "
              f"{max(one.memory):.0f} MiB | {difference} |")
