/* The commands: what they take, what they ask the library, and their help. */
#include "session.h"

#include <stdlib.h>

/* ---- items to the library's inputs, and the calls ---- */

static rp_input *inputs_of(const rp_cli_item *const *items, size_t count) {
    rp_input *inputs = rp_cli_calloc(count, sizeof *inputs);
    for (size_t i = 0; i < count; i++) inputs[i] = (rp_input){items[i]->text, items[i]->pair};
    return inputs;
}

static rp_text *texts_of(const rp_cli_item *const *items, size_t count) {
    rp_text *texts = rp_cli_calloc(count, sizeof *texts);
    for (size_t i = 0; i < count; i++) texts[i] = items[i]->text;
    return texts;
}

static rp_status run_classify(const rp_cli_session *session, const rp_cli_item *const *items, size_t count,
                              rp_result **out, rp_error *err) {
    const rp_classify_params params = {.top_k = session->options->top_k};
    rp_input *inputs = inputs_of(items, count);
    rp_status status = rp_classify(session->model, inputs, count, &params, out, err);
    free(inputs);
    return status;
}

static rp_status run_fill_mask(const rp_cli_session *session, const rp_cli_item *const *items, size_t count,
                               rp_result **out, rp_error *err) {
    const rp_fill_params params = {.top_k = session->options->top_k};
    rp_text *texts = texts_of(items, count);
    rp_status status = rp_fill_mask(session->model, texts, count, &params, out, err);
    free(texts);
    return status;
}

static rp_status run_tag(const rp_cli_session *session, const rp_cli_item *const *items, size_t count,
                         rp_result **out, rp_error *err) {
    const rp_cli_options *o = session->options;
    const rp_tag_params params = {.aggregation = o->aggregation, .stride = o->stride};
    rp_text *texts = texts_of(items, count);
    rp_status status = rp_tag(session->model, texts, count, &params, out, err);
    free(texts);
    return status;
}

static rp_status run_answer(const rp_cli_session *session, const rp_cli_item *const *items, size_t count,
                            rp_result **out, rp_error *err) {
    const rp_cli_options *o = session->options;
    const rp_answer_params params = {.top_k = o->top_k,
                                     .max_tokens = o->max_length,
                                     .stride = o->stride,
                                     .max_question_tokens = o->max_question_length,
                                     .max_answer_tokens = o->max_answer_length,
                                     .allow_no_answer = o->allow_no_answer};
    rp_question *questions = rp_cli_calloc(count, sizeof *questions);
    for (size_t i = 0; i < count; i++) questions[i] = (rp_question){items[i]->text, items[i]->pair};
    rp_status status = rp_answer_questions(session->model, questions, count, &params, out, err);
    free(questions);
    return status;
}

static rp_status run_embed(const rp_cli_session *session, const rp_cli_item *const *items, size_t count,
                           rp_result **out, rp_error *err) {
    const rp_cli_options *o = session->options;
    const rp_embed_params params = {.pooling = o->pooling,
                                    .normalize = o->normalize,
                                    .prompt_name = o->prompt_name,
                                    .prompt = o->prompt,
                                    .dimensions = o->dimensions};
    rp_text *texts = texts_of(items, count);
    rp_status status = rp_embed(session->model, texts, count, &params, out, err);
    free(texts);
    return status;
}

static rp_status run_coherence(const rp_cli_session *session, const rp_cli_item *const *items, size_t count,
                               rp_result **out, rp_error *err) {
    rp_input *inputs = inputs_of(items, count);
    rp_status status = rp_coherence(session->model, inputs, count, NULL, out, err);
    free(inputs);
    return status;
}

static rp_status run_choose(const rp_cli_session *session, const rp_cli_item *const *items, size_t count,
                            rp_result **out, rp_error *err) {
    rp_choice *choices = rp_cli_calloc(count, sizeof *choices);
    for (size_t i = 0; i < count; i++)
        choices[i] = (rp_choice){items[i]->text, items[i]->choices, items[i]->choice_count};
    rp_status status = rp_choose(session->model, choices, count, NULL, out, err);
    free(choices);
    return status;
}

/* ---- help ---- */

