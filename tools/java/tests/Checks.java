import dev.reprise.RepriseException;

import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.InputStream;
import java.nio.charset.Charset;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** What the tests share. */
final class Checks {
    static final Charset UTF_8 = Charset.forName("UTF-8");
    static int count;

    private Checks() {
    }

    static void that(boolean right, String what) {
        count++;
        if (!right) {
            throw new AssertionError(what);
        }
    }

    static void equal(Object expected, Object actual, String what) {
        that(expected == null ? actual == null : expected.equals(actual), what + ": expected " + expected + ", not " + actual);
    }

    /** What must fail. */
    interface Failing {
        void run() throws Exception;
    }

    /** The failure, which is of this class, with these words in its message. */
    static <T extends Throwable> T fails(Class<T> kind, String words, Failing what) {
        try {
            what.run();
        } catch (Throwable raised) {
            that(kind.isInstance(raised) && String.valueOf(raised.getMessage()).contains(words),
                    "expected " + kind.getName() + " with '" + words + "', not " + raised);
            return kind.cast(raised);
        }
        throw new AssertionError("expected " + kind.getName() + " with '" + words + "', and nothing failed");
    }

    /** What the command prints for lines of input. */
    static List<String> command(List<String> input, String... arguments) throws Exception {
        List<String> words = new ArrayList<String>(Arrays.asList(System.getProperty("reprise.test.command").split(" ")));
        words.addAll(Arrays.asList(arguments));
        File lines = File.createTempFile("lines", ".jsonl");
        StringBuilder all = new StringBuilder();
        for (String line : input) {
            all.append(line).append('\n');
        }
        Files.write(lines.toPath(), all.toString().getBytes(UTF_8));
        Process process = new ProcessBuilder(words).redirectInput(lines).redirectError(ProcessBuilder.Redirect.INHERIT).start();
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        byte[] part = new byte[65536];
        InputStream from = process.getInputStream();
        for (int size = from.read(part); size >= 0; size = from.read(part)) {
            out.write(part, 0, size);
        }
        process.waitFor(); // 1 where an input failed, which the lines show
        lines.delete();
        String text = new String(out.toByteArray(), UTF_8);
        List<String> made = new ArrayList<String>();
        for (int at = 0, end; (end = text.indexOf('\n', at)) >= 0; at = end + 1) {
            made.add(text.substring(at, end));
        }
        return made;
    }

    /** The same lines, byte for byte. */
    static void same(List<String> expected, List<String> actual, String what) {
        equal(expected.size(), actual.size(), what + ", lines");
        for (int i = 0; i < expected.size(); i++) {
            equal(expected.get(i), actual.get(i), what + ", line " + i);
        }
    }

    static RepriseException refused(String words, Failing what) {
        return fails(RepriseException.class, words, what);
    }
}
