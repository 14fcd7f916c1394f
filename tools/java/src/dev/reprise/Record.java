package dev.reprise;

import java.nio.ByteBuffer;

/** One file of a model that is no file of a folder: rp_record of records.h. */
public final class Record {
    private final String name;
    private final ByteBuffer memory;
    private final long address;
    private final long size;
    private final long offset;
    private final int descriptor;

    /** The bytes of a direct buffer between its position and its limit. The model keeps the buffer until it is closed;
     * nobody may write into it meanwhile. */
    public Record(String name, ByteBuffer memory) {
        long begin = Native.address(memory);
        if (begin == 0) {
            throw new IllegalArgumentException(name + ": the buffer is not direct");
        }
        this.name = name;
        this.memory = memory;
        address = begin + memory.position();
        size = memory.remaining();
        offset = 0;
        descriptor = -1;
    }

    /** A part of an open file. On Android, of a stored asset, with {@code AssetFileDescriptor a}: {@code new Record(name,
     * a.getParcelFileDescriptor().getFd(), a.getStartOffset(), a.getLength())}. The descriptor may be closed once the model
     * is open. */
    public Record(String name, int descriptor, long offset, long length) {
        this.name = name;
        memory = null;
        address = 0;
        size = length;
        this.offset = offset;
        this.descriptor = descriptor;
    }

    /** What has to stay as long as the model is open. */
    ByteBuffer memory() {
        return memory;
    }

    static void write(Out out, java.util.List<Record> records) {
        out.i32(records.size());
        for (Record record : records) {
            out.name(record.name, "record").i64(record.address).i64(record.size).i64(record.offset).i32(record.descriptor);
        }
    }
}
