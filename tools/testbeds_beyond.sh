#!/usr/bin/env bash
# tools/testbeds beyond [ROWS]: run Reprise where data is spread over workers, with one and with two of them: Ray Data
# (tools/examples/ray_batches.py), PySpark (tools/examples/spark_batches.py, and its pipe), GNU parallel. Each has to give what
# the command gives, over JSONL and over Parquet; the table is of their throughput, the start of their workers included.
#
# ray, pyspark, pandas and pyarrow come from PyPI (1 GB, into build-testbeds/beyond), Java and parallel from Debian. Two quiet
# cores take ten minutes; on a machine that is busy Ray may not start, which is said and left out. Each run reads ROWS rows
# (1,000). A worker's driver has one thread, so that two workers are two cores; the processor's time of all processes of a
# run stands beside the seconds, since a machine that does something else at the time changes those alone.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. tools/packages.sh
rows=${1:-1000}
work=$PWD/build-testbeds/beyond
mkdir -p "$work"
install_packages "$work/packages.log" "${build_packages[@]}" openjdk-17-jre-headless parallel python3-venv
say "Building"
quietly "$work/configure.log" cmake -S . -B "$work/native" -G Ninja -DCMAKE_BUILD_TYPE=Release -DREPRISE_TESTS=OFF
quietly "$work/build.log" ninja -C "$work/native" reprise_cli reprise_try
python=$work/venv/bin/python
[ -x "$python" ] || quietly "$work/venv.log" python3 -m venv "$work/venv"
quietly "$work/pip.log" "$python" -m pip install --quiet 'ray[data]==2.60.*' 'pyspark==4.3.*' pandas pyarrow
quietly "$work/declare.log" "$python" tools/python/declare.py include/reprise tools/python/reprise/_api.py
export REPRISE_LIBRARY=$work/native/libreprise.so REPRISE_CACHE_DIR=$work/cache PYTHONPATH=$PWD/tools/python
export PYSPARK_PYTHON=$python RAY_USAGE_STATS_ENABLED=0 LP_NUM_THREADS=1 RAY_worker_niceness=0
reprise=$work/native/reprise
examples=$PWD/tools/examples
cd "$work"

"$python" - "$rows" <<'END'
import json, random, sys
import pandas
rng = random.Random(3)
words = "a warm funny film that never finds its feet and not one laugh in an hour too long but the actors are good".split()
rows = [{"id": i, "text": " ".join(rng.choices(words, k=rng.randint(3, 30))) + " 😀" * (i % 7 == 0)}
        for i in range(int(sys.argv[1]))]
with open("in.jsonl", "w") as file:
    file.writelines(json.dumps(row) + "\n" for row in rows)
pandas.DataFrame(rows).to_parquet("in.parquet")
END
# What is right: the answers of the command, as {"id", "label", "score"} by id.
"$reprise" classify --jsonl --keep -k 1 <in.jsonl >warm-up.jsonl
cat >compare.py <<'END'
"""compare.py FILE_OR_FOLDER: whether its rows are those of the command; scores to 1e-6, since text becomes a double."""
import glob, json, os, sys
import pandas
def read(path):
    files = [path] if os.path.isfile(path) else sorted(glob.glob(path + "/*.json") + glob.glob(path + "/*.parquet")
                                                       + glob.glob(path + "/part-*[0-9]"))
    made = {}
    for name in files:
        rows = pandas.read_parquet(name).to_dict("records") if name.endswith(".parquet") else map(json.loads, open(name))
        for row in rows:
            best = row["answer"][0] if "answer" in row else row
            made[row["id"]] = (best["label"], best["score"])
    return made
right, there = read("warm-up.jsonl"), read(sys.argv[1])
wrong = [i for i in right if i not in there or there[i][0] != right[i][0] or abs(there[i][1] - right[i][1]) > 1e-6]
sys.exit(f"{sys.argv[1]}: {len(wrong)} of {len(right)} rows are not the command's, such as {wrong[:3]}" if wrong or
         len(right) != len(there) else 0)