static const char help_classify[] =
    "Sequence classification: sentiment, topics, moderation. Scores are softmax or\n"
    "sigmoid probabilities, or the raw value of a regression, as the folder's\n"
    "config.json says. A text longer than the model takes is cut, which is said\n"
    "once.\n"
    "\n"
    "JSON: [{\"label\", \"score\"}], best first; keys of --jsonl: text, text_pair (may\n"
    "be left out).\n"
    "\n"
    "Examples:\n"
    "  reprise classify \"a warm and funny film\"\n"
    "  reprise classify --json < reviews.txt > scores.jsonl\n"
    "  reprise classify -m intents --top-k 3 -f questions.txt\n"
    "  reprise classify --csv -f reviews.csv > answered.csv\n"
    "  reprise classify --files letters/*.txt > answered.jsonl\n"
    "  printf '{\"text\": \"dull\"}\\n' | reprise classify --jsonl\n";

static const char help_fill_mask[] =
    "Fill every [MASK] of a text with the likeliest tokens.\n"
    "\n"
    "JSON: [{\"score\", \"token\", \"token_str\", \"sequence\"}], five unless --top-k says\n"
    "otherwise; a list of such lists where a text has several masks; key of --jsonl:\n"
    "text.\n"
    "\n"
    "Examples:\n"
    "  reprise fill-mask \"She opened the [MASK] and looked out.\"\n"
    "  reprise fill-mask --json --top-k 1 < sentences.txt\n";

static const char help_tag[] =
    "Token classification: named entities. A long text is read in overlapping\n"
    "windows, so nothing is lost. Needs a folder with a token classifier (-m DIR).\n"
    "\n"
    "JSON: [{\"entity_group\", \"score\", \"word\", \"start\", \"end\"}]; with --aggregation\n"
    "none [{\"entity\", \"score\", \"index\", \"word\", \"start\", \"end\"}]. start and end\n"
    "count code points. Key of --jsonl: text.\n"
    "\n"
    "Examples:\n"
    "  reprise tag -m ner \"Ada Lovelace was born in London.\"\n"
    "  reprise tag -m ner --aggregation first --json < articles.txt\n";

static const char help_answer[] =
    "Answer questions with a part of their context. A long context is read in\n"
    "overlapping windows, so nothing is lost. Needs a folder with a question\n"
    "answering head (-m DIR). A plain line is the question, a tab, and the context.\n"
    "\n"
    "JSON: {\"score\", \"start\", \"end\", \"answer\"}, or a list of them with --top-k above\n"
    "1. start and end count code points of the context. Keys of --jsonl: question,\n"
    "context.\n"
    "\n"
    "Examples:\n"
    "  reprise answer -m squad \"Who wrote it?\" \"Ada Lovelace wrote it in 1843.\"\n"
    "  printf 'Who wrote it?\\tAda did.\\n' | reprise answer -m squad --json -k 3\n"
    "  reprise answer -m squad2 --allow-no-answer --jsonl -f questions.jsonl\n"
    "  reprise answer -m squad --csv -f questions.csv > answered.csv\n";

static const char help_embed[] =
    "Vectors of sentences (or, with --pooling none, of every token), as\n"
    "sentence-transformers makes them. The folder's modules.json and the files that\n"
    "it lists say how, where present; else the mean. --pooling stands in place of\n"
    "the folder's Pooling, Dense and LayerNorm. A text longer than the model takes\n"
    "is cut, which is said once.\n"
    "\n"
    "JSON: [H numbers]; with --pooling none [tokens][H], special tokens included;\n"
    "key of --jsonl: text.\n"
    "NumPy: --format npy writes the file --output, float32 [inputs, H]. An input\n"
    "that fails is a row of NaN. The file appears once it is whole; of a run that\n"
    "was stopped, the rows until then are in FILE.part.\n"
    "\n"
    "Examples:\n"
    "  reprise embed --json \"a sentence\" \"another one\"\n"
    "  reprise embed -m all-MiniLM-L6-v2 --json < sentences.txt > vectors.jsonl\n"
    "  reprise embed -m e5-small-v2 --prompt-text \"query: \" --json \"who wrote it?\"\n"
    "  reprise embed -m nomic --prompt search_query --dimensions 256 --json \"who?\"\n"
    "  reprise embed --pooling cls --normalize --json \"a sentence\"\n"
    "  reprise embed --format npy -o vectors.npy -f sentences.txt\n";

