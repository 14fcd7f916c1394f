package dev.reprise;

/** How to measure a model: rp_eval_params of eval.h. */
public final class EvaluationOptions {
    private EvalTask task;
    private boolean skipBad;
    private int maxTokens;
    private int stride;
    private int maxAnswerTokens;
    private String format;
    private String textColumn;
    private String pairColumn;
    private String labelColumn;
    private String glue;
    private String predictions;
    private String calibrate;
    private double targetPrecision;
    private double targetRecall;

    /** What is measured; by default what the model's head is for. */
    public EvaluationOptions task(EvalTask task) {
        this.task = task;
        return this;
    }

    /** Rows that cannot be used are left out. */
    public EvaluationOptions skipBad(boolean skipBad) {
        this.skipBad = skipBad;
        return this;
    }

    /** The longest sequence. */
    public EvaluationOptions maxTokens(int maxTokens) {
        this.maxTokens = maxTokens;
        return this;
    }

    /** Tokens that neighbouring windows share. */
    public EvaluationOptions stride(int stride) {
        this.stride = stride;
        return this;
    }

    /** The longest answer; 0: 30. */
    public EvaluationOptions maxAnswerTokens(int maxAnswerTokens) {
        this.maxAnswerTokens = maxAnswerTokens;
        return this;
    }

    /** Such as tsv; by default as the file's name says. */
    public EvaluationOptions format(String format) {
        this.format = format;
        return this;
    }

    /** Of a table, or key of JSON lines. */
    public EvaluationOptions textColumn(String textColumn) {
        this.textColumn = textColumn;
        return this;
    }

    /** Likewise. */
    public EvaluationOptions pairColumn(String pairColumn) {
        this.pairColumn = pairColumn;
        return this;
    }

    /** Likewise. */
    public EvaluationOptions labelColumn(String labelColumn) {
        this.labelColumn = labelColumn;
        return this;
    }

    /** A task of GLUE, whose metrics alone are given. */
    public EvaluationOptions glue(String glue) {
        this.glue = glue;
        return this;
    }

    /** A file that gets a JSON object a row. */
    public EvaluationOptions predictions(String predictions) {
        this.predictions = predictions;
        return this;
    }

    /** A file that gets a threshold for each label. */
    public EvaluationOptions calibrate(String calibrate) {
        this.calibrate = calibrate;
        return this;
    }

    /** With calibrate one of these two. */
    public EvaluationOptions targetPrecision(double targetPrecision) {
        this.targetPrecision = targetPrecision;
        return this;
    }

    /** The other. */
    public EvaluationOptions targetRecall(double targetRecall) {
        this.targetRecall = targetRecall;
        return this;
    }

    void write(Out out) {
        out.word(task).flag(skipBad).i32(maxTokens).i32(stride).i32(maxAnswerTokens).name(format, "format")
                .name(textColumn, "textColumn").name(pairColumn, "pairColumn").name(labelColumn, "labelColumn")
                .name(glue, "glue").name(predictions, "predictions").name(calibrate, "calibrate")
                .f64(targetPrecision).f64(targetRecall);
    }
}