END
cat >pipe.py <<'END'
"""pipe.py IN OUT WORKERS: Spark's pipe through the command, one process a partition."""
import os, sys
from pyspark import SparkContext
spark = SparkContext(f"local[{sys.argv[3]}]")
lines = spark.textFile(sys.argv[1], minPartitions=int(sys.argv[3])).coalesce(int(sys.argv[3]))
lines.pipe(f"{os.environ['REPRISE_COMMAND']} classify --jsonl --keep -k 1", env=dict(os.environ)).saveAsTextFile(sys.argv[2])
END
export REPRISE_COMMAND=$reprise
cat >timed.py <<'END'
"""timed.py FILE COMMAND...: run it; FILE gets the seconds that it took, and those of the processor in all its processes.

Ray's outlive their parents and are nobody's children, so each process that has this run's mark in its environment is
looked at ten times a second: what one does in the last tenth is not counted."""
import os, subprocess, sys, time
mark = f"BEYOND_RUN={os.getpid()}"
spent, tick = {}, os.sysconf("SC_CLK_TCK")
def look():
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if mark.encode() in open(f"/proc/{pid}/environ", "rb").read().split(b"\0"):
                fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
                spent[pid, fields[19]] = (int(fields[11]) + int(fields[12])) / tick
        except OSError:
            pass  # it ended, or is not ours
begun = time.monotonic()
run = subprocess.Popen(sys.argv[2:], env={**os.environ, **dict([mark.split("=")])})
while run.poll() is None:
    look()
    time.sleep(0.1)
with open(sys.argv[1], "w") as file:
    print(f"{time.monotonic() - begun:.1f} {sum(spent.values()):.1f}", file=file)
sys.exit(run.returncode)
END

failed=0
# measure NAME WORKERS OUT COMMAND...: run it, compare OUT, and print a row of the table.
measure() {
    local name=$1 workers=$2 out=$3 status=0 log seconds processor
    shift 3
    log=$(echo "$name-$workers.log" | tr ' ' '-')
    rm -rf "$out"
    "$python" timed.py times.txt "$@" >"$log" 2>&1 </dev/null || status=$?
    if [ $status != 0 ] && grep -q 'timed out during startup' "$log"; then
        printf '| %s | %s | did not start: the machine is busy | | |\n' "$name" "$workers"
        return
    fi
    if [ $status != 0 ] || ! "$python" compare.py "$out" >>"$log" 2>&1; then
        printf '| %s | %s | FAILED, see %s | | |\n' "$name" "$workers" "$work/$log"
        failed=1
        return
    fi
    read -r seconds processor <times.txt
    awk -v name="$name" -v workers="$workers" -v rows="$rows" -v seconds="$seconds" -v processor="$processor" 'BEGIN {
        printf "| %s | %s | %.1f | %.0f | %.1f |\n", name, workers, seconds, rows / seconds, processor }'
}
command_alone='"$REPRISE_COMMAND" classify --jsonl --keep -k 1 <in.jsonl >command.jsonl'
by_parallel='parallel --pipe --roundrobin --block 8k -j "$0" "$REPRISE_COMMAND" classify --jsonl --keep -k 1 <in.jsonl >parallel.jsonl'

say "$("$reprise" devices | sed -n 's/^0  *//p'), $(nproc) processors, $(date -I), load $(cut -d ' ' -f 1 /proc/loadavg)"
printf '| how | workers | seconds | rows a second | processor seconds |\n|---|---|---|---|---|\n'
measure "the command" 1 command.jsonl sh -c "$command_alone"
for workers in 1 2; do
    measure "GNU parallel" $workers parallel.jsonl sh -c "$by_parallel" $workers
    measure "Spark pipe" $workers pipe-out "$python" pipe.py in.jsonl pipe-out $workers
    measure "PySpark JSONL" $workers spark-out "$python" "$examples/spark_batches.py" in.jsonl spark-out $workers
    measure "PySpark Parquet" $workers spark-parquet "$python" "$examples/spark_batches.py" in.parquet spark-parquet $workers
    measure "Ray JSONL" $workers ray-out "$python" "$examples/ray_batches.py" in.jsonl ray-out $workers
    measure "Ray Parquet" $workers ray-parquet "$python" "$examples/ray_batches.py" in.parquet ray-parquet $workers
done
exit $failed
