package dev.reprise;

import java.util.ArrayList;
import java.util.List;

/** Labels of texts or pairs of texts, several labels a text, or the number of a regression: rp_classify of tasks.h. */
public final class Classify extends Pairs<Classification> {
    private static final int FUNCTION = Native.function("classify");
    private int topK;
    private LongTexts longTexts;
    private int stride;
    private boolean explain;
    private int mostParts;

    /** Of these texts; {@link #add} adds pairs. */
    public Classify(String... texts) {
        super(texts);
    }

    /** Of these texts. */
    public Classify(List<String> texts) {
        super(texts);
    }

    /** Add a text with a second one, which may be null. */
    public Classify add(String text, String pair) {
        put(text, pair);
        return this;
    }

    /** How many labels, best first; 0: all. */
    public Classify topK(int topK) {
        this.topK = topK;
        return this;
    }

    /** What becomes of texts that are longer than the model takes. */
    public Classify longTexts(LongTexts longTexts) {
        this.longTexts = longTexts;
        return this;
    }

    /** Tokens that neighbouring windows share; 0: 64. */
    public Classify stride(int stride) {
        this.stride = stride;
        return this;
    }

    /** Say which words speak for the best label. */
    public Classify explain(boolean explain) {
        this.explain = explain;
        return this;
    }

    /** With {@link #explain}: the most parts of a text; 0: 256. */
    public Classify mostParts(int mostParts) {
        this.mostParts = mostParts;
        return this;
    }

    @Override
    int function() {
        return FUNCTION;
    }

    @Override
    void write(Out out) {
        out.i32(topK).word(longTexts).i32(stride).flag(explain).i32(mostParts);
        writePairs(out, false);
    }

    @Override
    Classification read(In in, int i) {
        return classification(in, first(i));
    }

    static Classification classification(In in, String text) {
        int count = in.i32();
        List<Label> labels = new ArrayList<Label>(count);
        for (int k = 0; k < count; k++) {
            labels.add(new Label(in.name(), in.i32(), in.f32()));
        }
        count = in.i32();
        List<Word> words = new ArrayList<Word>(count);
        Units units = new Units(text);
        for (int k = 0; k < count; k++) {
            Span span = units.span(in);
            words.add(new Word(span.of(text), span, in.f32()));
        }
        return new Classification(labels, words);
    }
}
