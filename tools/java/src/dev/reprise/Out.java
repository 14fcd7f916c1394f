package dev.reprise;

import java.util.Collection;
import java.util.List;

/** The bytes of a call (bridge.h): little-endian numbers; strings as their length in bytes, the bytes and a NUL. */
final class Out {
    private byte[] data;
    private int size;

    Out() {
        data = new byte[160];
    }

    byte[] bytes() {
        return data;
    }

    int size() {
        return size;
    }

    private void room(long more) {
        if (size + more > data.length) {
            if (size + more > Integer.MAX_VALUE - 16) {
                throw new IllegalArgumentException("more than 2 GiB of texts: pass fewer at a time");
            }
            long doubled = Math.min(2L * data.length, Integer.MAX_VALUE - 16);
            data = java.util.Arrays.copyOf(data, (int) Math.max(size + more, doubled));
        }
    }

    Out i32(int value) {
        room(4);
        data[size++] = (byte) value;
        data[size++] = (byte) (value >> 8);
        data[size++] = (byte) (value >> 16);
        data[size++] = (byte) (value >> 24);
        return this;
    }

    Out i64(long value) {
        return i32((int) value).i32((int) (value >> 32));
    }

    Out f64(double value) {
        return i64(Double.doubleToRawLongBits(value));
    }

    Out flag(boolean value) {
        return i32(value ? 1 : 0);
    }

    /** An enum whose values have the numbers of the library's; null is its first. */
    Out word(Enum<?> value) {
        return i32(value == null ? 0 : value.ordinal());
    }

    /** What another one has. */
    Out append(Out more) {
        room(more.size);
        System.arraycopy(more.data, 0, data, size, more.size);
        size += more.size;
        return this;
    }

    /** A string that the library takes up to its NUL, such as a path; null: none. {@code what} names it in errors. */
    Out name(String value, String what) {
        if (value != null && value.indexOf('\0') >= 0) {
            throw new IllegalArgumentException(what + ": there is a NUL character in it");
        }
        return string(value, what, -1);
    }

    Out names(Collection<String> values, String what) {
        i32(values.size());
        for (String value : values) {
            name(value, what);
        }
        return this;
    }

    /** A text, input number {@code index}; null: none. */
    Out text(String value, int index) {
        return string(value, "input", index);
    }

    Out texts(List<String> values) {
        i32(values.size());
        for (int i = 0; i < values.size(); i++) {
            text(present(values.get(i), i), i);
        }
        return this;
    }

    /** Refuses null where a text must be. */
    static String present(String value, int index) {
        if (value == null) {
            throw new NullPointerException("input " + index + " is null");
        }
        return value;
    }

    private Out string(String value, String what, int index) {
        if (value == null) {
            return i32(-1);
        }
        int length = value.length();
        int begin = size;
        i32(0);
        room(3L * length + 1);
        byte[] to = data;
        int at = size;
        for (int i = 0; i < length; i++) {
            int c = value.charAt(i);
            if (c < 0x80) {
                to[at++] = (byte) c;
            } else if (c < 0x800) {
                to[at++] = (byte) (0xc0 | c >> 6);
                to[at++] = (byte) (0x80 | c & 0x3f);
            } else if (c < 0xd800 || c > 0xdfff) {
                to[at++] = (byte) (0xe0 | c >> 12);
                to[at++] = (byte) (0x80 | c >> 6 & 0x3f);
                to[at++] = (byte) (0x80 | c & 0x3f);
            } else {
                if (c > 0xdbff || i + 1 == length || !Character.isLowSurrogate(value.charAt(i + 1))) {
                    throw new IllegalArgumentException((index < 0 ? what : what + " " + index) + ": character " + i
                            + " is half of a pair of surrogates, which is no text");
                }
                c = Character.toCodePoint((char) c, value.charAt(++i));
                to[at++] = (byte) (0xf0 | c >> 18);
                to[at++] = (byte) (0x80 | c >> 12 & 0x3f);
                to[at++] = (byte) (0x80 | c >> 6 & 0x3f);
                to[at++] = (byte) (0x80 | c & 0x3f);
            }
        }
        to[at++] = 0;
        size = begin;
        i32(at - begin - 5);
        size = at;
        return this;
    }

    /** A name as bytes of UTF-8, for a name of this package's own. */
    static byte[] utf8(String name) {
        Out out = new Out();
        out.name(name, "name");
        return java.util.Arrays.copyOfRange(out.data, 4, out.size - 1);
    }
}
