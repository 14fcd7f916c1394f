package dev.reprise;

/** Teaches a model by labelled data: rp_finetune of finetune.h, and what is not set is its default. A {@link Call} hears
 * of steps and evaluations. */
public final class Finetune {
    private static final int FUNCTION = Native.function("finetune");
    private String model;
    private String train;
    private String dev;
    private String out;
    private EvalTask task;
    private int epochs;
    private long steps;
    private int batchSize;
    private int maxTokens;
    private int stride;
    private int keep;
    private long evalEvery;
    private long saveEvery;
    private long seed;
    private double learningRate;
    private double warmup;
    private double weightDecay;
    private double maxGradNorm;
    private double labelSmoothing;
    private double labelWeight;
    private Schedule schedule;
    private Optimizer optimizer;
    private Recompute recompute;
    private Freeze freeze;
    private boolean earlyExit;
    private Precision precision;
    private boolean noShuffle;
    private boolean skipBad;
    private boolean resume;
    private String format;
    private String textColumn;
    private String pairColumn;
    private String labelColumn;
    private String teacher;
    private String metric;
    private String log;
    private String plot;
    private String labels;

    /** Of the learning rate after the warm-up: rp_train_schedule of train.h. */
    public enum Schedule {
        DEFAULT, LINEAR, CONSTANT, POLYNOMIAL
    }

    /** rp_optimizer of train.h. */
    public enum Optimizer {
        DEFAULT, ADAMW, LAMB
    }

    /** What becomes of activations until the way back: rp_recompute of train.h. */
    public enum Recompute {
        AUTO, ALWAYS, NEVER
    }

    /** What keeps its weights: rp_train_freeze of train.h. */
    public enum Freeze {
        NONE, EMBEDDINGS, ENCODER
    }

    /** The folder to begin with, or the name of a model. */
    public Finetune model(String model) {
        this.model = model;
        return this;
    }

    /** The file that is learnt. */
    public Finetune train(String train) {
        this.train = train;
        return this;
    }

    /** The file that is evaluated; null: none. */
    public Finetune dev(String dev) {
        this.dev = dev;
        return this;
    }

    /** The folder to write. */
    public Finetune out(String out) {
        this.out = out;
        return this;
    }

    /** What is taught; by default what the folder's head is for. */
    public Finetune task(EvalTask task) {
        this.task = task;
        return this;
    }

    /** Passes over the data; 0: 3. */
    public Finetune epochs(int epochs) {
        this.epochs = epochs;
        return this;
    }

    /** 0: as many as the epochs have. */
    public Finetune steps(long steps) {
        this.steps = steps;
        return this;
    }

    /** Rows of a step; 0: 8. */
    public Finetune batchSize(int batchSize) {
        this.batchSize = batchSize;
        return this;
    }

    /** The longest sequence. */
    public Finetune maxTokens(int maxTokens) {
        this.maxTokens = maxTokens;
        return this;
    }

    /** Of answers: tokens that neighbouring windows share; 0: 128. */
    public Finetune stride(int stride) {
        this.stride = stride;
        return this;
    }

    /** Checkpoints that stay; 0: all. */
    public Finetune keep(int keep) {
        this.keep = keep;
        return this;
    }

    /** Steps from one evaluation to the next; 0: a pass. */
    public Finetune evalEvery(long evalEvery) {
        this.evalEvery = evalEvery;
        return this;
    }

    /** Steps from one checkpoint to the next; 0: 500; -1: there are none. */
    public Finetune saveEvery(long saveEvery) {
        this.saveEvery = saveEvery;
        return this;
    }

    /** 0: 42. */
    public Finetune seed(long seed) {
        this.seed = seed;
        return this;
    }

    /** 0: 5e-5. */
    public Finetune learningRate(double learningRate) {
        this.learningRate = learningRate;
        return this;
    }

    /** Steps, or below 1 their share. */
    public Finetune warmup(double warmup) {
        this.warmup = warmup;
        return this;
    }

    /** As in rp_finetune_params. */
    public Finetune weightDecay(double weightDecay) {
        this.weightDecay = weightDecay;
        return this;
    }

