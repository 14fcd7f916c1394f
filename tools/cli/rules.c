#include "rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nearest.h"
#include "session.h"

enum {
    RUN = 1 << RP_CLI_BENCH_RUN,
    OPS = 1 << RP_CLI_BENCH_OPS,
    REPLAY = 1 << RP_CLI_BENCH_REPLAY,
    STARTUP = 1 << RP_CLI_BENCH_STARTUP,
    ACCURACY = 1 << RP_CLI_BENCH_ACCURACY,
    TRAIN = 1 << RP_CLI_BENCH_TRAIN,
    SERVE = 1 << RP_CLI_BENCH_SERVE,
};

const rp_cli_rule rp_cli_rules[R_COUNT] = {
    [R_MODEL] = {'m', "model", "DIR", RP_CLI_MODEL, "Hugging Face folder or name of a model",
                 RUN | STARTUP | ACCURACY | SERVE, .otherwise = "REPRISE_MODEL, else a bundled one"},
    [R_DEVICE] = {'d', "device", "NAME", RP_CLI_DEVICE, "number or part of a name in 'reprise devices'",
                  .otherwise = "REPRISE_DEVICE, else the fastest kind"},
    [R_FILE] = {'f', "file", "FILE", RP_CLI_FILE,
                "read lines from FILE; - is standard input; may be repeated", .otherwise = "standard input"},
    [R_FILES] = {0, "files", NULL, RP_CLI_FILE, "each TEXT is a file that holds one text; implies --json"},
    [R_CSV] = {0, "csv", NULL, RP_CLI_FILE, "rows of a table in; the same rows with the answers out"},
    [R_TSV] = {0, "tsv", NULL, RP_CLI_FILE, "the same with tabs, and quotes that are characters"},
    [R_TEXT_COLUMN] = {0, "text-column", "NAME", RP_CLI_FILE | RP_CLI_EVAL | RP_CLI_FINETUNE,
                       "column of the text", .otherwise = "text, sentence, ..."},
    [R_PAIR_COLUMN] = {0, "pair-column", "NAME", RP_CLI_FILE | RP_CLI_EVAL | RP_CLI_FINETUNE,
                       "column of the second text", .otherwise = "text_pair, ..."},
    [R_KEEP] = {0, "keep", NULL, RP_CLI_JSONL, "keep other keys, such as id, in the answer; implies --jsonl"},
    [R_PAIR] = {0, "pair", NULL, RP_CLI_PAIR, "inputs are pairs: two arguments, or a tab inside a line"},
    [R_TOP_K] = {'k', "top-k", "N", RP_CLI_TOP_K, "how many to give, best first"},
    [R_AGGREGATION] = {0, "aggregation", "HOW", RP_CLI_AGGREGATION, "none, simple, first, average or max",
                       .otherwise = "simple"},
    [R_MAX_LENGTH] = {0, "max-length", "N", RP_CLI_MAX_LENGTH, "longest sequence, tokens"},
    [R_STRIDE] = {0, "stride", "N", RP_CLI_STRIDE, "tokens that neighbouring windows of a long text share"},
    [R_MAX_QUESTION] = {0, "max-question-length", "N", RP_CLI_MAX_QUESTION,
                        "longer questions are cut, tokens", .otherwise = "64"},
    [R_MAX_ANSWER] = {0, "max-answer-length", "N", RP_CLI_MAX_ANSWER, "longest answer, tokens",
                      .otherwise = "15"},
    [R_NO_ANSWER] = {0, "allow-no-answer", NULL, RP_CLI_NO_ANSWER, "an empty answer may win"},
    [R_POOLING] = {0, "pooling", "HOW", RP_CLI_POOLING, "mean, cls, max or none",
                   .otherwise = "what the folder says, else mean"},
    [R_NORMALIZE] = {0, "normalize", NULL, RP_CLI_NORMALIZE, "scale vectors to length 1",
                     .otherwise = "what the folder says, else no"},
    [R_NO_NORMALIZE] = {0, "no-normalize", NULL, RP_CLI_NORMALIZE, "don't, whatever the folder says"},
    [R_PROMPT] = {0, "prompt", "NAME", RP_CLI_VECTORS | RP_CLI_INDEX | RP_CLI_SEARCH | RP_CLI_RANK,
                  "put this prompt of the folder before every text",
                  .otherwise = "the folder's default prompt, else none"},
    [R_PROMPT_TEXT] = {0, "prompt-text", "TEXT", RP_CLI_VECTORS | RP_CLI_INDEX | RP_CLI_SEARCH | RP_CLI_RANK,
                       "put TEXT before every text; '' for none"},
    [R_DIMENSIONS] = {0, "dimensions", "N", RP_CLI_VECTORS | RP_CLI_INDEX,
                      "keep the first N columns of each vector", .otherwise = "all"},
    [R_NO_SPECIAL] = {0, "no-special-tokens", NULL, RP_CLI_NO_SPECIAL, "leave out [CLS] and [SEP]"},
    [R_COMPILE] = {0, "compile", NULL, RP_CLI_CHECK, "compile every kernel and run none: registers, spills"},
    [R_ONLY] = {0, "only", "NAME", RP_CLI_CHECK, "kernels whose name contains NAME", .otherwise = "all"},
    [R_CONFIG] = {0, "config", "NAME", RP_CLI_BENCH | RP_CLI_CHECK,
                  "base, large, xlarge, xxlarge, or a folder with a config.json",
                  RUN | OPS | REPLAY | STARTUP | TRAIN | SERVE},
    [R_TOKENS] = {0, "tokens", "N", RP_CLI_BENCH, "tokens of each sequence",
                  RUN | OPS | REPLAY | STARTUP | TRAIN, .otherwise = "128"},
    [R_BATCH] = {0, "batch", "N", RP_CLI_BENCH, "with --serve texts of a trace, else sequences in a run",
                 RUN | TRAIN | SERVE, .otherwise = "1"},
    [R_REPEAT] = {0, "repeat", "N", RP_CLI_BENCH,
                  "with --serve traces, else runs that are timed, after one that is not",
                  RUN | REPLAY | TRAIN | SERVE, .otherwise = "10"},
    [R_LENGTHS] = {0, "lengths", "HOW", RP_CLI_BENCH,
                   "mixed lengths: sst2, uniform, or a FILE with one a line; - is standard input", RUN,
                   .otherwise = "all have --tokens"},
    [R_TRACE] = {0, "trace", "FILE", RP_CLI_BENCH, "write a trace of one more run, for Chrome or Perfetto",
                 RUN},
    [R_ROOFLINE] = {0, "roofline", NULL, RP_CLI_BENCH, "instead: what the device can reach"},
    [R_OPS] = {0, "ops", NULL, RP_CLI_BENCH, "instead: each operator, by every kernel that may run it"},
    [R_REPLAY] = {0, "replay", NULL, RP_CLI_BENCH, "instead: the ways to submit a layer many times"},
    [R_STARTUP] = {0, "startup", NULL, RP_CLI_BENCH, "instead: where the time of a start goes"},
    [R_ACCURACY] = {0, "accuracy", "FILE", RP_CLI_BENCH, "instead: accuracy on a table of labelled texts"},
    [R_BENCH_TRAIN] = {0, "train", NULL, RP_CLI_BENCH, "instead: a step of training, and its parts"},
    [R_BENCH_SERVE] = {0, "serve", NULL, RP_CLI_BENCH, "instead: texts that come at random, by each policy"},
    [R_BATCH_SIZE] = {0, "batch-size", "N", RP_CLI_BATCH_SIZE, "most inputs answered together",
                      .otherwise = "a few"},
    [R_PRECISION] = {0, "precision", "HOW", RP_CLI_PRECISION, "of the weights: f32, f16, int8 or int4",
                     RUN | OPS | REPLAY | STARTUP | ACCURACY | TRAIN | SERVE,
                     .otherwise = "as the files have them"},
    [R_HEAD] = {0, "head", "HOW", RP_CLI_HEAD, "what the last layer is: classify, tag, answer or choose",
                RUN | STARTUP | ACCURACY, .otherwise = "what the folder says"},
    [R_VERIFY] = {0, "verify-every", "N", RP_CLI_VERIFY,
                  "recompute one sequence in N in plain C; a difference makes the exit status 1",
                  .otherwise = "none"},
    [R_FORMAT] = {0, "format", "HOW", RP_CLI_VECTORS,
                  "text, json, or npy: all vectors as NumPy's file --output, one row an input",
                  .otherwise = "text"},
    [R_DATA_FORMAT] = {0, "format", "HOW", RP_CLI_EVAL | RP_CLI_FINETUNE,
                       "tsv, csv, cola, jsonl, conll or squad",
                       .otherwise = "as the end of FILE's name says"},
    [R_TASK] = {0, "task", "HOW", RP_CLI_EVAL,
                "classify, multilabel, regress, tag, answer, choose, order, mlm or embed",
                .otherwise = "what the model is for"},
    [R_LABEL_COLUMN] = {0, "label-column", "NAME", RP_CLI_EVAL | RP_CLI_FINETUNE, "column of the label",
                        .otherwise = "label, ..."},
    [R_SKIP_BAD] = {0, "skip-bad", NULL, RP_CLI_EVAL | RP_CLI_FINETUNE | RP_CLI_PRETRAIN | RP_CLI_INDEX,
                    "leave out rows or lines that cannot be used"},
    [R_GLUE] = {0, "glue", "NAME", RP_CLI_EVAL,
                "the metrics of cola, sst2, mrpc, stsb, qqp, mnli, qnli, rte or wnli",
                .otherwise = "all of the task"},
    [R_PREDICTIONS] = {0, "predictions", "OUT", RP_CLI_EVAL, "write an object a row to the file OUT"},
    [R_CORPUS] = {0, "corpus", "FILE", RP_CLI_PRETRAIN,
                  "plain text, a sentence a line, an empty line between documents; many: FILE..."},
    [R_INSTANCES] = {0, "instances", "FILE", RP_CLI_PRETRAIN, "instead: prepared instances; many: FILE..."},
    [R_WRITE_INSTANCES] = {0, "write-instances", "FILE", RP_CLI_PRETRAIN,
                           "write the instances of the corpus; without -o nothing is trained"},
    [R_TOKENIZER] = {0, "tokenizer", "PATH", RP_CLI_PRETRAIN,
                     "spiece.model, vocab.txt, tokenizer.json, or a folder or model that has one"},
    [R_NEW_CONFIG] = {0, "config", "NAME", RP_CLI_PRETRAIN,
                      "of a new model: base, large, xlarge, xxlarge, a config.json or a folder that has one"},
    [R_INIT] = {0, "init", "DIR", RP_CLI_PRETRAIN, "instead: go on from this model, with its tokenizer"},
    [R_PRETRAIN_EPOCHS] = {0, "epochs", "N", RP_CLI_PRETRAIN, "passes over the data"},
    [R_PRETRAIN_STEPS] = {0, "steps", "N", RP_CLI_PRETRAIN, "steps, whatever --epochs says",
                          .otherwise = "--epochs, else 125000"},
    [R_PRETRAIN_BATCH] = {0, "batch-size", "N", RP_CLI_PRETRAIN, "instances of a step", .otherwise = "4096"},
    [R_MAX_PREDICTIONS] = {0, "max-predictions", "N", RP_CLI_PRETRAIN,
                           "most tokens of an instance that are predicted", .otherwise = "20"},
    [R_NGRAM] = {0, "ngram", "N", RP_CLI_PRETRAIN, "longest n-gram of words that is masked as one",
                 .otherwise = "3"},
    [R_OPTIMIZER] = {0, "optimizer", "NAME", RP_CLI_PRETRAIN, "lamb or adamw", .otherwise = "lamb"},
    [R_PRETRAIN_RATE] = {0, "lr", "X", RP_CLI_PRETRAIN, "learning rate",
                         .otherwise = "0.00176; of adamw 1e-4"},
    [R_PRETRAIN_WARMUP] = {0, "warmup", "X", RP_CLI_PRETRAIN,
                           "steps in which the learning rate rises or, below 1, their share",
                           .otherwise = "0.025"},
    [R_PRETRAIN_SCHEDULE] = {0, "schedule", "HOW", RP_CLI_PRETRAIN, "linear, constant or polynomial",
                             .otherwise = "polynomial"},
    [R_PRETRAIN_DECAY] = {0, "weight-decay", "X", RP_CLI_PRETRAIN, "of matrices and embeddings",
                          .otherwise = "0.01"},
    [R_PRETRAIN_SEED] = {0, "seed", "N", RP_CLI_PRETRAIN, "of the data, new weights and dropout",
                         .otherwise = "12345"},
    [R_TRAIN] = {0, "train", "FILE", RP_CLI_FINETUNE, "labelled data to learn"},
    [R_DEV] = {0, "dev", "FILE", RP_CLI_FINETUNE | RP_CLI_PRETRAIN, "data to evaluate; the best model stays",
               .otherwise = "none"},
    [R_TRAIN_TASK] = {0, "task", "HOW", RP_CLI_FINETUNE,
                      "classify, multilabel, regress, tag, answer, choose or embed",
                      .otherwise = "the folder's, else classify"},
    [R_EPOCHS] = {0, "epochs", "N", RP_CLI_FINETUNE, "passes over the data", .otherwise = "3"},
    [R_STEPS] = {0, "steps", "N", RP_CLI_FINETUNE, "steps, whatever --epochs says"},
    [R_TRAIN_BATCH] = {0, "batch-size", "N", RP_CLI_FINETUNE, "rows of a step", .otherwise = "8"},
    [R_TRAIN_OPTIMIZER] = {0, "optimizer", "NAME", RP_CLI_FINETUNE, "adamw or lamb", .otherwise = "adamw"},
    [R_LEARNING_RATE] = {0, "lr", "X", RP_CLI_FINETUNE, "learning rate",
                         .otherwise = "5e-5; of lamb 0.00176"},
    [R_WARMUP] = {0, "warmup", "X", RP_CLI_FINETUNE,
                  "steps in which the learning rate rises or, below 1, their share", .otherwise = "0"},
    [R_SCHEDULE] = {0, "schedule", "HOW", RP_CLI_FINETUNE, "linear, constant or polynomial",
                    .otherwise = "linear"},
    [R_RECOMPUTE] = {0, "recompute", "HOW", RP_CLI_FINETUNE | RP_CLI_PRETRAIN,
                     "layers' activations on the way back: auto, always (less memory) or never (less time)",
                     .otherwise = "auto"},
    [R_TRAIN_PRECISION] = {0, "precision", "HOW", RP_CLI_FINETUNE | RP_CLI_PRETRAIN,
                           "f16: products multiply in float16, with loss scaling; or f32",
                           .otherwise = "f32"},
    [R_WEIGHT_DECAY] = {0, "weight-decay", "X", RP_CLI_FINETUNE, "of matrices and embeddings",
                        .otherwise = "0"},
    [R_MAX_GRAD_NORM] = {0, "max-grad-norm", "X", RP_CLI_FINETUNE | RP_CLI_PRETRAIN,
                         "clip the gradient to this norm; 0: never", .otherwise = "1"},
    [R_LABEL_SMOOTHING] = {0, "label-smoothing", "X", RP_CLI_FINETUNE, "of classify", .otherwise = "0"},
    [R_TEACHER] = {0, "teacher", "DIR", RP_CLI_FINETUNE, "classify, embed: learn what this model says, too"},
    [R_LABEL_WEIGHT] = {0, "label-weight", "X", RP_CLI_FINETUNE, "of labels beside a teacher; 0: none",
                        .otherwise = "0.5"},
    [R_FREEZE] = {0, "freeze", "WHAT", RP_CLI_FINETUNE | RP_CLI_PRETRAIN,
                  "embeddings or encoder keep their weights", .otherwise = "none"},
    [R_EARLY_EXIT] = {0, "early-exit", NULL, RP_CLI_FINETUNE,
                      "teach a classifier behind every layer, for --patience"},
    [R_LABELS] = {0, "labels", "LIST", RP_CLI_FINETUNE,
                  "a new head's labels, with commas, or a file with one a line",
                  .otherwise = "those of FILE, sorted"},
    [R_SEED] = {0, "seed", "N", RP_CLI_FINETUNE, "of order, dropout and a new head", .otherwise = "42"},
    [R_NO_SHUFFLE] = {0, "no-shuffle", NULL, RP_CLI_FINETUNE | RP_CLI_PRETRAIN,
                      "learn the rows in the order of the file"},
    [R_EVAL_EVERY] = {0, "eval-every", "N", RP_CLI_FINETUNE | RP_CLI_PRETRAIN,
                      "steps from one evaluation to the next",
                      .otherwise = "those of a pass; of pretrain 500"},
    [R_METRIC] = {0, "metric", "NAME", RP_CLI_FINETUNE | RP_CLI_PRETRAIN, "what makes an evaluation the best",
                  .otherwise = "accuracy, f1, ...; of pretrain loss"},
    [R_SAVE_EVERY] = {0, "save-every", "N", RP_CLI_FINETUNE | RP_CLI_PRETRAIN,
                      "steps from one checkpoint to the next; 0: none", .otherwise = "500"},
    [R_KEEP_COUNT] = {0, "keep", "N", RP_CLI_FINETUNE | RP_CLI_PRETRAIN,
                      "checkpoints that stay, the last ones", .otherwise = "all"},
    [R_RESUME] = {0, "resume", NULL, RP_CLI_FINETUNE | RP_CLI_PRETRAIN,
                  "go on from the last checkpoint in OUT"},
    [R_LOG] = {0, "log", "FILE", RP_CLI_FINETUNE | RP_CLI_PRETRAIN,
               "write a JSON object for each step and evaluation"},
    [R_PLOT] = {0, "plot", "FILE", RP_CLI_FINETUNE | RP_CLI_PRETRAIN,
                "draw loss, learning rate and metric as SVG"},
    [R_INDEX] = {'i', "index", "FILE", RP_CLI_SEARCH, "the index to search, of 'reprise index'"},
    [R_LEAST_SCORE] = {0, "threshold", "X", RP_CLI_SEARCH, "leave out hits with a lower score"},
    [R_ID_COLUMN] = {0, "id-column", "NAME", RP_CLI_INDEX, "column of the id",
                     .otherwise = "id, if there is one"},
    [R_RAW] = {0, "raw", NULL, RP_CLI_RANK, "scores as the model computes them, without a sigmoid"},
    [R_DOCUMENTS] = {0, "documents", "PATH", RP_CLI_DOCUMENTS,
                     "find the answers in this folder, file or FILE.jsonl"},
    [R_DOCUMENT_INDEX] = {0, "index", "FILE", RP_CLI_DOCUMENTS | RP_CLI_CHAT,
                          "keep words of documents, or vectors, in FILE, for the next time"},
    [R_PASSAGES] = {0, "passages", "N", RP_CLI_DOCUMENTS, "passages that are read for a question",
                    .otherwise = "5"},
    [R_FAQ] = {0, "faq", "FILE", RP_CLI_CHAT, "questions and their answers: CSV, TSV or JSONL"},
    [R_EXAMPLES] = {0, "examples", "FILE", RP_CLI_CHAT, "texts and their intents, instead of a classifier"},
    [R_EMBED_MODEL] = {0, "embed-model", "DIR", RP_CLI_CHAT | RP_CLI_DOCUMENTS,
                       "find by vectors of this model, not by words"},
    [R_ANSWER_MODEL] = {0, "answer-model", "DIR", RP_CLI_CHAT, "marks the part of an answer that says it"},
    [R_SLOTS] = {0, "slots", "DIR", RP_CLI_CHAT, "a model of tag that finds what is named"},
    [R_ANSWER_THRESHOLD] = {0, "threshold", "X", RP_CLI_DOCUMENTS | RP_CLI_CHAT,
                            "refuse intents, or answers of --documents, with a lower score"},
    [R_FAQ_THRESHOLD] = {0, "faq-threshold", "X", RP_CLI_CHAT, "refuse answers with a lower score",
                         .otherwise = "0.5"},
    [R_SENTENCES] = {'n', "sentences", "N", RP_CLI_SUMMARIZE, "of each summary, at most 1000",
                     .otherwise = "3"},
    [R_COHERENCE] = {0, "coherence", "W", RP_CLI_SUMMARIZE,
                     "how much the order head of the model counts, -1 to 1", .otherwise = "0"},
    [R_NBEST] = {0, "nbest", "FILE", RP_CLI_SCORE,
                 "rank this n-best list (ID ||| TEXT ||| FEATURES ||| TOTAL)"},
    [R_WEIGHT] = {0, "weight", "W", RP_CLI_SCORE,
                  "how much a score counts beside a total: a number, or the file that --tune -o wrote"},
    [R_TUNE] = {0, "tune", NULL, RP_CLI_SCORE, "find W for --nbest and --references"},
    [R_REFERENCES] = {0, "references", "FILE", RP_CLI_SCORE,
                      "with --tune: good translations, a line for each ID"},
    [R_OUTPUT] = {'o', "output", "PATH",
                  RP_CLI_CONVERT | RP_CLI_PULL | RP_CLI_VECTORS | RP_CLI_FINETUNE | RP_CLI_PRETRAIN |
                      RP_CLI_SCORE | RP_CLI_INDEX,
                  "where to write: a folder; for embed the file of --format npy; for score that of --tune"},
    [R_DTYPE] = {0, "dtype", "HOW", RP_CLI_CONVERT, "of the weights that are written: f32 or f16",
                 .otherwise = "as they are"},
    [R_OVERWRITE] = {0, "overwrite", NULL, RP_CLI_CONVERT, "replace the files of a folder that exists"},
    [R_REVISION] = {0, "revision", "REV", RP_CLI_PULL, "branch, tag or commit", .otherwise = "main"},
    [R_OFFLINE] = {0, "offline", NULL, RP_CLI_PULL, "use no network: find what was fetched before"},
    [R_SERVED_MODEL] = {'m', "model", "[NAME=]DIR", RP_CLI_SERVE,
                        "folder or name of a model, and what requests call it; may be repeated",
                        .otherwise = "REPRISE_MODEL, else the bundled sentiment"},
    [R_HOST] = {0, "host", "NAME", RP_CLI_SERVE, "address to listen on", .otherwise = "127.0.0.1"},
    [R_PORT] = {0, "port", "N", RP_CLI_SERVE, "port to listen on; 0: a free one", .otherwise = "8080"},
    [R_SERVED_INDEX] = {0, "index", "NAME=FILE", RP_CLI_SERVE,
                        "an index of 'reprise index' for /search; may be repeated"},
    [R_POLICY_FILE] = {0, "policy-file", "FILE", RP_CLI_SERVE,
                       "which action of /moderate follows from which label",
                       .otherwise = "flag where a label counts"},
    [R_QUEUE_POLICY] = {0, "policy", "HOW", RP_CLI_SERVE,
                        "which texts go first: least-work, join, dynamic or static",
                        .otherwise = "least-work"},
    [R_MAX_BATCH_TOKENS] = {0, "max-batch-tokens", "N", RP_CLI_SERVE, "most tokens of a batch",
                            .otherwise = "as the model's size allows"},
    [R_MAX_CONCURRENT] = {0, "max-concurrent-requests", "N", RP_CLI_SERVE,
                          "most inputs that are in the server at once; more are refused with 429",
                          .otherwise = "512"},
    [R_MAX_CLIENT_BATCH] = {0, "max-client-batch-size", "N", RP_CLI_SERVE, "most inputs of one request",
                            .otherwise = "32"},
    [R_PAYLOAD_LIMIT] = {0, "payload-limit", "N", RP_CLI_SERVE, "most bytes of a request's body",
                         .otherwise = "2000000"},
    [R_REQUEST_TIMEOUT] = {0, "request-timeout", "S", RP_CLI_SERVE,
                           "seconds for a request's headers, for its body, and for its answer",
                           .otherwise = "60"},
    [R_AUTO_TRUNCATE] = {0, "auto-truncate", "BOOL", RP_CLI_SERVE,
                         "true: a text longer than the model is cut; false: refused, unless asked",
                         .otherwise = "true"},
    [R_API_KEY] = {0, "api-key", "KEY", RP_CLI_SERVE, "clients must send Authorization: Bearer KEY",
                   .otherwise = "none"},
    [R_API_KEY_FILE] = {0, "api-key-file", "FILE", RP_CLI_SERVE, "the key is the first line of FILE"},
    [R_CORS] = {0, "cors-allow-origin", "ORIGIN", RP_CLI_SERVE,
                "pages of ORIGIN, or with * any page, may ask this server", .otherwise = "none"},
    [R_IDLE] = {0, "idle", "S", RP_CLI_SERVE,
                "unload a model that nobody asked for S seconds; the next request loads it",
                .otherwise = "never"},
    [R_DRAIN] = {0, "drain", "S", RP_CLI_SERVE, "seconds for what is in flight when the server is to end",
                 .otherwise = "30"},
    [R_JSON_OUTPUT] = {0, "json-output", NULL, RP_CLI_SERVE, "log lines are JSON objects"},
    [R_LONG] = {0, "long", "HOW", RP_CLI_CLASSIFY,
                "read long texts in windows, and take their mean, max or vote", .otherwise = "they are cut"},
    [R_EXPLAIN] = {0, "explain", NULL, RP_CLI_CLASSIFY, "say which words speak for the best label"},
    [R_PATIENCE] = {0, "patience", "P", RP_CLI_CLASSIFY | RP_CLI_SERVE,
                    "a text leaves when P layers in a row agree with the one before", .otherwise = "never"},
    [R_CLASSES] = {0, "labels", "LIST", RP_CLI_CLASSIFY, "choose among these labels instead, with commas"},
    [R_TEMPLATE] = {0, "template", "TEXT", RP_CLI_CLASSIFY,
                    "what --labels says of a text, with {} for the label",
                    .otherwise = "This example is {}."},
    [R_MULTI_LABEL] = {0, "multi-label", NULL, RP_CLI_CLASSIFY,
                       "each of --labels is true or not, whatever the others are"},
    [R_THRESHOLDS] = {0, "thresholds", "FILE", RP_CLI_MODERATE, "from which score on a label counts",
                      .otherwise = "thresholds.json of the folder, else 0.5"},
    [R_POLICY] = {0, "policy", "FILE", RP_CLI_MODERATE, "which action follows from which label",
                  .otherwise = "flag where a label counts"},
    [R_PLAIN_TEXT] = {0, "normalize", NULL, RP_CLI_MODERATE,
                      "undo look-alikes, hidden and spaced-out characters first"},
    [R_CALIBRATE] = {0, "calibrate", "OUT", RP_CLI_EVAL,
                     "write thresholds for moderate, which reach a --target, to the file OUT"},
    [R_TARGET_PRECISION] = {0, "target-precision", "P", RP_CLI_EVAL,
                            "of --calibrate: of what counts, this share is right"},
    [R_TARGET_RECALL] = {0, "target-recall", "R", RP_CLI_EVAL,
                         "of --calibrate: of what is right, this share counts"},
    [R_JSON] = {0, "json", NULL, RP_CLI_JSON, "one JSON value a line"},
    [R_JSONL] = {0, "jsonl", NULL, RP_CLI_JSONL, "input lines are JSON objects; implies --json"},
    [R_HELP] = {'h', "help", NULL, 0, "this text"},
    [R_VERSION] = {0, "version", NULL, 0, "the version"},
};

