"""peers --train: a step of training of Reprise beside PyTorch's eager step, in one run.

Both train a classifier of the base shape on 8 sequences of 128 tokens (--tokens, --batch), without dropout, with AdamW
and clipping. Reprise is timed by `reprise bench --train`, whose layers are kept or computed again; PyTorch in float32
on the processors and, where there is CUDA, in bfloat16 by autocast there. On the processors all times are processor
time over the number of processors, the least of --repeat steps.
"""

import datetime
import json
import os
import subprocess
import sys
import time


def reprise_ways(options):
    """(name, {part: ms}) of each way that the device has room for, and the name of the device."""
    command = [os.path.join(options.build, "reprise"), "bench", "--train", "--config", "base", "--json", "--tokens",
               str(options.tokens), "--batch", str(options.batch or 8), "--repeat", str(options.repeat)]
    if options.device:
        command += ["--device", options.device]
    found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    ways = []
    for way in found["ways"]:
        parts = {"inference": found["inference_ms"], "forward": way["forward_ms"] + way["head_ms"],
                 "backward": way["backward_ms"], "update": way["update_ms"], "step": way["step_ms"]}
        kept = "kept" if way["recompute"] == "never" else "computed again"
        ways.append((f"Reprise, Vulkan, layers {kept}", parts))
    return ways, f"{found['device']}, {found['driver']}"


class Step:
    """PyTorch's step on one device."""

    def __init__(self, device, options):
        import numpy as np
        import torch
        import transformers

        from peers import CONFIG

        self.torch, self.device = torch, device
        config = transformers.AlbertConfig(hidden_dropout_prob=0, attention_probs_dropout_prob=0,
                                           classifier_dropout_prob=0, **CONFIG)
        self.model = transformers.AlbertForSequenceClassification(config).train().to(device)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-6, weight_decay=0.01)
        ids = np.random.default_rng(1).integers(5, CONFIG["vocab_size"], (options.batch or 8, options.tokens))
        self.ids = torch.from_numpy(ids).to(device)
        self.labels = torch.zeros(len(ids), dtype=torch.int64, device=device)

    def now(self):
        if self.device == "cuda":
            self.torch.cuda.synchronize()
            return time.perf_counter() * 1e3
        return time.process_time() * 1e3 / os.cpu_count()

    def forward(self):
        with self.torch.autocast(self.device, self.torch.bfloat16, enabled=self.device == "cuda"):
            return self.model(input_ids=self.ids, labels=self.labels).loss

    def run(self):
        times = [self.now()]
        with self.torch.inference_mode():
            self.forward()
        times.append(self.now())
        loss = self.forward()
        times.append(self.now())
        loss.backward()
        times.append(self.now())
        self.torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        times.append(self.now())
        parts = [b - a for a, b in zip(times, times[1:])]
        return dict(zip(["inference", "forward", "backward", "update", "step"], parts + [sum(parts[1:])]))


def torch_step(device, options):
    step = Step(device, options)
    step.run()
    runs = [step.run() for _ in range(options.repeat)]
    return {part: min(run[part] for run in runs) for part in runs[0]}


def main(options):
    try:
        results, device = reprise_ways(options)
    except (OSError, subprocess.CalledProcessError) as problem:
        sys.exit(f"peers: Reprise cannot be measured: {problem}")
    for name, where in (("PyTorch eager, CPU", "cpu"), ("PyTorch eager, CUDA, bfloat16", "cuda")):
        try:
            results.append((name, torch_step(where, options)))
        except Exception as problem:  # one that is missing must not stop the others
            print(f"{name} is left out: {problem}", file=sys.stderr)
    ours = results[0][1]["step"]
    print(f"{datetime.date.today()}, {os.cpu_count()} processors, {device}")
    print(f"\nA step of base on {options.batch or 8} sequences of {options.tokens} tokens, ms\n")
    print("| runtime | inference | forward | backward | update | step | x of Reprise |\n|---|---|---|---|---|---|---|")
    for name, parts in results:
        numbers = " | ".join(f"{parts[key]:.1f}" for key in ("inference", "forward", "backward", "update", "step"))
        print(f"| {name} | {numbers} | {parts['step'] / ours:.2f} |")
