package dev.reprise;

import java.util.Map;

/** What a dialogue replies. */
public final class Reply {
    /** Null: none is sure enough. */
    public final String intent;
    /** Of the intent, refused or not. */
    public final float score;
    /** Of the list; null: none is near enough. */
    public final String answer;
    /** Of the file that the answer is of, from 1; 0: none. */
    public final long row;
    /** That stands there; null: none. */
    public final String question;
    /** The score of that question. */
    public final float found;
    /** The part of the answer that says it; null: none. */
    public final Span marked;
    /** Its probability. */
    public final float markedScore;
    /** What was named in the dialogue so far. */
    public final Map<String, String> slots;

    Reply(String intent, float score, String answer, long row,
            String question, float found, Span marked,
            float markedScore, Map<String, String> slots) {
        this.intent = intent;
        this.score = score;
        this.answer = answer;
        this.row = row;
        this.question = question;
        this.found = found;
        this.marked = marked;
        this.markedScore = markedScore;
        this.slots = slots;
    }

    @Override
    public String toString() {
        return answer == null ? String.valueOf(intent) : answer;
    }
}
