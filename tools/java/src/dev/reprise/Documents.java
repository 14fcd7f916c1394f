package dev.reprise;

/** A collection of documents, for {@link AskDocuments}: rp_documents of documents.h. */
public final class Documents implements AutoCloseable {
    private static final int OPEN = Native.function("documents_open");
    private static final int CLOSE = Native.function("documents_close");
    private static final int INFO = Native.function("documents_info");
    final Handle handle;

    /** Read a folder, a file or a .jsonl. {@code index}, a file that keeps what was counted, may be null, and so may
     * {@code embedder}, which finds passages by vectors, and {@code call}. {@code passageWords} 0: 200. */
    public Documents(String path, String index, int passageWords, Model embedder, Call call) {
        Handle[] parents = embedder == null ? new Handle[0] : new Handle[] {embedder.handle};
        long pointer = embedder == null ? 0 : embedder.handle.enter();
        try {
            Out out = new Out().i64(pointer).name(path, "path").name(index, "index").i32(passageWords);
            handle = new Handle("collection", Native.run(OPEN, out, call).i64(), CLOSE, embedder, parents);
        } finally {
            if (embedder != null) {
                embedder.handle.exit();
            }
        }
        handle.watch(this);
    }

    /** How many documents there are. */
    public long count() {
        long pointer = handle.enter();
        try {
            return Native.run(INFO, new Out().i64(pointer)).i64();
        } finally {
            handle.exit();
        }
    }

    @Override
    public void close() {
        handle.close();
    }
}
