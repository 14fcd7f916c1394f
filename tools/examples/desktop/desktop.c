/* reprise-desktop [CLASSIFIER [TAGGER]]: a window that classifies what one types and marks the names in it.
 *
 *     cc desktop.c $(pkg-config --cflags --libs gtk4 reprise) -o reprise-desktop
 *
 * A thread owns the models and does all work, the main loop draws. Each key cancels the work for the text
 * before it, so that the answer of the newest text is never behind that of an older one. */
#include <gtk/gtk.h>
#include <reprise/reprise.h>

enum { LABELS_SHOWN = 5 };

/* One text on its way to an answer. The main loop makes it, the thread fills it in, the main loop frees it.
 */
typedef struct job {
    char *text;
    rp_call call;
    rp_result *labels, *entities; /* NULL: not asked for, or it failed */
    char *trouble;                /* why there is no answer; NULL: there is one */
    bool cancelled;
} job;

typedef struct window {
    const char *classifier, *tagger; /* folders or names; tagger NULL: none */
    GtkTextBuffer *buffer;
    GtkLabel *status, *names[LABELS_SHOWN];
    GtkLevelBar *bars[LABELS_SHOWN];
    GAsyncQueue *jobs; /* from the main loop to the thread */
    job *newest;       /* the one that is in work or waits; NULL: none */
    guint waiting;     /* jobs that have not come back */
    GThread *thread;
    GMainLoop *loop;
    bool closing;
} window;

static char nothing; /* the last job: the thread ends */
static window app;

/* ---- the main loop ---- */

static void show_labels(const job *j) {
    size_t count = 0;
    const rp_label *labels = j->labels ? rp_result_labels(j->labels, 0, &count) : NULL;
    for (size_t i = 0; i < LABELS_SHOWN; i++) {
        bool there = labels && i < count;
        gtk_widget_set_visible(GTK_WIDGET(app.names[i]), there);
        gtk_widget_set_visible(GTK_WIDGET(app.bars[i]), there);
        if (!there) continue;
        char *name = g_strdup_printf("%s  %.4f", labels[i].label, labels[i].score);
        gtk_label_set_text(app.names[i], name);
        gtk_level_bar_set_value(app.bars[i], CLAMP(labels[i].score, 0, 1));
        g_free(name);
    }
}

static void show_entities(const job *j) {
    GtkTextIter start, end;
    gtk_text_buffer_get_bounds(app.buffer, &start, &end);
    gtk_text_buffer_remove_tag_by_name(app.buffer, "name", &start, &end);
    size_t count = 0;
    const rp_entity *entities = j->entities ? rp_result_entities(j->entities, 0, &count) : NULL;
    for (size_t i = 0; i < count; i++) {
        const rp_span span = entities[i].span; /* in bytes; the buffer counts characters */
        gtk_text_buffer_get_iter_at_offset(app.buffer, &start, (int)g_utf8_strlen(j->text, span.start));
        gtk_text_buffer_get_iter_at_offset(app.buffer, &end, (int)g_utf8_strlen(j->text, span.end));
        gtk_text_buffer_apply_tag_by_name(app.buffer, "name", &start, &end);
    }
}

/* A job is back: show it if no newer one is on its way, and free it. */
static gboolean finish_job(void *data) {
    job *j = data;
    app.waiting--;
    if (j == app.newest && !app.closing) {
        app.newest = NULL;
        if (!j->cancelled) {
            gtk_label_set_text(app.status, j->trouble ? j->trouble : "");
            show_labels(j);
            show_entities(j);
        }
    }
    rp_result_free(&j->labels);
    rp_result_free(&j->entities);
    g_free(j->trouble);
    g_free(j->text);
    g_free(j);
    if (app.closing && !app.waiting) g_main_loop_quit(app.loop);
    return G_SOURCE_REMOVE;
}

static void text_changed(void) {
    GtkTextIter start, end;
    gtk_text_buffer_get_bounds(app.buffer, &start, &end);
    if (app.newest) rp_call_cancel(&app.newest->call);
    app.newest = g_new0(job, 1);
    app.newest->text = gtk_text_buffer_get_text(app.buffer, &start, &end, FALSE);
    app.waiting++;
    g_async_queue_push(app.jobs, app.newest);
}

static void close_window(void) {
    app.closing = true;
    if (app.newest) rp_call_cancel(&app.newest->call);
    g_async_queue_push(app.jobs, &nothing);
    if (!app.waiting) g_main_loop_quit(app.loop);
}

/* ---- the thread ---- */

