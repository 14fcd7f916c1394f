package dev.reprise.example;

import android.app.Activity;
import android.os.Bundle;
import android.text.Editable;
import android.text.TextWatcher;
import android.view.View;
import android.widget.EditText;
import android.widget.LinearLayout;
import android.widget.ProgressBar;
import android.widget.TextView;

import dev.reprise.Call;
import dev.reprise.Label;
import dev.reprise.RepriseException;
import dev.reprise.Status;

import java.util.List;
import java.util.Locale;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/** A text field, and a row with a bar for each label. All work is off the main thread; each key cancels what was begun for the
 * text before it. */
public final class MainActivity extends Activity {
    private final ExecutorService worker = Executors.newSingleThreadExecutor();
    private Classifier classifier; // the worker's
    private boolean open; // there is a classifier; the main thread's, and so what follows
    private Call running;
    private EditText field;
    private LinearLayout rows;
    private TextView status;

    @Override
    protected void onCreate(Bundle state) {
        super.onCreate(state);
        LinearLayout page = new LinearLayout(this);
        page.setOrientation(LinearLayout.VERTICAL);
        int edge = Math.round(16 * getResources().getDisplayMetrics().density);
        page.setPadding(edge, edge, edge, edge);
        page.setFitsSystemWindows(true);
        field = new EditText(this);
        field.setHint(R.string.hint);
        rows = new LinearLayout(this);
        rows.setOrientation(LinearLayout.VERTICAL);
        status = new TextView(this);
        page.addView(field);
        page.addView(rows);
        page.addView(status);
        setContentView(page);
        field.addTextChangedListener(new TextWatcher() {
            @Override
            public void beforeTextChanged(CharSequence text, int start, int count, int after) {
            }

            @Override
            public void onTextChanged(CharSequence text, int start, int before, int count) {
            }

            @Override
            public void afterTextChanged(Editable text) {
                classify(text.toString());
            }
        });
        worker.execute(this::open);
    }

    private void open() {
        try {
            classifier = new Classifier(this);
            String name = classifier.deviceName();
            runOnUiThread(() -> {
                open = true;
                status.setText(name);
                classify(field.getText().toString());
            });
        } catch (Exception | LinkageError failed) { // such as a device without Vulkan
            say(String.valueOf(failed.getMessage()));
        }
    }

    private void classify(String text) {
        if (!open) {
            return;
        }
        if (running != null) {
            running.cancel();
        }
        final Call call = running = new Call();
        worker.execute(() -> {
            try {
                List<Label> labels = classifier.classify(text, call);
                runOnUiThread(() -> show(call, labels));
            } catch (RepriseException failed) {
                if (failed.status() != Status.CANCELLED) {
                    say(failed.getMessage());
                }
            }
        });
    }

    private void say(String message) {
        runOnUiThread(() -> status.setText(message));
    }

    private void show(Call call, List<Label> labels) {
        if (call != running) {
            return;
        }
        rows.removeAllViews();
        for (Label label : labels) {
            TextView name = new TextView(this);
            name.setText(String.format(Locale.ROOT, "%s  %.4f", label.name, label.score));
            ProgressBar bar = new ProgressBar(this, null, android.R.attr.progressBarStyleHorizontal);
            bar.setMax(1000);
            bar.setProgress(Math.round(1000 * label.score));
            rows.addView(name);
            rows.addView((View) bar);
        }
    }

    @Override
    protected void onDestroy() {
        if (running != null) {
            running.cancel();
        }
        worker.execute(() -> {
            if (classifier != null) {
                classifier.close();
            }
        });
        worker.shutdown();
        super.onDestroy();
    }
}
