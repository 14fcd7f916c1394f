package dev.reprise;

import java.util.ArrayList;
import java.util.List;

/** Questions to a collection of documents: rp_answer_documents of documents.h. */
public final class AskDocuments extends Texts<List<Answer>> {
    private static final int FUNCTION = Native.function("answer_documents");
    private final Documents documents;
    private int topK;
    private int passages;
    private int maxAnswerTokens;
    private boolean allowNoAnswer;
    private float threshold;
    private float weight;

    /** Of these texts. */
    public AskDocuments(Documents documents, List<String> texts) {
        super(texts);
        this.documents = documents;
    }

    /** Answers for each question; 0: 1. */
    public AskDocuments topK(int topK) {
        this.topK = topK;
        return this;
    }

    /** How many are read for each question; 0: 5. */
    public AskDocuments passages(int passages) {
        this.passages = passages;
        return this;
    }

    /** The longest answer; 0: 15. */
    public AskDocuments maxAnswerTokens(int maxAnswerTokens) {
        this.maxAnswerTokens = maxAnswerTokens;
        return this;
    }

    /** An empty answer may win. */
    public AskDocuments allowNoAnswer(boolean allowNoAnswer) {
        this.allowNoAnswer = allowNoAnswer;
        return this;
    }

    /** Answers with a lower score are left out. */
    public AskDocuments threshold(float threshold) {
        this.threshold = threshold;
        return this;
    }

    /** How much the score of finding counts; 0: the default. */
    public AskDocuments weight(float weight) {
        this.weight = weight;
        return this;
    }

    @Override
    int function() {
        return FUNCTION;
    }

    @Override
    Handle second() {
        return documents.handle;
    }

    @Override
    void write(Out out) {
        out.i32(topK).i32(passages).i32(maxAnswerTokens).flag(allowNoAnswer).f64(threshold).f64(weight);
        writeTexts(out);
    }

    @Override
    List<Answer> read(In in, int i) {
        int count = in.i32();
        List<Answer> answers = new ArrayList<Answer>(count);
        for (int k = 0; k < count; k++) {
            float score = in.f32();
            Span span = new Span(in.i32(), in.i32());
            String text = in.name();
            Source source = in.flag() ? source(in) : null;
            answers.add(new Answer(score, span, text, source));
        }
        return answers;
    }

    private static Source source(In in) {
        String document = in.name();
        int start = in.i32();
        in.i32();
        return new Source(document, start, in.name(), in.f32(), in.f32());
    }
}