/* ---- what was probably meant ---- */

const char *rp_cli_rule_near(const char *word, uint64_t allowed) {
    char name[32];
    const char *best = NULL;
    size_t size = strcspn(word, "="), least = RP_CLI_FAR;
    if (size >= sizeof name) return NULL;
    memcpy(name, word, size);
    name[size] = '\0';
    for (int i = 0; i < R_COUNT; i++) {
        size_t changes = rp_cli_distance(name, rp_cli_rules[i].name);
        if ((rp_cli_rules[i].bit && !(rp_cli_rules[i].bit & allowed)) || changes >= least) continue;
        least = changes;
        best = rp_cli_rules[i].name;
    }
    return best;
}

void rp_cli_rule_refuse(const rp_cli_rule *rule, const char *name) {
    enum { MOST = 3 };
    const char *takers[MOST];
    char list[100] = "";
    size_t count = 0;
    for (const rp_cli_command *const *at = rp_cli_commands; *at; at++)
        if (rule->bit & (*at)->options && count++ < MOST) takers[count - 1] = (*at)->name;
    for (size_t i = 0, used = 0; count <= MOST && i < count; i++)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s",
                                 !i              ? ", but of "
                                 : i + 1 < count ? ", "
                                                 : " and ",
                                 takers[i]);
    rp_cli_complain("%s: --%s is not an option of this command%s; try 'reprise %s --help'", name, rule->name,
                    list, name);
}

