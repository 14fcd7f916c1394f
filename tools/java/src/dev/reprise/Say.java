package dev.reprise;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Texts for {@link Chat#run}, which follow one another. */
public final class Say extends Texts<Reply> {
    private static final int FUNCTION = Native.function("chat_say");

    /** Of these texts. */
    public Say(String... texts) {
        super(Arrays.asList(texts));
    }

    /** Of these texts. */
    public Say(List<String> texts) {
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
    Reply read(In in, int i) {
        String intent = in.name();
        float score = in.f32();
        String answer = in.name();
        long row = in.i64();
        String question = in.name();
        float found = in.f32();
        Span marked = new Units(answer == null ? "" : answer).span(in);
        float markedScore = in.f32();
        int count = in.i32();
        Map<String, String> slots = new LinkedHashMap<String, String>();
        for (int k = 0; k < count; k++) {
            String name = in.name();
            slots.put(name, in.name());
        }
        return new Reply(intent, score, answer, row, question, found, marked.end > marked.start ? marked : null,
                markedScore, slots);
    }
}