static void answer(rp_model *classifier, rp_model *tagger, job *j) {
    const rp_input input = {.text = {j->text, strlen(j->text)}};
    const rp_classify_params classify = {.top_k = LABELS_SHOWN, .call = &j->call};
    const rp_tag_params tag = {.call = &j->call};
    rp_error err = {0};
    rp_status status = rp_classify(classifier, &input, 1, &classify, &j->labels, &err);
    if (!status && tagger) status = rp_tag(tagger, &input.text, 1, &tag, &j->entities, &err);
    j->cancelled = status == RP_ERROR_CANCELLED;
    const char *why = err.message; /* of the call, or else of its one text */
    if (!status) status = rp_result_status(j->labels, 0, &why);
    if (!status && j->entities) status = rp_result_status(j->entities, 0, &why);
    if (status) j->trouble = g_strdup(why);
}

static void *work(void *unused) {
    (void)unused;
    rp_device *device = NULL;
    rp_model *classifier = NULL, *tagger = NULL;
    rp_error err = {0};
    rp_status status = rp_device_open(NULL, &device, &err);
    if (!status) status = rp_model_open(device, app.classifier, NULL, &classifier, &err);
    if (!status && app.tagger) status = rp_model_open(device, app.tagger, NULL, &tagger, &err);
    for (job *j; (j = g_async_queue_pop(app.jobs)) != (job *)&nothing;) {
        if (status)
            j->trouble = g_strdup(err.message);
        else
            answer(classifier, tagger, j);
        g_idle_add(finish_job, j);
    }
    rp_model_close(&tagger);
    rp_model_close(&classifier);
    rp_device_close(&device);
    return NULL;
}

/* ---- the window ---- */

static GtkLabel *add_label(GtkBox *box, const char *text) {
    GtkWidget *label = gtk_label_new(text);
    gtk_label_set_xalign(GTK_LABEL(label), 0);
    gtk_label_set_wrap(GTK_LABEL(label), TRUE);
    gtk_box_append(box, label);
    return GTK_LABEL(label);
}

static void build(void) {
    GtkWidget *root = gtk_window_new(), *box = gtk_box_new(GTK_ORIENTATION_VERTICAL, 6),
              *text = gtk_text_view_new();
    gtk_window_set_title(GTK_WINDOW(root), "Reprise");
    gtk_window_set_default_size(GTK_WINDOW(root), 480, 300);
    gtk_window_set_child(GTK_WINDOW(root), box);
    gtk_widget_set_margin_start(box, 12);
    gtk_widget_set_margin_end(box, 12);
    gtk_widget_set_margin_top(box, 12);
    gtk_widget_set_margin_bottom(box, 12);
    gtk_widget_set_vexpand(text, TRUE);
    gtk_text_view_set_wrap_mode(GTK_TEXT_VIEW(text), GTK_WRAP_WORD_CHAR);
    gtk_box_append(GTK_BOX(box), text);
    app.buffer = gtk_text_view_get_buffer(GTK_TEXT_VIEW(text));
    gtk_text_buffer_create_tag(app.buffer, "name", "background", "#ffd866", NULL);
    for (size_t i = 0; i < LABELS_SHOWN; i++) {
        app.names[i] = add_label(GTK_BOX(box), "");
        app.bars[i] = GTK_LEVEL_BAR(gtk_level_bar_new());
        gtk_box_append(GTK_BOX(box), GTK_WIDGET(app.bars[i]));
    }
    app.status = add_label(GTK_BOX(box), "Type a text.");
    show_labels(&(job){0});
    GtkEventController *keys = gtk_shortcut_controller_new();
    gtk_shortcut_controller_add_shortcut(GTK_SHORTCUT_CONTROLLER(keys),
                                         gtk_shortcut_new(gtk_shortcut_trigger_parse_string("<Control>q"),
                                                          gtk_named_action_new("window.close")));
    gtk_widget_add_controller(root, keys);
    g_signal_connect(app.buffer, "changed", G_CALLBACK(text_changed), NULL);
    g_signal_connect(root, "destroy", G_CALLBACK(close_window), NULL);
    gtk_window_present(GTK_WINDOW(root));
}

int main(int argc, char **argv) {
    app.classifier = argc > 1 ? argv[1] : "sentiment";
    app.tagger = argc > 2 ? argv[2] : NULL;
    if (!gtk_init_check()) {
        g_printerr("reprise-desktop: there is no display\n");
        return 1;
    }
    app.jobs = g_async_queue_new();
    app.loop = g_main_loop_new(NULL, FALSE);
    app.thread = g_thread_new("models", work, NULL);
    build();
    g_main_loop_run(app.loop);
    g_thread_join(app.thread);
    g_main_loop_unref(app.loop);
    g_async_queue_unref(app.jobs);
    return 0;
}
