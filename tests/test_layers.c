/* The shape of the source tree: layers include only what is below them, Vulkan stays in runtime/gpu, the
 * command knows the public headers and the readers of JSON and of tables, no files call each other in a
 * circle, and no source file grows past 600 lines. */
#include <ctype.h>
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MAX_LINES = 600 };

typedef struct layer {
    const char *folder;
    const char *prefixes[8]; /* of the quoted includes it may have */
} layer;

/* base <- gpu <- ops <- model <- tasks <- eval <- cli, train beside tasks, and loop <- finetune and apps
 * beside eval, which they and train call through their public headers; the loader stands on base alone. The
 * command is built with the loader's reader of JSON, which stands on nothing. What measures sees the inside.
 */
static const layer layers[] = {
    {"include/reprise", {"reprise/"}},
    {"runtime/base", {"base/", "reprise/"}},
    {"loader", {"loader/", "base/", "reprise/"}},
    {"runtime/gpu", {"gpu/", "base/", "reprise/"}},
    {"runtime/ops", {"ops/", "gpu/", "base/", "reprise/"}},
    {"runtime/model", {"model/", "ops/", "gpu/", "loader/", "base/", "reprise/"}},
    {"runtime/train", {"train/", "model/", "ops/", "gpu/", "loader/", "base/", "reprise/"}},
    {"runtime/tasks", {"tasks/", "model/", "loader/", "base/", "reprise/"}},
    {"runtime/eval", {"eval/", "tasks/", "model/", "loader/", "base/", "reprise/"}},
    {"runtime/apps", {"apps/", "tasks/", "model/", "ops/", "gpu/", "loader/", "base/", "reprise/"}},
    {"runtime/queue", {"queue/", "model/", "base/", "reprise/"}},
    {"runtime/loop", {"loop/", "loader/", "base/", "reprise/"}},
    {"runtime/pretrain", {"pretrain/", "loop/", "loader/", "base/", "reprise/"}},
    {"runtime/finetune", {"finetune/", "loop/", "tasks/", "model/", "loader/", "base/", "reprise/"}},
    {"tools/cli",
     {"cli/", "reprise/", "loader/json_read.h", "loader/json_text.h", "loader/json_tree.h",
      "loader/table.h"}},
    {"tools/serve", {"tools/serve/", "tools/cli/", "reprise/", "loader/json_read.h", "loader/json_text.h"}},
    {"tools/bench", {"train/", "model/", "ops/", "gpu/", "base/", "reprise/", "tools/cli/"}},
    {"tools/examples", {"reprise/"}},
};
enum { LAYER_COUNT = sizeof layers / sizeof layers[0] };

static bool starts(const char *text, const char *prefix) {
    return !strncmp(text, prefix, strlen(prefix));
}

/* What is wrong with one line of a file of `l`; NULL when it is no #include, or a fine one. */
static const char *check_line(const layer *l, const char *line) {
    line += strspn(line, " \t");
    if (*line++ != '#') return NULL;
    line += strspn(line, " \t");
    if (!starts(line, "include")) return NULL;
    line += strlen("include");
    line += strspn(line, " \t");
    char name[256] = "";
    if (!*line || !strchr("<\"", *line) || sscanf(line + 1, "%255[^\">]", name) != 1)
        return "is not a plain #include";
    bool vulkan = starts(name, "vulkan/") || starts(name, "volk.") || starts(name, "vk_");
    if (vulkan && strcmp(l->folder, "runtime/gpu")) return "includes Vulkan, which only runtime/gpu may";
    if (*line == '<' && !starts(name, "reprise/")) return NULL;
    if (strstr(name, "..")) return "includes by a relative path";
    if (!strchr(name, '/')) return NULL; /* beside it */
    for (size_t i = 0; i < sizeof l->prefixes / sizeof *l->prefixes && l->prefixes[i]; i++)
        if (starts(name, l->prefixes[i])) return NULL;
    return "includes what its layer must not know";
}

static bool is_source(const char *name) {
    static const char *const ends[] = {".c", ".h", ".cc", ".comp", ".glsl", ".def", ".py"};
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < sizeof ends / sizeof *ends; i++)
        if (!strcmp(dot, ends[i])) return true;
    return false;
}

/* Check every source file of `folder`, below the root of the tree; prints each fault. `l` NULL: lengths only.
 * Returns the number of files, adds the number of faults to `*faults`. */
