package dev.reprise;

import java.util.Map;

/** What a training hears of a step: rp_train_result of train.h. */
public final class TrainingStep {
    public final long step;
    public final long steps;
    public final double epoch;
    public final double loss;
    public final double gradNorm;
    public final double learningRate;
    public final double seconds;
    public final long sequences;
    public final long tokens;
    /** More numbers of the step, by name. */
    public final Map<String, Double> metrics;

    TrainingStep(In in) {
        step = in.i64();
        steps = in.i64();
        epoch = in.f64();
        loss = in.f64();
        gradNorm = in.f64();
        learningRate = in.f64();
        seconds = in.f64();
        sequences = in.i64();
        tokens = in.i64();
        metrics = Evaluation.metrics(in);
    }
}
