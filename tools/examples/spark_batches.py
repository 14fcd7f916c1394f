#!/usr/bin/env python3
"""spark_batches.py IN OUT [WORKERS]: classify the texts of IN with PySpark.

IN is a file of JSONL, or of Parquet, or a folder of either, with a column "text"; OUT becomes a folder of the same kind, of
the same rows with "label" and "score". mapInPandas hands each partition to a worker of Python as an iterator of batches:
the worker opens the model once and keeps it for the partitions that follow. Without a cluster it runs in this machine, with
WORKERS workers; else start it by spark-submit."""
import os
import sys

import pyspark.sql
import reprise


def classify(batches):
    model = reprise.shared_model("sentiment")
    for batch in batches:
        answers = model.classify(list(batch["text"]), top_k=1, errors="return")
        batch["label"] = [None if isinstance(a, reprise.Error) else str(a[0]["label"]) for a in answers]
        batch["score"] = [None if isinstance(a, reprise.Error) else a[0]["score"] for a in answers]
        yield batch


def main():
    source, out, workers = sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 2
    files = os.listdir(source) if os.path.isdir(source) else [source]
    parquet = any(name.endswith(".parquet") for name in files)
    builder = pyspark.sql.SparkSession.builder
    if "SPARK_ENV_LOADED" not in os.environ:  # which spark-submit sets
        builder = builder.master(f"local[{workers}]")
    spark = builder.config("spark.sql.execution.arrow.maxRecordsPerBatch", 256).getOrCreate()
    rows = (spark.read.parquet if parquet else spark.read.json)(source).repartition(workers * 4)
    rows = rows.mapInPandas(classify, f"{rows.schema.simpleString()[7:-1]}, label string, score double")
    (rows.write.parquet if parquet else rows.write.json)(out)
    spark.stop()


if __name__ == "__main__":
    main()
