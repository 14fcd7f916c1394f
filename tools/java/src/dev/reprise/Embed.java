package dev.reprise;

import java.util.Arrays;
import java.util.List;

/** Vectors of texts: rp_embed of tasks.h. */
public final class Embed extends Texts<Vectors> {
    private static final int FUNCTION = Native.function("embed");
    private Pooling pooling;
    private Normalize normalize;
    private String promptName;
    private String prompt;
    private int dimensions;

    /** Of these texts. */
    public Embed(String... texts) {
        super(Arrays.asList(texts));
    }

    /** Of these texts. */
    public Embed(List<String> texts) {
        super(texts);
    }

    /** How the vectors of tokens become one. */
    public Embed pooling(Pooling pooling) {
        this.pooling = pooling;
        return this;
    }

    /** Whether they are brought to length 1. */
    public Embed normalize(Normalize normalize) {
        this.normalize = normalize;
        return this;
    }

    /** Which of the folder's prompts stands before each text. */
    public Embed promptName(String promptName) {
        this.promptName = promptName;
        return this;
    }

    /** The text that stands there in its place; "": none. */
    public Embed prompt(String prompt) {
        this.prompt = prompt;
        return this;
    }

    /** Keep so many columns; 0: all. */
    public Embed dimensions(int dimensions) {
        this.dimensions = dimensions;
        return this;
    }

    @Override
    int function() {
        return FUNCTION;
    }

    @Override
    void write(Out out) {
        out.word(pooling).word(normalize).name(promptName, "promptName").name(prompt, "prompt").i32(dimensions);
        writeTexts(out);
    }

    @Override
    Vectors read(In in, int i) {
        int rows = in.i32();
        int columns = in.i32();
        return new Vectors(rows, columns, in.floats(rows * columns));
    }
}
