/* The commands: what they take, what they ask the library, and their help. */
#include "session.h"

#include <stdlib.h>

/* ---- items to the library's inputs, and the calls ---- */

rp_input *rp_cli_inputs_of(const rp_cli_item *const *items, size_t count) {
    rp_input *inputs = rp_cli_calloc(count, sizeof *inputs);
    for (size_t i = 0; i < count; i++) inputs[i] = (rp_input){items[i]->text, items[i]->pair};
    return inputs;
}

rp_text *rp_cli_texts_of(const rp_cli_item *const *items, size_t count) {
    rp_text *texts = rp_cli_calloc(count, sizeof *texts);
    for (size_t i = 0; i < count; i++) texts[i] = items[i]->text;
    return texts;
}

static rp_status run_fill_mask(const rp_cli_session *session, const rp_cli_item *const *items, size_t count,
                               rp_result **out, rp_error *err) {
    const rp_fill_params params = {.top_k = session->options->top_k};
    rp_text *texts = rp_cli_texts_of(items, count);
    rp_status status = rp_fill_mask(session->model, texts, count, &params, out, err);
    free(texts);
    return status;
}

static rp_status run_tag(const rp_cli_session *session, const rp_cli_item *const *items, size_t count,
                         rp_result **out, rp_error *err) {
    const rp_cli_options *o = session->options;
    const rp_tag_params params = {.aggregation = o->aggregation, .stride = o->stride};
    rp_text *texts = rp_cli_texts_of(items, count);
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
    rp_text *texts = rp_cli_texts_of(items, count);
    rp_status status = rp_embed(session->model, texts, count, &params, out, err);
    free(texts);
    return status;
}

