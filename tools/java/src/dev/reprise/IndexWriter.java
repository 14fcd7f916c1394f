package dev.reprise;

import java.util.List;

/** An index file that is being written: rp_index_writer of search.h. Closing it without {@link #finish} gives it up. */
public final class IndexWriter implements AutoCloseable {
    private static final int CREATE = Native.function("index_create");
    private static final int ADD = Native.function("index_add");
    private static final int FINISH = Native.function("index_finish");
    private static final int ABANDON = Native.function("index_abandon");
    final Handle handle;

    /** Begin the file, with vectors of this model as its folder says. */
    public IndexWriter(Model model, String path) {
        this(model, path, Pooling.DEFAULT, 0, null, null);
    }

    /** The same with the options of {@link Embed}; the prompts may be null. */
    public IndexWriter(Model model, String path, Pooling pooling, int dimensions, String promptName, String prompt) {
        long pointer = model.handle.enter();
        try {
            Out out = new Out().i64(pointer).name(path, "path").word(pooling).i32(dimensions)
                    .name(promptName, "promptName").name(prompt, "prompt");
            handle = new Handle("index writer", Native.run(CREATE, out).i64(), ABANDON, model, model.handle);
        } finally {
            model.handle.exit();
        }
        handle.watch(this);
    }

    /** Append documents: all, or none where it fails. {@code ids} null: their numbers. */
    public synchronized void add(List<String> ids, List<String> texts) {
        if (ids != null && ids.size() != texts.size()) {
            throw new IllegalArgumentException(ids.size() + " ids for " + texts.size() + " texts");
        }
        Out out = new Out();
        long pointer = handle.enter();
        try {
            out.i64(pointer).i32(texts.size());
            for (int i = 0; i < texts.size(); i++) {
                out.text(ids == null ? null : ids.get(i), i).text(Out.present(texts.get(i), i), i);
            }
            Native.run(ADD, out);
        } finally {
            handle.exit();
        }
    }

    /** Complete the file and give it its name. Nothing can be added then. */
    public synchronized void finish() {
        handle.close(FINISH);
    }

    @Override
    public synchronized void close() {
        handle.close();
    }
}
