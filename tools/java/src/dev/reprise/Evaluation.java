package dev.reprise;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;

/** How right a model is on a file of labelled data: rp_evaluation of eval.h. */
public final class Evaluation {
    public final EvalTask task;
    public final long rows;
    /** Rows that were left out. */
    public final long skipped;
    /** The metrics by name, in the order in which the command prints them. */
    public final Map<String, Double> metrics;

    Evaluation(In in) {
        task = EvalTask.values()[in.i32()];
        rows = in.i64();
        skipped = in.i64();
        metrics = metrics(in);
    }

    static Map<String, Double> metrics(In in) {
        int count = in.i32();
        Map<String, Double> metrics = new LinkedHashMap<String, Double>();
        for (int i = 0; i < count; i++) {
            metrics.put(in.name(), in.f64());
        }
        return Collections.unmodifiableMap(metrics);
    }

    @Override
    public String toString() {
        return metrics.toString();
    }
}