/* ---- --help ---- */

/* Defaults that depend on the command. */
static const struct {
    int rule;
    const char *command, *otherwise;
} defaults[] = {
    {R_MODEL, "tag", "REPRISE_MODEL"},
    {R_MODEL, "answer", "REPRISE_MODEL"},
    {R_MODEL, "choose", "REPRISE_MODEL"},
    {R_MODEL, "bench", "random weights"},
    {R_TOP_K, "classify", "all"},
    {R_TOP_K, "fill-mask", "5"},
    {R_TOP_K, "answer", "1"},
    {R_TOP_K, "search", "10"},
    {R_TOP_K, "rank", "all"},
    {R_TOP_K, "score", "the best one's text alone"},
    {R_STRIDE, "tag", "64"},
    {R_STRIDE, "answer", "128"},
    {R_MAX_LENGTH, "answer", "384"},
    {R_MAX_LENGTH, "tokenize", "no limit"},
    {R_MAX_LENGTH, "eval", "what the model takes; of questions 384"},
    {R_STRIDE, "eval", "64; of questions 128"},
    {R_MAX_LENGTH, "finetune", "what the model takes; of questions 384"},
    {R_STRIDE, "finetune", "128"},
    {R_MAX_ANSWER, "eval", "30"},
    {R_ANSWER_THRESHOLD, "answer", "0"},
    {R_ANSWER_THRESHOLD, "chat", "0.9; of the bundled model 0.985; with --examples 0.55"},
    {R_CONFIG, "bench", "base"},
    {R_CONFIG, "check", "all of them"},
};

