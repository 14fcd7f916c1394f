package dev.reprise;

import java.util.ArrayList;
import java.util.List;

/** Questions to texts: rp_answer_questions of tasks.h. Answers best first. */
public final class Ask extends Pairs<List<Answer>> {
    private static final int FUNCTION = Native.function("answer");
    private int topK;
    private int maxTokens;
    private int stride;
    private int maxQuestionTokens;
    private int maxAnswerTokens;
    private boolean allowNoAnswer;

    /** Add a question and the text that is to answer it. */
    public Ask add(String question, String context) {
        put(question, context);
        return this;
    }

    /** Answers for each question; 0: 1. */
    public Ask topK(int topK) {
        this.topK = topK;
        return this;
    }

    /** The longest window, question included; 0: 384. */
    public Ask maxTokens(int maxTokens) {
        this.maxTokens = maxTokens;
        return this;
    }

    /** Tokens of the context that neighbouring windows share; 0: 128. */
    public Ask stride(int stride) {
        this.stride = stride;
        return this;
    }

    /** Longer questions are cut; 0: 64. */
    public Ask maxQuestionTokens(int maxQuestionTokens) {
        this.maxQuestionTokens = maxQuestionTokens;
        return this;
    }

    /** The longest answer; 0: 15. */
    public Ask maxAnswerTokens(int maxAnswerTokens) {
        this.maxAnswerTokens = maxAnswerTokens;
        return this;
    }

    /** An empty answer may win. */
    public Ask allowNoAnswer(boolean allowNoAnswer) {
        this.allowNoAnswer = allowNoAnswer;
        return this;
    }

    @Override
    int function() {
        return FUNCTION;
    }

    @Override
    void write(Out out) {
        out.i32(topK).i32(maxTokens).i32(stride).i32(maxQuestionTokens).i32(maxAnswerTokens).flag(allowNoAnswer);
        writePairs(out, true);
    }

    @Override
    List<Answer> read(In in, int i) {
        int count = in.i32();
        List<Answer> answers = new ArrayList<Answer>(count);
        Units units = new Units(second(i));
        for (int k = 0; k < count; k++) {
            float score = in.f32();
            Span span = units.span(in);
            in.name();
            in.flag();
            answers.add(new Answer(score, span, span.of(second(i)), null));
        }
        return answers;
    }
}