static const char help_coherence[] =
    "Are two texts in the right order (ALBERT's sentence order prediction, BERT's\n"
    "next sentence)? Arguments come in pairs; a plain line is the first text, a tab,\n"
    "and the second.\n"
    "\n"
    "JSON: {\"label\": \"in_order\" or \"swapped\", \"score\": probability of in order};\n"
    "keys of --jsonl: text, text_pair.\n"
    "\n"
    "Examples:\n"
    "  reprise coherence \"A letter came in the morning.\" \"He read it twice.\"\n"
    "  printf 'He fell.\\tHe got up.\\n' | reprise coherence --json\n";

static const char help_choose[] =
    "Multiple choice: how probable each continuation of a text is. Arguments are one\n"
    "text and its choices; a plain line is the same with tabs between. Needs a\n"
    "folder with a multiple choice head (-m DIR).\n"
    "\n"
    "JSON: [probability of each choice]; keys of --jsonl: text, choices (an array of\n"
    "strings).\n"
    "\n"
    "Examples:\n"
    "  reprise choose -m swag \"He picked up the violin and\" \"played.\" \"drank it.\"\n"
    "  printf '{\"text\": \"It rained, so\", \"choices\": [\"we stayed\", \"I am tall\"]}\\n' |\n"
    "      reprise choose -m swag --jsonl\n";

static const char help_tokenize[] =
    "Show how a folder's tokenizer cuts a text. Needs no device.\n"
    "\n"
    "JSON: {\"input_ids\", \"token_type_ids\", \"tokens\", \"offsets\"}; offsets are [start,\n"
    "end] in code points of the text that the token came from. Keys of --jsonl:\n"
    "text, text_pair (may be left out).\n"
    "\n"
    "Examples:\n"
    "  reprise tokenize \"Unbelievable films\"\n"
    "  reprise tokenize --pair --json \"first text\" \"second text\"\n"
    "  reprise tokenize -m all-MiniLM-L6-v2 --no-special-tokens --json < texts.txt\n";

static const char help_devices[] =
    "List every Vulkan device: driver, version, memory, what was probed, and why it\n"
    "cannot be used where it cannot. The number before a name is what -d takes.\n"
    "\n"
    "JSON: one object a device, one a line.\n"
    "\n"
    "Examples:\n"
    "  reprise devices\n"
    "  reprise devices --json | grep -c '\"usable\": true'\n";

static const char help_bench[] =
    "Time one run of the encoder, host to host: the last hidden states of --batch\n"
    "sequences of --tokens tokens each, or of mixed --lengths: sst2 (short\n"
    "sentences), uniform (from a fifth of --tokens to all of them, 60 % in the mean)\n"
    "or a FILE. Mixed lengths also run padded to the longest, to compare. Weights\n"
    "are random, in the shape of --config (base), or those of the folder -m.\n"
    "\n"
    "GFLOP/s is taken at the median, from the matrix products alone, and set against\n"
    "what the device reaches in the same call with the unit that multiplies (fp32\n"
    "fma, int8 dot, cooperative matrix). With T tokens in all, hidden size H,\n"
    "intermediate size I, embedding size E and sequence lengths len, a run needs\n"
    "  layers * (8*T*H*H + 4*T*H*I + 4*H*sum(len^2)), plus 2*T*E*H where E is not H.\n"
    "On a software driver the processor time of a run, over the number of\n"
    "processors, is given too: other work on the machine does not disturb it.\n"
    "\n"
    "Instead of a run: --roofline, what the device can reach; --ops, each operator\n"
    "by every kernel that may run it (all four configs unless --config is given);\n"
    "--replay, the ways to submit a layer N times; --startup, where a start goes;\n"
    "--train, a step of training with its parts and operators, whose layers are kept\n"
    "or computed again; by processor time on a software driver;\n"
    "--accuracy FILE, a classifier (the bundled one, or -m) on lines \"label TAB\n"
    "sentence\" (or below a first line \"sentence TAB label\").\n"
    "\n"
    "JSON: one object: device, driver, cpu (true for a software driver), config,\n"
    "tokens, batch, repeat, precision, median_ms, min_ms, max_ms, gflops,\n"
    "roofline_gflops, fraction, host_ms, device_ms, device_bytes, submissions, and\n"
    "more; --ops and --replay give one a line. See reprise(1).\n"
    "\n"
    "Examples:\n"
    "  reprise bench\n"
    "  reprise bench --config xxlarge --tokens 512 --repeat 3\n"
    "  reprise bench --batch 64 --lengths sst2 --trace run.json --json\n"
    "  reprise bench --ops --config base\n";