static const char *default_of(int which, const char *command) {
    for (size_t i = 0; i < sizeof defaults / sizeof *defaults; i++)
        if (defaults[i].rule == which && !strcmp(defaults[i].command, command)) return defaults[i].otherwise;
    return rp_cli_rules[which].otherwise;
}

/* Append `text` and a line end, in lines that fit beside the options on a terminal of 80 columns. */
static void put_wrapped(rp_cli_buffer *out, const char *text) {
    enum { BEFORE = 32, MOST = 80 - BEFORE };
    for (size_t size = strlen(text); size > MOST; size = strlen(text)) {
        size_t end = MOST;
        while (end && text[end] != ' ') end--;
        if (!end) break;
        rp_cli_printf(out, "%.*s\n%*s", (int)end, text, BEFORE, "");
        text += end + 1;
    }
    rp_cli_printf(out, "%s\n", text);
}

void rp_cli_options_help(rp_cli_buffer *out, const char *command, uint64_t allowed) {
    rp_cli_puts(out, "Options:\n");
    for (int i = 0; i < R_COUNT; i++) {
        const rp_cli_rule *r = &rp_cli_rules[i];
        if (r->bit && !(r->bit & allowed)) continue;
        char form[64] = "";
        if (r->letter) {
            form[0] = '-', form[1] = r->letter, form[2] = ',', form[3] = ' ', form[4] = '\0';
        } else {
            strcpy(form, "    ");
        }
        strcat(strcat(form, "--"), r->name);
        if (r->value) strcat(strcat(form, " "), r->value);
        char text[200];
        const char *otherwise = default_of(i, command);
        snprintf(text, sizeof text, otherwise ? "%s (default: %s)" : "%s", r->help, otherwise);
        rp_cli_printf(out, "  %-29s ", form);
        put_wrapped(out, text);
    }
}
