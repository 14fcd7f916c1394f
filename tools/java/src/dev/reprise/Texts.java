package dev.reprise;

import java.util.ArrayList;
import java.util.List;

/** A request whose inputs are texts. */
abstract class Texts<T> extends Request<T> {
    private final List<String> texts;

    Texts(List<String> texts) {
        this.texts = new ArrayList<String>(texts);
    }

    final String text(int i) {
        return texts.get(i);
    }

    final void writeTexts(Out out) {
        out.texts(texts);
    }
}
