"""What the binding adds to rp_classify of one text: the time of Model.classify outside rp_classify itself, which is
measured around the C call. It fails above 20 microseconds.

The model is a tiny one, whose answer takes little of the processor: behind a large one on Mesa's driver, which computes
on the processor too, what is measured is how long the processor takes to fetch the interpreter into its caches again
(some 40 microseconds, of the C library's own part too)."""
import statistics
import sys
import tempfile
import time

import reprise
import tiny
from reprise._native import lib

MOST = 20e-6


def main():
    with tempfile.TemporaryDirectory() as folder:
        model = reprise.Model(tiny.folders(folder)["classify"])
    inside, classify = [], lib.rp_classify

    def timed(*arguments):
        begun = time.perf_counter()
        status = classify(*arguments)
        inside.append(time.perf_counter() - begun)
        return status

    lib.rp_classify = timed
    added = []
    for _ in range(1100):
        begun = time.perf_counter()
        model.classify(["a warm and funny film"])
        added.append(time.perf_counter() - begun - inside[-1])
    added = added[100:]
    median = statistics.median(added)
    print(f"rp_classify {statistics.median(inside) * 1e6:.0f} us, Model.classify {median * 1e6:.1f} us more (medians)")
    return median > MOST


if __name__ == "__main__":
    sys.exit(main())
