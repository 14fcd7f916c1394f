package dev.reprise;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** A request whose inputs are a text and perhaps a second one. */
abstract class Pairs<T> extends Request<T> {
    private final List<String> texts = new ArrayList<String>();
    private final List<String> seconds = new ArrayList<String>();

    Pairs(String... texts) {
        this(Arrays.asList(texts));
    }

    Pairs(List<String> texts) {
        for (String text : texts) {
            put(text, null);
        }
    }

    final void put(String text, String second) {
        texts.add(text);
        seconds.add(second);
    }

    final String first(int i) {
        return texts.get(i);
    }

    final String second(int i) {
        return seconds.get(i);
    }

    final void writePairs(Out out, boolean both) {
        out.i32(texts.size());
        for (int i = 0; i < texts.size(); i++) {
            out.text(Out.present(texts.get(i), i), i);
            out.text(both ? Out.present(seconds.get(i), i) : seconds.get(i), i);
        }
    }
}