static int check_folder(const char *folder, const layer *l, int *faults) {
    char path[4096], line[4096];
    snprintf(path, sizeof path, "%s/%s", SOURCE_DIR, folder);
    DIR *dir = opendir(path);
    assert_non_null(dir);
    int files = 0;
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (!is_source(entry->d_name)) continue;
        snprintf(path, sizeof path, "%s/%s/%s", SOURCE_DIR, folder, entry->d_name);
        FILE *file = fopen(path, "r");
        assert_non_null(file);
        int lines = 0;
        while (fgets(line, sizeof line, file)) {
            lines++;
            const char *fault = l ? check_line(l, line) : NULL;
            if (fault) printf("%s:%d %s: %s", path, lines, fault, line);
            *faults += fault != NULL;
        }
        fclose(file);
        if (lines > MAX_LINES) printf("%s has %d lines, more than %d\n", path, lines, MAX_LINES);
        *faults += lines > MAX_LINES;
        files++;
    }
    closedir(dir);
    return files;
}

static void test_layers_include_only_what_is_below(void **state) {
    (void)state;
    int faults = 0;
    for (int i = 0; i < LAYER_COUNT; i++)
        assert_true(check_folder(layers[i].folder, &layers[i], &faults) > 0);
    assert_int_equal(faults, 0);
}

static void test_source_files_are_short(void **state) {
    (void)state;
    static const char *const folders[] = {"shaders", "tests", "tests/goldens", "tools"};
    int faults = 0;
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        assert_true(check_folder(folders[i], NULL, &faults) > 0);
    assert_int_equal(faults, 0);
}

/* ---- calls ---- */

enum { MOST_FILES = 384, MOST_FUNCTIONS = 4096 };

/* The C files of a tree: their text without comments and strings, and who calls whom. */
typedef struct sources {
    char *names[MOST_FILES], *texts[MOST_FILES];
    int count;
    struct {
        char name[64];
        int file;
    } functions[MOST_FUNCTIONS];
    int function_count;
    bool calls[MOST_FILES][MOST_FILES];
} sources;

/* Spaces in place of comments and of what is quoted. */
static void blank(char *text) {
    for (char *c = text; *c; c++) {
        char quote = *c;
        if (c[0] == '/' && (c[1] == '*' || c[1] == '/')) {
            const char *end = strstr(c + 2, c[1] == '*' ? "*/" : "\n");
            end = !end ? c + strlen(c) : *end == '*' ? end + 2 : end;
            while (c < end) *c++ = ' ';
            c--;
        } else if (quote == '"' || quote == '\'') {
            for (c++; *c && *c != quote; c++) {
                if (*c == '\\') *c++ = ' ';
                *c = ' ';
            }
        }
    }
}

static void add_source(sources *s, const char *name, char *text) {
    assert_true(s->count < MOST_FILES);
    blank(text);
    s->names[s->count] = strdup(name);
    s->texts[s->count++] = text;
}

static void read_sources(sources *s, const char *folder) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", SOURCE_DIR, folder);
    DIR *dir = opendir(path);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));) {
        size_t length = strlen(entry->d_name);
        if (starts(entry->d_name, "os_windows")) continue; /* os_posix.c has the same functions */
        if (length < 2 || strcmp(entry->d_name + length - 2, ".c")) continue;
        snprintf(path, sizeof path, "%s/%s/%s", SOURCE_DIR, folder, entry->d_name);
        FILE *file = fopen(path, "r");
        assert_non_null(file);
        fseek(file, 0, SEEK_END);
        long size = ftell(file);
        rewind(file);
        char *text = calloc(1, (size_t)size + 1);
        assert_non_null(text);
        assert_int_equal(fread(text, 1, (size_t)size, file), size);
        fclose(file);
        add_source(s, path + strlen(SOURCE_DIR) + 1, text);
    }
    closedir(dir);
}

/* The next name of the project that a bracket follows, from `at` on; NULL: there is none. */
static const char *next_name(const char *at, char name[64], bool *defined) {
    while ((at = strstr(at, "rp_"))) {
        const char *begin = at;
        size_t length = strspn(at, "abcdefghijklmnopqrstuvwxyz0123456789_");
        at += length;
        if (begin[-1] == '_' || isalnum((unsigned char)begin[-1]) || *at != '(' || length >= 64) continue;
        memcpy(name, begin, length);
        name[length] = 0;
        while (begin[-1] != '\n') begin--; /* a definition begins its line, and has a body */
        *defined =
            isalpha((unsigned char)*begin) && strncmp(begin, "static ", 7) && at[strcspn(at, ";{")] == '{';
        return at;
    }
    return NULL;
}

static void find_calls(sources *s) {
    char name[64];
    bool defined;
    for (int i = 0; i < s->count; i++)
        for (const char *at = s->texts[i]; (at = next_name(at, name, &defined));)
            if (defined) {
                assert_true(s->function_count < MOST_FUNCTIONS);
                strcpy(s->functions[s->function_count].name, name);
                s->functions[s->function_count++].file = i;
            }
    for (int i = 0; i < s->count; i++)
        for (const char *at = s->texts[i]; (at = next_name(at, name, &defined));)
            for (int f = 0; f < s->function_count; f++)
                if (!strcmp(s->functions[f].name, name) && s->functions[f].file != i)
                    s->calls[i][s->functions[f].file] = true;
}

