import dev.reprise.Device;

/** Runs the tests whose names are given, or all. Properties: reprise.test.command, reprise.test.models. */
public final class Tests {
    private Tests() {
    }

    public static void main(String[] names) throws Exception {
        String pretrained = System.getProperty("reprise.test.models") + "/pretrained";
        try (Device device = Device.open()) {
            for (String name : names.length > 0 ? names : new String[] {"texts", "closing", "calls", "running", "net", "same"}) {
                long begun = System.nanoTime();
                switch (name) {
                case "texts": Lifecycle.texts(device); break;
                case "closing": Lifecycle.closing(device); break;
                case "calls": Lifecycle.calls(device); break;
                case "running": Lifecycle.closingWhileCallsRun(device); break;
                case "net": Lifecycle.net(); break;
                case "same": Same.bundled(device, pretrained); break;
                default: throw new IllegalArgumentException("there is no test called " + name);
                }
                System.out.printf("%-10s passed, %d ms%n", name, (System.nanoTime() - begun) / 1000000);
            }
        }
        System.out.println(Checks.count + " checks");
    }
}