static const char help_check[] =
    "Does the device compute what it should? Every kernel that may run on it is\n"
    "tried at odd shapes, in every precision, against plain C: its verdict, its\n"
    "largest error, what it was tried with. Models do the same when they are first\n"
    "opened on a device and driver, and never use a kernel that fails.\n"
    "\n"
    "With --compile nothing is run: every kernel that may be used for --config (all\n"
    "four, and the bundled models) is compiled, and what the driver says of\n"
    "registers, spills and occupancy is listed.\n"
    "\n"
    "JSON: one object a try, one a line: op, kernel, use, error, bound (with\n"
    "--compile: statistics), and verdict: right (compiled), wrong, refused by the\n"
    "driver, loses the device, or spills. The exit status is 1 when a try failed.\n"
    "\n"
    "Examples:\n"
    "  reprise check\n"
    "  reprise check --json | grep -v '\"right\"'\n"
    "  reprise check --compile --config base --only attention\n";

static const char help_eval[] =
    "How right is a model? Answers every row of FILE, a file of labelled data, and\n"
    "compares with its labels:\n"
    "  classify    loss, accuracy, f1 (of label 1; of more than two labels\n"
    "              f1_macro), matthews_correlation\n"
    "  multilabel  accuracy (all labels of a row), f1_micro, f1_macro\n"
    "  regress     mse, pearson, spearmanr\n"
    "  tag         precision, recall and f1 of entities, accuracy of tags\n"
    "  answer      exact_match, f1; of SQuAD 2.0 also of questions with and without\n"
    "              an answer, and with the best threshold\n"
    "  choose      loss, accuracy\n"
    "  order       accuracy\n"
    "  mlm         mlm_loss, mlm_accuracy, perplexity, sop_loss, sop_accuracy, of\n"
    "              prepared instances of pre-training (reprise(1) shows them)\n"
    "Tables have a header with GLUE's names (sentence, sentence1 and sentence2, text,\n"
    "label, ...) or the names of --text-column, --pair-column and --label-column.\n"
    "Labels are the model's, by name or by number.\n"
    "\n"
    "JSON: one object: task, rows, skipped, and the metrics, null where one is not\n"
    "defined.\n"
    "\n"
    "Examples:\n"
    "  reprise eval -m sentiment --task classify dev.tsv\n"
    "  reprise eval -m intents --label-column category --predictions out.jsonl t.csv\n"
    "  reprise eval -m squad2 --task answer --json dev-v2.0.json\n";

static const char help_finetune[] =
    "Teach a model by a file of labelled texts or pairs, and write what came of it\n"
    "to the new folder OUT, as Hugging Face's libraries read it.\n"
    "  classify    one label a row\n"
    "  multilabel  any number of labels a row\n"
    "  regress     a number a row\n"
    "  tag         a label a token\n"
    "  answer      questions, and where their contexts answer them (SQuAD)\n"
    "  choose      one of several choices\n"
    "  embed       vectors of pairs: near to each other, or as near as a score says\n"
    "A folder that has a head for the task keeps it, and its labels. Any other gets\n"
    "a new one, with the labels of the data. Files are those of eval. With --dev,\n"
    "OUT is the model of the evaluation with the best accuracy (or f1_micro, pearson,\n"
    "f1, spearmanr). Ctrl-C ends it after the step. The same command with --resume\n"
    "goes on from the last checkpoint in OUT, whatever ended it, to the same bits.\n"
    "\n"
    "JSON: one object a line in the file of --log: step, epoch, loss, lr, grad_norm,\n"
    "sequences, tokens, seconds; of an evaluation step, epoch, and its metrics as\n"
    "eval_accuracy and so on.\n"
    "\n"
    "Examples:\n"
    "  reprise finetune --train train.tsv --dev dev.tsv -o sentiment2\n"
    "  reprise finetune -m albert --train t.csv -o out --lr 2e-5 --warmup 0.1\n"
    "  reprise finetune -m albert --train t.jsonl -o out --task regress --log l.jsonl\n"
    "  reprise finetune --task answer --train train.json --dev dev.json -o answers\n"
    "  reprise finetune --task embed --train pairs.tsv -o vectors --batch-size 32\n"
    "  reprise finetune --train t.csv --dev d.csv -o out --save-every 100 --keep 2\n"
    "  reprise finetune --train t.csv --dev d.csv -o out --save-every 100 --resume\n";