/* Pairs of files each of which calls the other, by way of others too. */
static int count_circles(sources *s, bool print) {
    int circles = 0;
    find_calls(s);
    for (int k = 0; k < s->count; k++)
        for (int i = 0; i < s->count; i++)
            for (int j = 0; j < s->count; j++) s->calls[i][j] |= s->calls[i][k] && s->calls[k][j];
    for (int i = 0; i < s->count; i++)
        for (int j = 0; j < i; j++) {
            if (!s->calls[i][j] || !s->calls[j][i]) continue;
            if (print) printf("%s and %s call each other\n", s->names[i], s->names[j]);
            circles++;
        }
    return circles;
}

static void free_sources(sources *s) {
    for (int i = 0; i < s->count; i++) {
        free(s->names[i]);
        free(s->texts[i]);
    }
    memset(s, 0, sizeof *s);
}

/* The library, the command, and what measures: each is looked at by itself, as the command and reprise-bench
 * have functions of the same names. */
static void test_no_two_files_call_each_other(void **state) {
    static sources s;
    static const struct {
        const char *folders[2];
        int files, functions; /* that there are at least */
    } programs[] = {{{"runtime/", "loader"}, 100, 500},
                    {{"tools/cli"}, 15, 50},
                    {{"tools/serve"}, 10, 50},
                    {{"tools/bench"}, 6, 10}};
    (void)state;
    for (size_t p = 0; p < sizeof programs / sizeof *programs; p++) {
        for (int i = 0; i < LAYER_COUNT; i++)
            for (int k = 0; k < 2 && programs[p].folders[k]; k++)
                if (starts(layers[i].folder, programs[p].folders[k])) read_sources(&s, layers[i].folder);
        assert_true(s.count > programs[p].files);
        assert_int_equal(count_circles(&s, true), 0);
        assert_true(s.function_count > programs[p].functions);
        free_sources(&s);
    }
}

static void test_the_search_sees_circles(void **state) {
    static sources s;
    static const char *const texts[] = {
        "\nvoid rp_a(void) {\n    rp_b();\n}\n", "\nvoid rp_b(int x,\n          int y) {\n    rp_c();\n}\n",
        "\nstatic void f(void) {\n    rp_a(\"(\");\n}\nvoid rp_c(void) {\n    f();\n}\n",
        "\nvoid rp_c(void);\n/* rp_a() */\nint rp_d(void) {\n    return rp_a(); // rp_d()\n}\n"};
    (void)state;
    for (int all = 4; all >= 2; all -= 2) {
        for (int i = 0; i < all; i++) add_source(&s, "text", strdup(texts[i]));
        assert_int_equal(count_circles(&s, false), all == 4 ? 3 : 0);
        free_sources(&s);
    }
}

static const layer *find(const char *folder) {
    for (int i = 0; i < LAYER_COUNT; i++)
        if (!strcmp(layers[i].folder, folder)) return &layers[i];
    return NULL;
}

static void test_the_check_sees_faults(void **state) {
    (void)state;
    assert_non_null(check_line(find("runtime/gpu"), "#include \"ops/op.h\"\n"));
    assert_non_null(check_line(find("runtime/gpu"), "  # include \"loader/config.h\"\n"));
    assert_non_null(check_line(find("runtime/ops"), "#include <volk.h>\n"));
    assert_non_null(check_line(find("loader"), "#include <vulkan/vulkan.h>\n"));
    assert_non_null(check_line(find("loader"), "#include \"gpu/vk.h\"\n"));
    assert_non_null(check_line(find("runtime/model"), "#include \"tasks/tasks.h\"\n"));
    assert_non_null(check_line(find("runtime/base"), "#include \"../gpu/vk.h\"\n"));
    assert_non_null(check_line(find("tools/cli"), "#include \"base/error.h\"\n"));
    assert_non_null(check_line(find("tools/cli"), "#include HEADER\n"));
    assert_null(check_line(find("runtime/gpu"), "#include <volk.h>\n"));
    assert_null(check_line(find("runtime/ops"), "#include \"gpu/record.h\"\n"));
    assert_non_null(check_line(find("tools/bench"), "#include \"tasks/task.h\"\n"));
    assert_null(check_line(find("tools/cli"), "#include <math.h>\n"));
    assert_null(check_line(find("tools/cli"), "/* no #include \"base/error.h\" */\n"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layers_include_only_what_is_below),
        cmocka_unit_test(test_source_files_are_short),
        cmocka_unit_test(test_the_check_sees_faults),
        cmocka_unit_test(test_no_two_files_call_each_other),
        cmocka_unit_test(test_the_search_sees_circles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
