"""What the binding adds to rp_classify of one text: the median over 1,000 calls of Model.classify of the time outside
rp_classify itself, which is measured around the C call. It fails above 20 microseconds."""
import statistics
import sys
import time

import reprise
from reprise._native import lib


def main():
    model = reprise.Model("sentiment")
    inside = []
    classify = lib.rp_classify

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
    median = statistics.median(added[100:])
    print(f"rp_classify {statistics.median(inside) * 1e6:.0f} us, Model.classify {median * 1e6:.1f} us more (medians)")
    return median > 20e-6


if __name__ == "__main__":
    sys.exit(main())