static const char help_pretrain[] =
    "Teach a new model (--config with --tokenizer), or an old one (--init), by plain\n"
    "text: masked words and the order of sentences. The data are made as\n"
    "google-research/albert makes them. OUT is a Hugging Face folder.\n"
    "The first pass over the corpus tokenizes it, before training; --write-instances\n"
    "keeps what comes of it for --instances. FILEs may also stand behind the options.\n"
    "\n"
    "Recipes of the published models: --batch-size 4096 --steps 125000 --lr 0.00176\n"
    "--warmup 3125 (the defaults), 512 tokens, and --config\n"
    "             hidden  layers  heads  parameters  GFLOP forward at 128/512 tokens\n"
    "  base          768      12     12     11.8 M      22.4     96.7\n"
    "  large        1024      24     16     17.8 M        79      335\n"
    "  xlarge       2048      24     16     59.0 M       313     1289\n"
    "  xxlarge      4096      12     64    223.2 M       622     2526\n"
    "For a batch of B: --lr 0.00176 times the square root of B/4096, and as many more\n"
    "steps. To adapt a model to a field: --init with --lr 2e-4 --optimizer adamw.\n"
    "\n"
    "JSON: one object a line in the file of --log: step, epoch, loss, lr, grad_norm,\n"
    "sequences, tokens, seconds, mlm_loss, sop_loss, mlm_accuracy, sop_accuracy.\n"
    "\n"
    "Examples:\n"
    "  reprise pretrain --corpus a.txt b.txt --tokenizer m.model --config base -o out\n"
    "  reprise pretrain --corpus law.txt --init albert -o law --steps 9000\n"
    "  reprise pretrain --corpus a.txt --tokenizer m.model --write-instances a.jsonl\n";

static const char help_convert[] =
    "Write the model in DIR anew as a Hugging Face folder: config.json,\n"
    "model.safetensors, the tokenizer. DIR is whatever -m takes: PyTorch's\n"
    "pytorch_model.bin, a checkpoint of Google's ALBERT or BERT (model.ckpt.index\n"
    "with its data, albert_config.json, 30k-clean.model or vocab.txt), safetensors.\n"
    "The new folder appears once it is whole. Needs no device.\n"
    "\n"
    "Examples:\n"
    "  reprise convert albert_base_v2 -o albert\n"
    "  reprise convert my-model -o my-model-f16 --dtype f16\n";

static const char help_pull[] =
    "Fetches a model from a hub (Hugging Face's, or HF_ENDPOINT) and prints the\n"
    "folder that holds it. NAME is ORG/NAME, or the address of its page. Only the\n"
    "files that are needed are fetched, each checked by its hash; what was broken\n"
    "off is taken up where it ended. They lie in the cache of Python's\n"
    "huggingface_hub: each finds what the other fetched. Other commands take the\n"
    "name with -m then, and use no network. For private and gated models set\n"
    "HF_TOKEN. Needs libcurl.\n"
    "\n"
    "Examples:\n"
    "  reprise pull sentence-transformers/all-MiniLM-L6-v2\n"
    "  reprise embed -m sentence-transformers/all-MiniLM-L6-v2 \"a sentence\"\n"
    "  reprise pull albert/albert-base-v2 --revision main -o albert\n";

/* ---- the table ---- */

enum {
    LINES = RP_CLI_MODEL | RP_CLI_FILE | RP_CLI_BATCH_SIZE | RP_CLI_JSON | RP_CLI_JSONL,
    COMMON = LINES | RP_CLI_DEVICE | RP_CLI_PRECISION | RP_CLI_VERIFY | RP_CLI_HEAD,
};

