package dev.reprise;

import java.util.List;

/** Texts to token ids and back: rp_tokenizer of tokenizer.h. Needs no device; any thread may use it. */
public final class Tokenizer implements AutoCloseable {
    private static final int OPEN = Native.function("tokenizer_open");
    private static final int OPEN_RECORDS = Native.function("tokenizer_open_records");
    private static final int CLOSE = Native.function("tokenizer_close");
    private static final int INFO = Native.function("tokenizer_info");
    private static final int PIECE = Native.function("tokenizer_piece");
    private static final int TOKENIZE = Native.function("tokenize");
    private static final int DECODE = Native.function("decode");
    private final Handle handle;
    private final Model model;
    private final long pointer; // of a model's own

    private Tokenizer(long opened) {
        handle = new Handle("tokenizer", opened, CLOSE, null).watch(this);
        model = null;
        pointer = 0;
    }

    Tokenizer(Model model, long pointer) {
        handle = model.handle;
        this.model = model;
        this.pointer = pointer;
    }

    /** The tokenizer of a folder, or of a model by name. */
    public static Tokenizer open(String name) {
        return new Tokenizer(Native.run(OPEN, new Out().name(name, "name")).i64());
    }

    /** The tokenizer of records. */
    public static Tokenizer open(List<Record> records) {
        Out out = new Out();
        Record.write(out, records);
        return new Tokenizer(Native.run(OPEN_RECORDS, out).i64());
    }

    private In ask(int function, Out more) {
        long own = handle.enter();
        try {
            return Native.run(function, new Out().i64(model == null ? own : pointer).append(more));
        } finally {
            handle.exit();
        }
    }

    /** The tokens of a text and, if it is not null, a pair, with special tokens. */
    public Encoding tokenize(String text, String pair) {
        return tokenize(text, pair, true, 0);
    }

    /** The same with or without special tokens, cut to so many; 0: not cut. */
    public Encoding tokenize(String text, String pair, boolean specialTokens, int maxTokens) {
        Out out = new Out().flag(!specialTokens).i32(maxTokens).i32(0).text(Out.present(text, 0), 0).text(pair, 1);
        return new Encoding(ask(TOKENIZE, out), text, pair);
    }

    /** Ids back to a text. */
    public String decode(int[] ids, boolean skipSpecialTokens) {
        Out out = new Out().flag(skipSpecialTokens).i32(ids.length);
        for (int id : ids) {
            out.i32(id);
        }
        return ask(DECODE, out).name();
    }

    /** The piece of an id, as it stands in the vocabulary; null: there is none. */
    public String piece(int id) {
        return ask(PIECE, new Out().i32(id)).name();
    }

    /** The number of ids. */
    public int vocabSize() {
        return ask(INFO, new Out()).i32();
    }

    /** The ids of [CLS], [SEP], [MASK], padding and unknown, in this order; -1: there is none. */
    public int[] specialIds() {
        In in = ask(INFO, new Out());
        in.i64();
        return new int[] {in.i32(), in.i32(), in.i32(), in.i32(), in.i32()};
    }

    /** Close it. That of a model stays until the model is closed. */
    @Override
    public void close() {
        if (model == null) {
            handle.close();
        }
    }
}