static rp_status run_coherence(const rp_cli_session *session, const rp_cli_item *const *items, size_t count,
                               rp_result **out, rp_error *err) {
    rp_input *inputs = rp_cli_inputs_of(items, count);
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
    "windows, so nothing is lost. Needs a folder with a token classifier (-m DIR);\n"
    "the bundled one, entities, finds few of the names that there are.\n"
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
    "With --documents PATH each input is a question, and the answer is looked for in\n"
    "all files of the folder PATH and its folders, in a file, or in the lines\n"
    "{\"text\", \"id\"} of a FILE.jsonl. All is UTF-8; a blank line ends a paragraph or,\n"
    "where there is none, every line. The passages that fit best (BM25) are read\n"
    "together. --index FILE keeps what was counted; it is made anew when a file has\n"
    "another name, size or time. Alone it takes the documents that are in it.\n"
    "\n"
    "JSON: {\"score\", \"start\", \"end\", \"answer\"}, or a list of them with --top-k above\n"
    "1. start and end count code points of the context. Keys of --jsonl: question,\n"
    "context. With --documents also \"document\", a file or an id, of which start and\n"
    "end are places; where nothing is found, \"answer\" and \"document\" are empty.\n"
    "\n"
    "Examples:\n"
    "  reprise answer -m squad \"Who wrote it?\" \"Ada Lovelace wrote it in 1843.\"\n"
    "  printf 'Who wrote it?\\tAda did.\\n' | reprise answer -m squad --json -k 3\n"
    "  reprise answer -m squad2 --allow-no-answer --jsonl -f questions.jsonl\n"
    "  reprise answer -m squad --csv -f questions.csv > answered.csv\n"
    "  reprise answer -m squad --documents manuals \"How long is the warranty?\"\n"
    "  reprise answer -m squad --documents d.jsonl --index d.index --json -f q.txt\n";

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
    "--serve, a queue that texts come to at random moments (Poisson), at 70 % of what\n"
    "dynamic batching gets through, of log-normal lengths from 4 to 512: from arrival\n"
    "to answer by each policy, the same --repeat traces of --batch texts (200);\n"
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

/* ---- the table ---- */

static const rp_cli_command fill_mask = {
    .name = "fill-mask",
    .arguments = "[TEXT...]",
    .summary = "the likeliest words for [MASK]",
    .help = help_fill_mask,
    .options = RP_CLI_COMMON | RP_CLI_TOP_K,
    .shape = RP_CLI_SHAPE_TEXT,
    .bundled = "pretrained",
    .run = run_fill_mask,
    .people = rp_cli_people_fills,
};
static const rp_cli_command tag = {
    .name = "tag",
    .arguments = "[TEXT...]",
    .summary = "named entities",
    .help = help_tag,
    .options = RP_CLI_COMMON | RP_CLI_AGGREGATION | RP_CLI_STRIDE,
    .shape = RP_CLI_SHAPE_TEXT,
    .run = run_tag,
    .people = rp_cli_people_entities,
};
static const rp_cli_command answer = {
    .name = "answer",
    .arguments = "[QUESTION CONTEXT]...",
    .summary = "the part of a context that answers a question",
    .help = help_answer,
    .options = RP_CLI_COMMON | RP_CLI_TOP_K | RP_CLI_MAX_LENGTH | RP_CLI_STRIDE | RP_CLI_MAX_QUESTION |
               RP_CLI_MAX_ANSWER | RP_CLI_NO_ANSWER | RP_CLI_DOCUMENTS,
    .shape = RP_CLI_SHAPE_QUESTION,
    .run = run_answer,
    .people = rp_cli_people_answers,
    .choose = rp_cli_choose_answer,
};
static const rp_cli_command embed = {
    .name = "embed",
    .arguments = "[TEXT...]",
    .summary = "vectors of sentences or tokens",
    .help = help_embed,
    .options = RP_CLI_COMMON | RP_CLI_POOLING | RP_CLI_NORMALIZE | RP_CLI_VECTORS,
    .shape = RP_CLI_SHAPE_TEXT,
    .bundled = "sentiment",
    .run = run_embed,
    .people = rp_cli_people_vectors,
};
static const rp_cli_command coherence = {
    .name = "coherence",
    .arguments = "[TEXT TEXT]...",
    .summary = "are two texts in order?",
    .help = help_coherence,
    .options = RP_CLI_COMMON,
    .shape = RP_CLI_SHAPE_PAIR,
    .bundled = "pretrained",
    .run = run_coherence,
    .people = rp_cli_people_order,
};
static const rp_cli_command choose = {
    .name = "choose",
    .arguments = "[TEXT CHOICE...]",
    .summary = "how probable each of some continuations is",
    .help = help_choose,
    .options = RP_CLI_COMMON,
    .shape = RP_CLI_SHAPE_CHOICES,
    .run = run_choose,
    .people = rp_cli_people_choices,
};
static const rp_cli_command tokenize = {
    .name = "tokenize",
    .arguments = "[TEXT...]",
    .summary = "the tokens of texts; needs no device",
    .help = help_tokenize,
    .options = RP_CLI_LINES | RP_CLI_PAIR | RP_CLI_MAX_LENGTH | RP_CLI_NO_SPECIAL,
    .shape = RP_CLI_SHAPE_MAYBE_PAIR,
    .bundled = "sentiment",
    .people = rp_cli_people_tokens,
};

static const rp_cli_command bench = {
    .name = "bench",
    .arguments = "",
    .summary = "time, GFLOP/s and memory of a run",
    .help = help_bench,
    .options = RP_CLI_MODEL | RP_CLI_DEVICE | RP_CLI_PRECISION | RP_CLI_JSON | RP_CLI_BENCH | RP_CLI_HEAD,
    .shape = RP_CLI_SHAPE_NONE,
    .main = rp_cli_bench,
};

const rp_cli_command *const rp_cli_commands[] = {
    &rp_cli_command_classify,
    &rp_cli_command_moderate,
    &fill_mask,
    &tag,
    &answer,
    &rp_cli_command_chat,
    &embed,
    &coherence,
    &choose,
    &rp_cli_command_index,
    &rp_cli_command_search,
    &rp_cli_command_rank,
    &rp_cli_command_score,
    &rp_cli_command_summarize,
    &tokenize,
    &rp_cli_command_serve,
    &rp_cli_command_eval,
    &rp_cli_command_finetune,
    &rp_cli_command_pretrain,
    &rp_cli_command_convert,
    &rp_cli_command_pull,
    &rp_cli_command_devices,
    &rp_cli_command_check,
    &bench,
    NULL,
};
