import dev.reprise.Device;

import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;

/** Runs the tests whose names are given, or all. Properties: reprise.test.command, reprise.test.models. */
public final class Tests {
    private Tests() {
    }

    public static void main(String[] names) throws Exception {
        String models = System.getProperty("reprise.test.models");
        File folder = Files.createTempDirectory("tests").toFile();
        try (Device device = Device.open()) {
            for (String name : names.length > 0 ? names : new String[] {"texts", "closing", "calls", "running", "net", "tokenizer", "records", "training", "taught",
                    "moderation", "search", "documents", "chat", "threads", "same"}) {
                long begun = System.nanoTime();
                switch (name) {
                case "texts": Lifecycle.texts(device); break;
                case "closing": Lifecycle.closing(device); break;
                case "calls": Lifecycle.calls(device); break;
                case "running": Lifecycle.closingWhileCallsRun(device); break;
                case "net": Lifecycle.net(); break;
                case "tokenizer": Apps.tokenizer(); break;
                case "records": Apps.records(device, models); break;
                case "training": Taught.training(device, folder); break;
                case "taught": Taught.same(device, folder); break;
                case "moderation": Apps.moderation(device, models); break;
                case "search": Apps.search(device, folder, models + "/pretrained"); break;
                case "documents": Apps.documents(device, folder, folder + "/answers"); break;
                case "chat": Apps.chat(device, models); break;
                case "threads": Threads.run(device, Integer.getInteger("reprise.test.seconds", 20)); break;
                case "same": Same.bundled(device, models + "/pretrained"); break;
                default: throw new IllegalArgumentException("there is no test called " + name);
                }
                System.out.printf("%-10s passed, %d ms%n", name, (System.nanoTime() - begun) / 1000000);
            }
        }
        try (java.util.stream.Stream<Path> files = Files.walk(folder.toPath())) {
            files.sorted(java.util.Comparator.reverseOrder()).forEach(path -> path.toFile().delete());
        }
        System.out.println(Checks.count + " checks");
    }
}
