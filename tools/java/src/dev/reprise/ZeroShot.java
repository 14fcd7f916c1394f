package dev.reprise;

import java.util.ArrayList;
import java.util.List;

/** Which of your own labels fits texts: rp_zero_shot of tasks.h. */
public final class ZeroShot extends Texts<Classification> {
    private static final int FUNCTION = Native.function("zero_shot");
    private final List<String> labels;
    private String hypothesis;
    private boolean multiLabel;
    private int topK;

    /** Of these texts, with these labels. */
    public ZeroShot(List<String> texts, List<String> labels) {
        super(texts);
        this.labels = new ArrayList<String>(labels);
    }

    /** A sentence with "{}" where the label goes; null: "This example is {}." */
    public ZeroShot hypothesis(String hypothesis) {
        this.hypothesis = hypothesis;
        return this;
    }

    /** Each label is true or not, whatever the others are. */
    public ZeroShot multiLabel(boolean multiLabel) {
        this.multiLabel = multiLabel;
        return this;
    }

    /** How many labels, best first; 0: all. */
    public ZeroShot topK(int topK) {
        this.topK = topK;
        return this;
    }

    @Override
    int function() {
        return FUNCTION;
    }

    @Override
    void write(Out out) {
        out.names(labels, "label").name(hypothesis, "hypothesis").flag(multiLabel).i32(topK);
        writeTexts(out);
    }

    @Override
    Classification read(In in, int i) {
        return Classify.classification(in, text(i));
    }
}
