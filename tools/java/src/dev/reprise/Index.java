package dev.reprise;

/** An open index of texts, for {@link Search}: rp_index of search.h. Closed with its device, too. */
public final class Index implements AutoCloseable {
    private static final int OPEN = Native.function("index_open");
    private static final int CLOSE = Native.function("index_close");
    private static final int INFO = Native.function("index_info");
    final Handle handle;

    /** Open the file; {@code device} null: the processor searches. {@code call} may be null. */
    public Index(Device device, String path, Call call) {
        Handle[] parents = device == null ? new Handle[0] : new Handle[] {device.handle};
        long pointer = device == null ? 0 : device.handle.enter();
        try {
            Out out = new Out().i64(pointer).name(path, "path");
            handle = new Handle("index", Native.run(OPEN, out, call).i64(), CLOSE, device, parents);
        } finally {
            if (device != null) {
                device.handle.exit();
            }
        }
        handle.watch(this);
    }

    private In info() {
        long pointer = handle.enter();
        try {
            return Native.run(INFO, new Out().i64(pointer));
        } finally {
            handle.exit();
        }
    }

    /** How many documents there are. */
    public long count() {
        return info().i64();
    }

    @Override
    public void close() {
        handle.close();
    }
}
