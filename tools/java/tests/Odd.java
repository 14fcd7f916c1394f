import java.util.ArrayList;
import java.util.List;

/** 65 texts that something could trip over. */
final class Odd {
    private Odd() {
    }

    static String repeat(String text, int times) {
        StringBuilder made = new StringBuilder();
        for (int i = 0; i < times; i++) {
            made.append(text);
        }
        return made.toString();
    }

    static List<String> texts() {
        List<String> texts = new ArrayList<String>();
        String[] given = {"a warm and funny film", "", " ", "x", "\t", "\n", "\r\n", "tabs\tand\nlines\r\nof all kinds", "NUL \0 inside",
            "\0", "\0\0 at the beginning", "at the end \0", "emoji \ud83d\ude00", "\ud83d\ude00", "\ud83d\ude00\ud83d\ude00 dull \ud83d\ude00",
            "family \ud83d\udc69\u200d\ud83d\udc69\u200d\ud83d\udc67 of one", "flag \ud83c\uddeb\ud83c\uddf7", "skin \ud83d\udc4d\ud83c\udffd tone",
            "\u05e1\u05e8\u05d8 \u05d8\u05d5\u05d1", "\u0641\u064a\u0644\u0645 \u062c\u0645\u064a\u0644", "mixed \u05d0\u05d1 and \u0639\u0631 order",
            "\u202eoverride\u202c", "\u65e5\u672c\u8a9e\u306e\u6620\u753b\u3002", "\u4e2d\u6587\u7535\u5f71", "\ud55c\uad6d\uc5b4 \uc601\ud654",
            "\u0e20\u0e32\u0e1e\u0e22\u0e19\u0e15\u0e23\u0e4c", "\u0939\u093f\u0928\u094d\u0926\u0940 \u092b\u093f\u0932\u094d\u092e",
            "na\u00efve caf\u00e9", "nai\u0308ve cafe\u0301", "\ufb01lm", "\u2460 \u2461", "\ufdfa", "\u00df \u1e9e \u0130 \u0131", "Zo\u00eb in Z\u00fcrich",
            "\u00a0no\u00a0break\u3000wide", "\u200b\u200c\u200d\ufeff", "\ufffd", "\uffff", "\ufdd0", "\ud83f\udfff", "\udbff\udfff", "\ud800\udc00 linear b",
            "\u0001\u0002\u007f\u0085", "\u2028\u2029", "[MASK]", "[CLS] [SEP] <pad> <unk>", "The [MASK] is [MASK].", "``quoted''", "\"quotes\" and \\ and /",
            "<b>tags</b> & entities;", "1,000 3.14 -2e10 \u0661\u0662\u0663", "http://example.org/?a=b&c=d#e", "a@b.c", "!!!???...", "\u2014\u2013-_~", "$%^&*(){}[]",
            "e\u0301\u0301\u0301\u0301 z\u0335\u0321\u0322", "\u2581meta\u2581space", "##ing", "ALL CAPITALS", "one. Two. Three! Four? Five."};
        for (String text : given) {
            texts.add(text);
        }
        texts.add(repeat("a", 5000));
        texts.add(repeat("an hour too long and ", 400));
        texts.add(repeat("\ud83d\ude00\u05d0\u65e5x ", 300));
        texts.add(repeat("Ada was born in London. ", 60) + "\ud83d\ude00 Bob lives in Paris.");
        if (texts.size() != 65) {
            throw new AssertionError("there are " + texts.size());
        }
        return texts;
    }

    /** A text as JSON. */
    static String json(String text) {
        StringBuilder made = new StringBuilder("\"");
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (c < 0x20 || c == '"' || c == '\\' || c > 0x7e) {
                made.append(String.format("\\u%04x", (int) c));
            } else {
                made.append(c);
            }
        }
        return made.append('"').toString();
    }

    static String json(List<String> texts) {
        StringBuilder made = new StringBuilder("[");
        for (String text : texts) {
            made.append(made.length() > 1 ? ", " : "").append(json(text));
        }
        return made.append(']').toString();
    }
}
