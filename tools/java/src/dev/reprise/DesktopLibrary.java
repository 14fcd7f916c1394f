package dev.reprise;

import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Scanner;

/** Where there is no Android: the library and what belongs to it lie in the class path, under native/SYSTEM-PROCESSOR. They
 * are copied into a folder that this user alone may read, which goes away when the machine ends. */
final class DesktopLibrary {
    private DesktopLibrary() {
    }

    /** Such as linux-x86_64. */
    static String platform() {
        String system = System.getProperty("os.name").toLowerCase(Locale.ROOT);
        String processor = System.getProperty("os.arch").toLowerCase(Locale.ROOT);
        system = system.startsWith("win") ? "windows" : system.startsWith("mac") ? "macos" : system;
        processor = processor.equals("amd64") ? "x86_64" : processor.equals("arm64") ? "aarch64" : processor;
        return system + "-" + processor;
    }

    /** The first file of the list is the one to load; those before a colon are to be executable. */
    static void load() throws IOException {
        String root = "native/" + platform() + "/";
        InputStream list = DesktopLibrary.class.getResourceAsStream(root + "files.txt");
        if (list == null) {
            throw new UnsatisfiedLinkError("the jar has no library for " + platform()
                    + ": build it there with tools/java/build, or name a libreprise_jni in the property reprise.library");
        }
        List<String> names = new ArrayList<String>();
        try (Scanner lines = new Scanner(list, "UTF-8")) {
            while (lines.hasNextLine()) {
                names.add(lines.nextLine());
            }
        }
        Path folder = Files.createTempDirectory("reprise"); // for this user alone
        folder.toFile().deleteOnExit();
        for (String name : names) {
            Path to = folder.resolve(name);
            mark(folder, to.getParent());
            try (InputStream from = DesktopLibrary.class.getResourceAsStream(root + name)) {
                Files.copy(from, to);
            }
            to.toFile().deleteOnExit();
            if (name.endsWith("reprise-try") && !to.toFile().setExecutable(true, true)) {
                throw new IOException(to + ": cannot be made executable");
            }
        }
        System.load(new File(folder.toFile(), names.get(0)).getPath());
    }

    /** Make a folder, and have it deleted after what is in it: the machine deletes what was named last first. */
    private static void mark(Path top, Path folder) throws IOException {
        if (folder.equals(top) || Files.isDirectory(folder)) {
            return;
        }
        mark(top, folder.getParent());
        Files.createDirectory(folder);
        folder.toFile().deleteOnExit();
    }
}
