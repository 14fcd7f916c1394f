package dev.reprise;

import java.util.ArrayList;
import java.util.List;

/** A request whose inputs are a text and several others. */
abstract class Groups<T> extends Request<T> {
    private final List<String> texts = new ArrayList<String>();
    private final List<List<String>> others = new ArrayList<List<String>>();

    Groups() {
    }

    final void put(String text, List<String> more) {
        texts.add(text);
        others.add(new ArrayList<String>(more));
    }

    final void writeGroups(Out out) {
        out.i32(texts.size());
        for (int i = 0; i < texts.size(); i++) {
            out.text(Out.present(texts.get(i), i), i);
            out.i32(others.get(i).size());
            for (String other : others.get(i)) {
                out.text(Out.present(other, i), i);
            }
        }
    }
}
