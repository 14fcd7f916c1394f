import dev.reprise.AskDocuments;
import dev.reprise.Chat;
import dev.reprise.Classify;
import dev.reprise.Device;
import dev.reprise.Documents;
import dev.reprise.Encoding;
import dev.reprise.Index;
import dev.reprise.IndexWriter;
import dev.reprise.Model;
import dev.reprise.Moderate;
import dev.reprise.Moderation;
import dev.reprise.Offsets;
import dev.reprise.Record;
import dev.reprise.Say;
import dev.reprise.Search;
import dev.reprise.Tokenizer;
import dev.reprise.Vectors;

import java.io.File;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** What is built on models, tokenizers, and models that are no folders. */
final class Apps {
    private Apps() {
    }

    static void moderation(Device device, String models) throws Exception {
        String spam = models + "/spam";
        try (Model model = Model.open(device, spam); Moderation moderation = new Moderation(model, null, null)) {
            List<String> texts = Same.ODD.subList(0, 50);
            List<String> actual = moderation.json(new Moderate(texts).normalize(true), Offsets.CODE_POINTS, null);
            Checks.same(Checks.command(Same.lines("text").subList(0, 50), "moderate", "--jsonl", "-m", spam, "--normalize"), actual, "moderate");
            Checks.that(moderation.run(new Moderate("See you at six. Call 0800 123456 now to win cash!"), null).get(0).value().flagged, "flagged");
            model.close();
            Checks.fails(IllegalStateException.class, "this moderation is closed", () -> moderation.run(new Moderate("a"), null));
        }
    }

    static void search(Device device, File folder, String pretrained) throws Exception {
        String path = new File(folder, "odd.index").getPath();
        try (Model model = Model.open(device, pretrained)) {
            List<String> some = Same.ODD.subList(0, 60);
            try (IndexWriter writer = new IndexWriter(model, path)) {
                writer.add(null, some.subList(0, 30));
                writer.add(null, some.subList(30, 60));
                writer.finish();
                Checks.fails(IllegalStateException.class, "closed", () -> writer.add(null, some));
            }
            try (Index index = new Index(device, path, null)) {
                Checks.equal(60L, index.count(), "documents");
                Checks.same(Checks.command(Same.lines("text").subList(0, 20), "search", "--jsonl", "-m", pretrained, "-i", path, "-k", "3"),
                        model.json(new Search(index, some.subList(0, 20)).topK(3)), "search");
                Checks.equal("a warm and funny film", model.run(new Search(index, Arrays.asList("a warm and funny film"))).get(0).value().get(0).text, "hit");
            }
        }
    }

    static void documents(Device device, File folder, String answers) throws Exception {
        File text = new File(folder, "texts.jsonl");
        Files.write(text.toPath(), "{\"text\": \"Ada was born in London.\", \"id\": \"one\"}\n{\"text\": \"Bob \u00e9 lives in Paris.\"}\n".getBytes(Checks.UTF_8));
        try (Model model = Model.open(device, answers); Documents documents = new Documents(text.getPath(), null, 0, null, null)) {
            Checks.equal(2L, documents.count(), "documents");
            List<String> questions = Arrays.asList("Where was Ada born?", "Where does Bob live?", "\ud83d\ude00 Paris");
            List<String> lines = new ArrayList<String>();
            for (String question : questions) {
                lines.add("{\"question\": " + Odd.json(question) + "}");
            }
            Checks.same(Checks.command(lines, "answer", "--jsonl", "-m", answers, "--documents", text.getPath()),
                    model.json(new AskDocuments(documents, questions)), "documents");
            Checks.equal("one", model.run(new AskDocuments(documents, questions)).get(0).value().get(0).source.document, "source");
        }
    }

    static void chat(Device device, String models) throws Exception {
        String intents = models + "/intents";
        String faq = models + "/../examples/faq.csv";
        List<String> said = Arrays.asList("I have lost my card", "my card has not come", "\ud83d\ude00 \u05d0");
        List<String> lines = new ArrayList<String>();
        for (String text : said) {
            lines.add("{\"text\": " + Odd.json(text) + "}");
        }
        try (Model model = Model.open(device, intents); Chat chat = Chat.open(new Chat.Options().model(model).faq(faq), null)) {
            Checks.same(Checks.command(lines, "chat", "--jsonl", "-m", intents, "--faq", faq), chat.json(new Say(said), Offsets.CODE_POINTS, null), "chat");
            chat.forget();
            Checks.that(chat.run(new Say(said), null).get(0).value().answer.contains("Block it"), "answer");
        }
    }

    static void tokenizer() {
        try (Tokenizer tokenizer = Tokenizer.open("sentiment")) {
            String text = "d\u00e9j\u00e0 \ud83d\ude00 films";
            Encoding made = tokenizer.tokenize(text, "pair");
            Checks.equal(tokenizer.specialIds()[0], made.ids[0], "cls");
            Checks.equal(1, made.typeIds[made.ids.length - 1], "type");
            boolean found = false;
            for (int i = 0; i < made.ids.length; i++) {
                found |= made.sequence[i] == 0 && made.offsets[i].of(text).trim().equals("films") && made.offsets[i].end == text.length();
            }
            Checks.that(found, "offsets in units of UTF-16");
            Checks.that(tokenizer.decode(made.ids, true).contains("films"), "decode");
            Checks.that(tokenizer.vocabSize() > 1000 && tokenizer.piece(made.ids[0]).equals("[CLS]") && tokenizer.piece(1 << 30) == null, "pieces");
        }
    }

    static ByteBuffer direct(File file) throws Exception {
        byte[] bytes = Files.readAllBytes(file.toPath());
        ByteBuffer buffer = ByteBuffer.allocateDirect(bytes.length + 1);
        buffer.position(1); // no alignment is needed
        buffer.put(bytes);
        buffer.position(1);
        return buffer;
    }

    static void records(Device device, String models) throws Exception {
        List<Record> records = new ArrayList<Record>();
        for (File file : new File(models + "/sentiment").listFiles()) {
            records.add(new Record(file.getName(), direct(file)));
        }
        List<String> some = Same.ODD.subList(0, 60);
        try (Model folder = Model.open(device, "sentiment"); Model model = Model.open(device, records, new Model.Options(), null);
                Tokenizer tokenizer = Tokenizer.open(records)) {
            System.gc();
            Checks.same(folder.json(new Classify(some)), model.json(new Classify(some)), "records in memory");
            Checks.equal(folder.tokenizer().vocabSize(), tokenizer.vocabSize(), "tokenizer of records");
            Vectors vectors = model.run(new dev.reprise.Embed("a")).get(0).value();
            Checks.that(vectors.rows == 1 && vectors.row(0).length == vectors.columns, "vectors");
        }
        Checks.fails(IllegalArgumentException.class, "not direct", () -> new Record("a", ByteBuffer.allocate(4)));
        Checks.refused("", () -> Model.open(device, records.subList(0, 1), new Model.Options(), null));
    }
}