const rp_cli_command rp_cli_commands[] = {
    {"classify", "[TEXT...]", "sentiment and other labels of texts", help_classify,
     COMMON | RP_CLI_TOP_K | RP_CLI_PAIR, RP_CLI_SHAPE_MAYBE_PAIR, "sentiment", run_classify,
     rp_cli_people_labels, NULL},
    {"fill-mask", "[TEXT...]", "the likeliest words for [MASK]", help_fill_mask, COMMON | RP_CLI_TOP_K,
     RP_CLI_SHAPE_TEXT, "pretrained", run_fill_mask, rp_cli_people_fills, NULL},
    {"tag", "[TEXT...]", "named entities", help_tag, COMMON | RP_CLI_AGGREGATION | RP_CLI_STRIDE,
     RP_CLI_SHAPE_TEXT, NULL, run_tag, rp_cli_people_entities, NULL},
    {"answer", "[QUESTION CONTEXT]...", "the part of a context that answers a question", help_answer,
     COMMON | RP_CLI_TOP_K | RP_CLI_MAX_LENGTH | RP_CLI_STRIDE | RP_CLI_MAX_QUESTION | RP_CLI_MAX_ANSWER |
         RP_CLI_NO_ANSWER,
     RP_CLI_SHAPE_QUESTION, NULL, run_answer, rp_cli_people_answers, NULL},
    {"embed", "[TEXT...]", "vectors of sentences or tokens", help_embed,
     COMMON | RP_CLI_POOLING | RP_CLI_NORMALIZE | RP_CLI_VECTORS, RP_CLI_SHAPE_TEXT, "sentiment", run_embed,
     rp_cli_people_vectors, NULL},
    {"coherence", "[TEXT TEXT]...", "are two texts in order?", help_coherence, COMMON, RP_CLI_SHAPE_PAIR,
     "pretrained", run_coherence, rp_cli_people_order, NULL},
    {"choose", "[TEXT CHOICE...]", "how probable each of some continuations is", help_choose, COMMON,
     RP_CLI_SHAPE_CHOICES, NULL, run_choose, rp_cli_people_choices, NULL},
    {"tokenize", "[TEXT...]", "the tokens of texts; needs no device", help_tokenize,
     LINES | RP_CLI_PAIR | RP_CLI_MAX_LENGTH | RP_CLI_NO_SPECIAL, RP_CLI_SHAPE_MAYBE_PAIR, "sentiment", NULL,
     rp_cli_people_tokens, NULL},
    {"eval", "FILE", "how right a model is, on labelled data", help_eval,
     RP_CLI_MODEL | RP_CLI_DEVICE | RP_CLI_PRECISION | RP_CLI_HEAD | RP_CLI_JSON | RP_CLI_MAX_LENGTH |
         RP_CLI_STRIDE | RP_CLI_MAX_ANSWER | RP_CLI_EVAL,
     RP_CLI_SHAPE_NONE, "sentiment", NULL, NULL, rp_cli_eval},
    {"finetune", "--train FILE -o OUT", "teach a model by labelled texts", help_finetune,
     RP_CLI_MODEL | RP_CLI_DEVICE | RP_CLI_MAX_LENGTH | RP_CLI_STRIDE | RP_CLI_FINETUNE, RP_CLI_SHAPE_NONE,
     "pretrained", NULL, NULL, rp_cli_finetune},
    {"pretrain", "--corpus FILE... -o OUT", "teach a model by plain text", help_pretrain,
     RP_CLI_DEVICE | RP_CLI_MAX_LENGTH | RP_CLI_PRETRAIN, RP_CLI_SHAPE_NONE, NULL, NULL, NULL,
     rp_cli_pretrain},
    {"convert", "DIR -o DIR", "write a model's folder anew, as Hugging Face has it", help_convert,
     RP_CLI_CONVERT | RP_CLI_HEAD, RP_CLI_SHAPE_NONE, NULL, NULL, NULL, rp_cli_convert},
    {"pull", "NAME", "fetch a model from a hub", help_pull, RP_CLI_PULL, RP_CLI_SHAPE_NONE, NULL, NULL, NULL,
     rp_cli_pull},
    {"devices", "", "every Vulkan device, and what it can do", help_devices, RP_CLI_JSON, RP_CLI_SHAPE_NONE,
     NULL, NULL, NULL, rp_cli_devices},
    {"check", "", "does every kernel compute what it should?", help_check,
     RP_CLI_DEVICE | RP_CLI_JSON | RP_CLI_CHECK, RP_CLI_SHAPE_NONE, NULL, NULL, NULL, rp_cli_check},
    {"bench", "", "time, GFLOP/s and memory of a run", help_bench,
     RP_CLI_MODEL | RP_CLI_DEVICE | RP_CLI_PRECISION | RP_CLI_JSON | RP_CLI_BENCH | RP_CLI_HEAD,
     RP_CLI_SHAPE_NONE, NULL, NULL, NULL, rp_cli_bench},
    {0},
};
