package dev.reprise;

import java.nio.charset.Charset;
import java.util.ArrayList;
import java.util.List;

/** The bytes of a reply (bridge.h). */
final class In {
    private static final Charset UTF_8 = Charset.forName("UTF-8");
    private final byte[] data;
    private int at;

    /** Reads the status first: a {@link RepriseException} if the call failed. */
    In(byte[] reply) {
        this(reply, true);
    }

    In(byte[] reply, boolean status) {
        data = reply;
        RepriseException failed = status ? failure() : null;
        if (failed != null) {
            throw failed;
        }
    }

    /** The error that stands here, or null where the status is that all is well. */
    RepriseException failure() {
        int status = i32();
        return status == 0 ? null : new RepriseException(Status.of(status), name());
    }

    int i32() {
        int value = data[at] & 0xff | (data[at + 1] & 0xff) << 8 | (data[at + 2] & 0xff) << 16 | data[at + 3] << 24;
        at += 4;
        return value;
    }

    long i64() {
        long low = i32() & 0xffffffffL;
        return low | (long) i32() << 32;
    }

    float f32() {
        return Float.intBitsToFloat(i32());
    }

    double f64() {
        return Double.longBitsToDouble(i64());
    }

    boolean flag() {
        return i32() != 0;
    }

    float[] floats(int count) {
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = f32();
        }
        return values;
    }

    String name() {
        int size = i32();
        if (size < 0) {
            return null;
        }
        at += size;
        return new String(data, at - size, size, UTF_8);
    }

    List<String> names() {
        int count = i32();
        List<String> names = new ArrayList<String>(count);
        for (int i = 0; i < count; i++) {
            names.add(name());
        }
        return names;
    }
}
