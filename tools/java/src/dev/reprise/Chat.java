package dev.reprise;

import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;

/** A dialogue: rp_chat of chat.h. Calls of several threads wait for each other. */
public final class Chat implements AutoCloseable {
    private static final int OPEN = Native.function("chat_open");
    private static final int CLOSE = Native.function("chat_close");
    private static final int FORGET = Native.function("chat_forget");
    final Handle handle;

    private Chat(Options options, Call call) {
        Model[] models = {options.model, options.embedder, options.reader, options.tagger};
        Set<Handle> used = new LinkedHashSet<Handle>();
        Out out = new Out();
        try {
            for (Model model : models) {
                if (model != null && !used.contains(model.handle)) {
                    model.handle.enter();
                    used.add(model.handle);
                }
                out.i64(model == null ? 0 : model.handle.pointer());
            }
            out.name(options.examples, "examples").name(options.faq, "faq").flag(options.threshold != null)
                    .f64(options.threshold == null ? 0 : options.threshold).flag(options.faqThreshold != null)
                    .f64(options.faqThreshold == null ? 0 : options.faqThreshold);
            handle = new Handle("dialogue", Native.run(OPEN, out, call).i64(), CLOSE, models,
                    used.toArray(new Handle[used.size()]));
        } finally {
            for (Handle model : used) {
                model.exit();
            }
        }
        handle.watch(this);
    }

    /** Begin a dialogue; {@code call} may be null. */
    public static Chat open(Options options, Call call) {
        return new Chat(options, call);
    }

    /** What a dialogue knows: rp_chat_params of chat.h. */
    public static final class Options {
        private Model model;
        private Model embedder;
        private Model reader;
        private Model tagger;
        private String examples;
        private String faq;
        private Float threshold;
        private Float faqThreshold;

        /** Whose labels are the intents, or which stands for the others. */
        public Options model(Model model) {
            this.model = model;
            return this;
        }

        /** Makes vectors. */
        public Options embedder(Model embedder) {
            this.embedder = embedder;
            return this;
        }

        /** Marks the part of an answer that says it. */
        public Options reader(Model reader) {
            this.reader = reader;
            return this;
        }

        /** Finds slots. */
        public Options tagger(Model tagger) {
            this.tagger = tagger;
            return this;
        }

        /** A file of texts with their intents. */
        public Options examples(String examples) {
            this.examples = examples;
            return this;
        }

        /** A file of questions and answers. */
        public Options faq(String faq) {
            this.faq = faq;
            return this;
        }

        /** An intent with a lower score is refused; null: the default. */
        public Options threshold(Float threshold) {
            this.threshold = threshold;
            return this;
        }

        /** The same for an answer. */
        public Options faqThreshold(Float faqThreshold) {
            this.faqThreshold = faqThreshold;
            return this;
        }
    }

    /** Reply to texts, which follow one another; {@code call} may be null. */
    public synchronized List<Result<Reply>> run(Say request, Call call) {
        return request.answers(handle, call);
    }

    /** The same as JSON, as the command prints it; {@code call} may be null. */
    public synchronized List<String> json(Say request, Offsets offsets, Call call) {
        return request.json(handle, offsets, call);
    }

    /** Forget the last intent and the slots. */
    public synchronized void forget() {
        long pointer = handle.enter();
        try {
            Native.run(FORGET, new Out().i64(pointer));
        } finally {
            handle.exit();
        }
    }

    @Override
    public void close() {
        handle.close();
    }
}
