import dev.reprise.Classify;
import dev.reprise.Coherence;
import dev.reprise.Device;
import dev.reprise.Embed;
import dev.reprise.FillMask;
import dev.reprise.LongTexts;
import dev.reprise.Model;
import dev.reprise.Pooling;
import dev.reprise.Rank;
import dev.reprise.Score;
import dev.reprise.Summarize;
import dev.reprise.ZeroShot;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** Every task over the odd texts: its JSON is the command's, byte for byte. */
final class Same {
    /** All of them, or so many: the last ones are long, and a slow machine may want to do without. */
    static final List<String> ODD = Odd.texts().subList(0, Integer.getInteger("reprise.test.texts", 65));

    private Same() {
    }

    static List<String> lines(String key) {
        List<String> lines = new ArrayList<String>();
        for (String text : ODD) {
            lines.add("{\"" + key + "\": " + Odd.json(text) + "}");
        }
        return lines;
    }

    static List<String> pairLines(String first, String second) {
        List<String> lines = new ArrayList<String>();
        for (int i = 0; i < ODD.size(); i++) {
            lines.add("{\"" + first + "\": " + Odd.json(ODD.get(i)) + ", \"" + second + "\": " + Odd.json(ODD.get(ODD.size() - 1 - i)) + "}");
        }
        return lines;
    }

    static String reversed(int i) {
        return ODD.get(ODD.size() - 1 - i);
    }

    static void bundled(Device device, String pretrained) throws Exception {
        try (Model model = Model.open(device, "sentiment")) {
            List<String> texts = lines("text");
            Checks.same(Checks.command(texts, "classify", "--jsonl", "-m", "sentiment"), model.json(new Classify(ODD)), "classify");
            Checks.same(Checks.command(texts, "classify", "--jsonl", "-m", "sentiment", "--long", "vote", "-k", "1"),
                    model.json(new Classify(ODD).longTexts(LongTexts.VOTE).topK(1)), "classify long");
            Checks.same(Checks.command(texts.subList(0, 20), "classify", "--jsonl", "-m", "sentiment", "--explain"),
                    model.json(new Classify(ODD.subList(0, 20)).explain(true)), "explain");
            Classify pairs = new Classify();
            for (int i = 0; i < ODD.size(); i++) {
                pairs.add(ODD.get(i), reversed(i));
            }
            Checks.same(Checks.command(pairLines("text", "text_pair"), "classify", "--jsonl", "-m", "sentiment"), model.json(pairs), "pairs");
            Rank rank = new Rank();
            List<String> queries = new ArrayList<String>();
            for (int i = 0; i + 3 <= 30; i += 3) {
                rank.add(ODD.get(i), ODD.subList(i, i + 3));
                queries.add("{\"query\": " + Odd.json(ODD.get(i)) + ", \"documents\": " + Odd.json(ODD.subList(i, i + 3)) + "}");
            }
            Checks.same(Checks.command(queries, "rank", "--jsonl", "-m", "sentiment"), model.json(rank), "rank");
        }
        try (Model model = Model.open(device, pretrained)) {
            List<String> texts = lines("text");
            Checks.same(Checks.command(texts, "embed", "--jsonl", "-m", pretrained), model.json(new Embed(ODD)), "embed");
            Checks.same(Checks.command(texts.subList(0, 10), "embed", "--jsonl", "-m", pretrained, "--pooling", "none"),
                    model.json(new Embed(ODD.subList(0, 10)).pooling(Pooling.NONE)), "embed tokens");
            Checks.same(Checks.command(texts, "fill-mask", "--jsonl", "-m", pretrained), model.json(new FillMask(ODD)), "fill-mask");
            Checks.same(Checks.command(texts.subList(0, 40), "score", "--jsonl", "-m", pretrained), model.json(new Score(ODD.subList(0, 40))), "score");
            Checks.same(Checks.command(texts, "summarize", "--jsonl", "-m", pretrained, "-n", "2"),
                    model.json(new Summarize(ODD).sentences(2)), "summarize");
            Coherence coherence = new Coherence();
            for (int i = 0; i < ODD.size(); i++) {
                coherence.add(ODD.get(i), reversed(i));
            }
            Checks.same(Checks.command(pairLines("text", "text_pair"), "coherence", "--jsonl", "-m", pretrained), model.json(coherence), "coherence");
            Checks.same(Checks.command(texts, "classify", "--jsonl", "-m", pretrained, "--labels", "war,\ud83d\ude00 fun,\u05d0"),
                    model.json(new ZeroShot(ODD, Arrays.asList("war", "\ud83d\ude00 fun", "\u05d0"))), "zero-shot");
        }
    }
}
