package dev.reprise;

import java.util.Collections;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;

/** What a model is: rp_model_info of model.h. */
public final class ModelInfo {
    public final String dir;
    public final String architecture;
    public final int vocabSize;
    public final int hiddenSize;
    public final int layers;
    /** The longest sequence, special tokens included. */
    public final int maxTokens;
    public final long parameters;
    public final long deviceBytes;
    public final Set<Head> heads;
    public final Problem problem;
    public final List<String> labels;
    final long tokenizer;

    ModelInfo(In in) {
        dir = in.name();
        architecture = in.name();
        vocabSize = in.i32();
        hiddenSize = in.i32();
        layers = in.i32();
        maxTokens = in.i32();
        parameters = in.i64();
        deviceBytes = in.i64();
        int bits = in.i32();
        Set<Head> found = EnumSet.noneOf(Head.class);
        for (Head head : Head.values()) {
            if ((bits & head.bit()) != 0) {
                found.add(head);
            }
        }
        heads = Collections.unmodifiableSet(found);
        problem = Problem.values()[in.i32()];
        labels = Collections.unmodifiableList(in.names());
        tokenizer = in.i64();
    }

    @Override
    public String toString() {
        return architecture + " of " + dir;
    }
}
