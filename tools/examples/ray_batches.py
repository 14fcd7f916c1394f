#!/usr/bin/env python3
"""ray_batches.py IN OUT [WORKERS]: classify the texts of IN with Ray Data.

IN is a file of JSONL, or of Parquet, or a folder of either, with a column "text"; OUT becomes a folder of the same kind, of
the same rows with "label" and "score". Ray sends batches to a pool of actors, each of which opens the model once; on a
cluster they are spread over its machines, whose GPUs need no CUDA."""
import glob
import os
import sys

import ray
import reprise


class Classify:
    """An actor of the pool."""

    def __init__(self, model):
        self.model = reprise.Model(model)

    def __call__(self, batch):
        answers = self.model.classify(list(batch["text"]), top_k=1, errors="return")
        batch["label"] = [None if isinstance(a, reprise.Error) else a[0]["label"] for a in answers]
        batch["score"] = [None if isinstance(a, reprise.Error) else a[0]["score"] for a in answers]
        return batch


def main():
    source, out, workers = sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 2
    parquet = bool(source.endswith(".parquet") or glob.glob(os.path.join(source, "*.parquet")))
    rows = ray.data.read_parquet(source) if parquet else ray.data.read_json(source)
    rows = rows.repartition(workers * 4)  # a file of few blocks would keep few actors busy
    # Half a processor each: the work is the device's, and what reads and writes needs a processor as well, without which
    # Ray waits for ever. Where each machine has GPUs that Ray knows, num_gpus=1 gives an actor its own.
    rows = rows.map_batches(Classify, fn_constructor_args=("sentiment",), concurrency=workers, num_cpus=0.5, batch_size=128,
                            batch_format="pandas")
    (rows.write_parquet if parquet else rows.write_json)(out)


if __name__ == "__main__":
    main()
