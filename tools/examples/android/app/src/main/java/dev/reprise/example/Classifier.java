package dev.reprise.example;

import android.content.Context;
import android.content.res.AssetFileDescriptor;
import android.content.res.AssetManager;

import dev.reprise.Call;
import dev.reprise.Classify;
import dev.reprise.Device;
import dev.reprise.Label;
import dev.reprise.Model;
import dev.reprise.Record;

import java.io.File;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/** The model of the app, opened from its assets. One thread uses it: that of MainActivity's executor. */
final class Classifier implements AutoCloseable {
    private final Device device;
    private final Model model;

    Classifier(Context context) throws IOException {
        // What is known of the GPU's kernels stays here until the app is updated. Kernels that are new are tried in a process
        // of their own, which may end without the app, where the system has unpacked the program for it.
        File program = new File(context.getApplicationInfo().nativeLibraryDir, "libreprise_try.so");
        device = Device.open(new Device.Options().cacheDir(context.getCodeCacheDir().getPath())
                .tryProgram(program.canExecute() ? program.getPath() : ""));
        model = open(context.getAssets(), "sentiment");
    }

    /** The files of a folder of assets, where they lie in the APK: nothing is copied. */
    private Model open(AssetManager assets, String folder) throws IOException {
        List<AssetFileDescriptor> opened = new ArrayList<>();
        List<Record> records = new ArrayList<>();
        try {
            for (String name : assets.list(folder)) {
                AssetFileDescriptor asset = assets.openFd(folder + "/" + name);
                opened.add(asset);
                records.add(new Record(name, asset.getParcelFileDescriptor().getFd(), asset.getStartOffset(), asset.getLength()));
            }
            return Model.open(device, records, new Model.Options(), null);
        } finally {
            for (AssetFileDescriptor asset : opened) { // the model has its own by now
                asset.close();
            }
        }
    }

    /** Labels, best first. {@code call} ends it from another thread. */
    List<Label> classify(String text, Call call) {
        return model.run(new Classify(text), call).get(0).value().labels;
    }

    String deviceName() {
        return device.info().name;
    }

    @Override
    public void close() {
        device.close();
    }
}
