import dev.reprise.Classify;
import dev.reprise.Device;
import dev.reprise.Label;
import dev.reprise.Model;

import java.util.Arrays;
import java.util.List;

/** What Java adds to rp_classify of one text: the median over 1,000 calls of the processor time of this thread outside of
 * rp_classify. It fails above 5 microseconds.
 *
 * <p>That is of calls which give a kept answer at once. Where a device works in between, other work meanwhile takes the
 * processor's caches, and what comes back to them is slower, Java or not: the median of that is shown beside. */
public final class Overhead {
    private Overhead() {
    }

    private static native long now();

    private static native long inside();

    private static native void keep();

    private static List<Label> classify(Model model, String text) {
        return model.run(new Classify(text)).get(0).value().labels;
    }

    /** The median, in nanoseconds, of what these calls add. */
    private static long added(Model model, int count) {
        long[] added = new long[count];
        for (int i = 0; i < count; i++) {
            long begun = now();
            List<Label> labels = classify(model, "a warm and funny film");
            added[i] = now() - begun - inside();
            if (labels.size() != 2) {
                throw new AssertionError(labels);
            }
        }
        Arrays.sort(added);
        return added[count / 2];
    }

    public static void main(String[] none) {
        try (Device device = Device.open(); Model model = Model.open(device, System.getProperty("reprise.test.models") + "/sentiment")) {
            long cold = added(model, 100);
            keep();
            added(model, 20000); // what the compiler has to see
            long early = added(model, 1000);
            added(model, 20000);
            long late = added(model, 1000);
            System.out.printf("Java adds %.1f us to rp_classify (medians of processor time); %.1f us after 41,000 calls, %.1f us to"
                    + " each of the first 100 with a device%n", early / 1000.0, late / 1000.0, cold / 1000.0);
            if (early > 5000) {
                throw new AssertionError("more than 5 us");
            }
        }
    }
}