    /** 0: 1; below 0: none. */
    public Finetune maxGradNorm(double maxGradNorm) {
        this.maxGradNorm = maxGradNorm;
        return this;
    }

    /** As in rp_finetune_params. */
    public Finetune labelSmoothing(double labelSmoothing) {
        this.labelSmoothing = labelSmoothing;
        return this;
    }

    /** Of the labels' loss beside the teacher's. */
    public Finetune labelWeight(double labelWeight) {
        this.labelWeight = labelWeight;
        return this;
    }

    /** Of the learning rate. */
    public Finetune schedule(Schedule schedule) {
        this.schedule = schedule;
        return this;
    }

    /** As in rp_finetune_params. */
    public Finetune optimizer(Optimizer optimizer) {
        this.optimizer = optimizer;
        return this;
    }

    /** What becomes of activations. */
    public Finetune recompute(Recompute recompute) {
        this.recompute = recompute;
        return this;
    }

    /** What keeps its weights. */
    public Finetune freeze(Freeze freeze) {
        this.freeze = freeze;
        return this;
    }

    /** A classifier behind every layer learns, too, by which texts leave early (patience). */
    public Finetune earlyExit(boolean earlyExit) {
        this.earlyExit = earlyExit;
        return this;
    }

    /** As in rp_finetune_params. */
    public Finetune precision(Precision precision) {
        this.precision = precision;
        return this;
    }

    /** Rows are learnt in the order of the file. */
    public Finetune noShuffle(boolean noShuffle) {
        this.noShuffle = noShuffle;
        return this;
    }

    /** Rows that cannot be read are left out. */
    public Finetune skipBad(boolean skipBad) {
        this.skipBad = skipBad;
        return this;
    }

    /** Go on where a training with the same out ended. */
    public Finetune resume(boolean resume) {
        this.resume = resume;
        return this;
    }

    /** Of both files. */
    public Finetune format(String format) {
        this.format = format;
        return this;
    }

    /** As in rp_finetune_params. */
    public Finetune textColumn(String textColumn) {
        this.textColumn = textColumn;
        return this;
    }

    /** As in rp_finetune_params. */
    public Finetune pairColumn(String pairColumn) {
        this.pairColumn = pairColumn;
        return this;
    }

    /** As in rp_finetune_params. */
    public Finetune labelColumn(String labelColumn) {
        this.labelColumn = labelColumn;
        return this;
    }

    /** Another model to learn from. */
    public Finetune teacher(String teacher) {
        this.teacher = teacher;
        return this;
    }

    /** By which evaluations are compared. */
    public Finetune metric(String metric) {
        this.metric = metric;
        return this;
    }

    /** A file that gets a JSON object for each step. */
    public Finetune log(String log) {
        this.log = log;
        return this;
    }

    /** A file that gets a plot. */
    public Finetune plot(String plot) {
        this.plot = plot;
        return this;
    }

    /** Of a new head, in their order, with commas between; or the name of a file. */
    public Finetune labels(String labels) {
        this.labels = labels;
        return this;
    }

    /** Train on this device; {@code call} may be null. */
    public void run(Device device, Call call) {
        Out out = new Out();
        long pointer = device.handle.enter();
        try {
            write(out.i64(pointer));
            Native.run(FUNCTION, out, call);
        } finally {
            device.handle.exit();
        }
    }

    private void write(Out to) {
        to.name(model, "model").name(train, "train").name(dev, "dev").name(out, "out").word(task).i32(epochs)
                .i64(steps).i32(batchSize).i32(maxTokens).i32(stride).i32(keep).i64(evalEvery).i64(saveEvery)
                .i64(seed).f64(learningRate).f64(warmup).f64(weightDecay).f64(maxGradNorm).f64(labelSmoothing)
                .f64(labelWeight).word(schedule).word(optimizer).word(recompute).word(freeze).word(precision)
                .flag(noShuffle).flag(skipBad).flag(resume).flag(earlyExit).name(format, "format")
                .name(textColumn, "textColumn").name(pairColumn, "pairColumn").name(labelColumn, "labelColumn")
                .name(teacher, "teacher").name(metric, "metric").name(log, "log").name(plot, "plot")
                .name(labels, "labels");
    }
}
