import dev.reprise.Aggregation;
import dev.reprise.Ask;
import dev.reprise.Call;
import dev.reprise.Choose;
import dev.reprise.Classify;
import dev.reprise.Device;
import dev.reprise.Entity;
import dev.reprise.EvalTask;
import dev.reprise.Evaluation;
import dev.reprise.EvaluationOptions;
import dev.reprise.Finetune;
import dev.reprise.Model;
import dev.reprise.Offsets;
import dev.reprise.Result;
import dev.reprise.Status;
import dev.reprise.Tag;
import dev.reprise.TrainingStep;

import java.io.File;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** Models that a few steps of training make, for the tasks that no bundled model has. */
final class Taught {
    private static final String TAG = "Ada\tB-PER\nwas\tO\nborn\tO\nin\tO\nLondon\tB-LOC\n.\tO\n\nBob\tB-PER\nlives\tO\nin\tO\nParis\tB-LOC\n\n";
    private static final String ANSWER = "{\"question\": \"Who was born?\", \"context\": \"Ada was born in London.\", \"answers\": [\"Ada\"]}\n"
            + "{\"question\": \"Where does Bob live?\", \"context\": \"Bob lives in Paris.\", \"answers\": [\"Paris\"]}\n";
    private static final String CHOOSE = "{\"text\": \"It rained, so\", \"choices\": [\"we stayed\", \"I am tall\"], \"label\": 0}\n"
            + "{\"text\": \"She opened\", \"choices\": [\"of the\", \"the door\"], \"label\": 1}\n";
    private static final String MULTI = "{\"text\": \"a joy\", \"label\": [\"good\", \"warm\"]}\n{\"text\": \"dull\", \"label\": [\"bad\"]}\n"
            + "{\"text\": \"so so\", \"label\": []}\n";
    private static final String NUMBER = "sentence\tlabel\na joy\t4.5\ndull\t0.5\nso so\t2\n";
    private static final String CLASSES = "sentence\tlabel\ngood\t1\nbad\t0\nfine\t1\nawful\t0\n";

    private Taught() {
    }

    static String write(File folder, String name, String text) throws Exception {
        File file = new File(folder, name);
        Files.write(file.toPath(), text.getBytes(Checks.UTF_8));
        return file.getPath();
    }

    static String teach(Device device, File folder, String name, EvalTask task, String file, String text) throws Exception {
        String out = new File(folder, name).getPath();
        new Finetune().model(System.getProperty("reprise.test.models") + "/pretrained").train(write(folder, file, text)).out(out).task(task).batchSize(2).steps(2).saveEvery(-1)
                .run(device, null);
        return out;
    }

    static void training(Device device, File folder) throws Exception {
        final String train = write(folder, "classes.tsv", CLASSES);
        final List<Long> steps = new ArrayList<Long>();
        final List<String> measured = new ArrayList<String>();
        String out = new File(folder, "classes").getPath();
        new Finetune().model("sentiment").train(train).dev(train).out(out).task(EvalTask.CLASSIFY).batchSize(2).steps(3).run(device, new Call() {
            @Override
            protected void step(TrainingStep step) {
                steps.add(step.step);
                Checks.that(step.steps == 3 && step.loss > 0 && step.learningRate > 0, "a step");
            }

            @Override
            protected void evaluated(dev.reprise.TrainingEvaluation evaluation) {
                measured.addAll(evaluation.metrics.keySet());
            }
        });
        Checks.equal(Arrays.asList(1L, 2L, 3L), steps, "steps");
        Checks.that(measured.contains("accuracy"), "metrics " + measured);
        try (Model model = Model.open(device, out)) {
            Evaluation evaluation = model.evaluate(train, new EvaluationOptions(), null);
            Checks.equal(4L, evaluation.rows, "rows");
            Checks.equal(EvalTask.CLASSIFY, evaluation.task, "task");
            Checks.that(evaluation.metrics.containsKey("accuracy"), "metrics " + evaluation);
        }
        Checks.fails(ArithmeticException.class, "enough", () -> new Finetune().model("sentiment").train(train).out(out + "2").steps(3).run(device, new Call() {
            @Override
            protected void step(TrainingStep step) {
                throw new ArithmeticException("enough");
            }
        }));
        final Call cancelled = new Call();
        cancelled.cancel();
        Checks.equal(Status.CANCELLED, Checks.refused("", () -> new Finetune().model("sentiment").train(train).out(out + "3").run(device, cancelled)).status(), "cancelled");
    }

    static void same(Device device, File folder) throws Exception {
        List<String> odd = Same.ODD;
        List<String> texts = Same.lines("text");
        String tags = teach(device, folder, "tags", EvalTask.TAG, "tags.conll", TAG);
        try (Model model = Model.open(device, tags)) {
            Checks.same(Checks.command(texts, "tag", "--jsonl", "-m", tags), model.json(new Tag(odd)), "tag");
            Checks.same(Checks.command(texts, "tag", "--jsonl", "-m", tags, "--aggregation", "none"),
                    model.json(new Tag(odd).aggregation(Aggregation.NONE)), "tag none");
            List<Result<List<Entity>>> entities = model.run(new Tag(odd));
            List<String> units = model.json(new Tag(odd), Offsets.UTF16, null);
            for (int i = 0; i < odd.size(); i++) {
                for (Entity entity : entities.get(i).value()) {
                    Checks.that(units.get(i).contains("\"start\": " + entity.span.start + ", \"end\": " + entity.span.end), "place of " + entity);
                    Checks.that(entity.span.of(odd.get(i)) != null, "span");
                }
            }
        }
        String answers = teach(device, folder, "answers", EvalTask.ANSWER, "answers.jsonl", ANSWER);
        try (Model model = Model.open(device, answers)) {
            Ask ask = new Ask();
            for (int i = 0; i < odd.size(); i++) {
                ask.add(odd.get(i), Same.reversed(i));
            }
            Checks.same(Checks.command(Same.pairLines("question", "context"), "answer", "--jsonl", "-m", answers, "-k", "2"),
                    model.json(ask.topK(2)), "answer");
            Checks.that("Ada \ud83d\ude00 was born.".contains(model.answer("Who?", "Ada \ud83d\ude00 was born.").text), "answer's text");
        }
        String choices = teach(device, folder, "choices", EvalTask.CHOOSE, "choices.jsonl", CHOOSE);
        try (Model model = Model.open(device, choices)) {
            Choose choose = new Choose();
            List<String> lines = new ArrayList<String>();
            for (int i = 0; i + 3 <= 60; i += 3) {
                choose.add(odd.get(i), odd.subList(i, i + 3));
                lines.add("{\"text\": " + Odd.json(odd.get(i)) + ", \"choices\": " + Odd.json(odd.subList(i, i + 3)) + "}");
            }
            Checks.same(Checks.command(lines, "choose", "--jsonl", "-m", choices), model.json(choose), "choose");
        }
        String several = teach(device, folder, "several", EvalTask.MULTILABEL, "several.jsonl", MULTI);
        String number = teach(device, folder, "number", EvalTask.REGRESS, "number.tsv", NUMBER);
        for (String name : new String[] {several, number}) {
            try (Model model = Model.open(device, name)) {
                Checks.same(Checks.command(texts, "classify", "--jsonl", "-m", name), model.json(new Classify(odd)), name);
            }
        }
    }
}
