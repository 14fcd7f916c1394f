package dev.reprise;

import java.util.Map;

/** What a training hears of an evaluation on the file dev. */
public final class TrainingEvaluation {
    /** After how many steps. */
    public final long step;
    /** It is the best one so far. */
    public final boolean best;
    public final Map<String, Double> metrics;

    TrainingEvaluation(In in) {
        step = in.i64();
        best = in.flag();
        metrics = Evaluation.metrics(in);
    }
}
