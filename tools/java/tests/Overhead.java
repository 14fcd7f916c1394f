import dev.reprise.Classify;
import dev.reprise.Device;
import dev.reprise.Label;
import dev.reprise.Model;

import java.util.Arrays;
import java.util.List;

/** What Java adds to rp_classify of one text: the median over 1,000 calls of the processor time of this thread outside of
 * rp_classify. It fails above 5 microseconds. */
public final class Overhead {
    private Overhead() {
    }

    private static native long now();

    private static native long inside();

    private static List<Label> classify(Model model, String text) {
        return model.run(new Classify(text)).get(0).value().labels;
    }

    public static void main(String[] none) {
        try (Device device = Device.open(); Model model = Model.open(device, "sentiment")) {
            int warm = 500;
            long[] added = new long[1000];
            long[] within = new long[added.length];
            Classify nothing = new Classify();
            for (int i = 0; i < 10000; i++) { // what the compiler has to see, without a model's work
                model.run(nothing);
            }
            for (int i = -warm; i < added.length; i++) {
                long begun = now();
                classify(model, "x");
                long ended = now();
                if (i >= 0) {
                    within[i] = inside();
                    added[i] = ended - begun - within[i];
                }
            }
            Arrays.sort(added);
            Arrays.sort(within);
            System.out.printf("rp_classify %d us, in Java %.1f us more (medians of processor time)%n",
                    within[within.length / 2] / 1000, added[added.length / 2] / 1000.0);
            if (added[added.length / 2] > 5000) {
                throw new AssertionError("more than 5 us");
            }
        }
    }
}
