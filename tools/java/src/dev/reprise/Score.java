package dev.reprise;

import java.util.Arrays;
import java.util.List;

/** How likely a masked language model finds texts: rp_score of score.h. */
public final class Score extends Texts<Likelihood> {
    private static final int FUNCTION = Native.function("score");

    /** Of these texts. */
    public Score(String... texts) {
        super(Arrays.asList(texts));
    }

    /** Of these texts. */
    public Score(List<String> texts) {
        super(texts);
    }

    @Override
    int function() {
        return FUNCTION;
    }

    @Override
    void write(Out out) {
        writeTexts(out);
    }

    @Override
    Likelihood read(In in, int i) {
        return new Likelihood(in.f64(), in.i32());
    }
}
