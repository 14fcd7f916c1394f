/* What the parts of the server share: the server, its models, a request, and the table of routes.
 *
 * A request is read and parsed on a thread of libmicrohttpd. If it needs a model, its connection is suspended
 * and it goes into the queue of that model (reprise/queue.h); a thread of the queue makes the call and writes
 * the answer, and resumes the connection. */
#ifndef REPRISE_SERVE_H
#define REPRISE_SERVE_H

#include <pthread.h>
#include <reprise/reprise.h>
#include <stdatomic.h>

#include "loader/json_read.h"
#include "tools/cli/options.h"

struct MHD_Connection;
struct MHD_Daemon;

/* What a model can do for a request. */
typedef enum rp_serve_task {
    RP_SERVE_NOTHING = 0, /* the route asks no model */
    RP_SERVE_EMBED,
    RP_SERVE_CLASSIFY,
    RP_SERVE_ZERO_SHOT,
    RP_SERVE_RANK,
    RP_SERVE_TAG,
    RP_SERVE_ANSWER,
    RP_SERVE_FILL,
    RP_SERVE_COHERENCE,
    RP_SERVE_CHOOSE,
    RP_SERVE_MODERATE,
    RP_SERVE_SCORE,
    RP_SERVE_SEARCH,
    RP_SERVE_SUMMARIZE,
    RP_SERVE_TOKENIZE,
    RP_SERVE_TASKS
} rp_serve_task;

/* Names of tasks as Hugging Face has them, and for what it has none, ours. "": nothing. */
extern const char *const rp_serve_task_names[RP_SERVE_TASKS];

/* Why a request is not answered: a status of HTTP, what TEI calls it, and a sentence. */
typedef struct rp_trouble {
    int status; /* 0: there is none */
    const char *type;
    char message[600];
} rp_trouble;

/* Set `problem`, and return false. */
bool rp_trouble_say(rp_trouble *problem, int status, const char *type, const char *format, ...)
    __attribute__((format(REPRISE_PRINTF, 4, 5)));

/* The problem that a failure of the library is. */
bool rp_trouble_of(rp_trouble *problem, rp_status status, const char *message);

/* Who sent a body, as far as its answer depends on that. */
typedef enum rp_dialect {
    RP_DIALECT_TEI = 0, /* errors are {"error", "error_type"} */
    RP_DIALECT_OPENAI,  /* {"message", "code", "type"} */
    RP_DIALECT_HF,      /* {"inputs", "parameters"} */
} rp_dialect;

/* What a body asks for. Texts lie in `body`, or in `owned`. */
typedef struct rp_ask {
    rp_json_document body;
    rp_input *inputs; /* [count]; pair.data NULL: one text */
    size_t count;
    const rp_json **ids; /* [count] or NULL: token ids in place of the text */
    char **owned;        /* [count] or NULL: what those say */
    rp_text *texts;      /* [text_count] documents to rank, choices */
    size_t text_count;
    const char **labels; /* [label_count] of zero-shot; those that tag leaves out */
    size_t label_count;
    size_t weight;       /* inputs that it counts for */
    bool list;           /* the inputs came in a list, and so go the answers */
    bool given_truncate; /* else the server's --auto-truncate */
    bool truncate, normalize, raw, return_text, base64, multi_label, no_special, keep_special, flag;
    bool nested; /* the client expects labels in a list of lists */
    const char *prompt_name, *model, *word, *index;
    uint32_t patience;
    uint32_t dimensions, top_k, given_top_k, stride, max_length, max_question, max_answer, number;
    double threshold;
    bool has_threshold;
} rp_ask;

typedef struct rp_serve_request rp_serve_request;
typedef struct rp_server rp_server;

/* One route, whose path is a constant. */
typedef struct rp_route {
    const char *path;
    bool post, open; /* POST, else GET; open: no key is asked for */
    rp_dialect dialect;
    rp_serve_task task;
    /* Fill `ask` from its body. NULL: there is no body. */
    bool (*read)(rp_ask *ask, rp_trouble *problem);
    /* The names that a body may have, one blank apart; NULL: any, since clients of a peer send what that one
     * passes over. */
    const char *takes;
    /* With a task: make the call, on a thread of the queue. */
    rp_status (*run)(rp_serve_request *r, rp_model *model, rp_result **out, rp_error *err);
    /* Write the answer: `result` of `run` (which may be NULL), or NULL without a task. */
    bool (*write)(rp_serve_request *r, const rp_result *result, rp_cli_buffer *out, rp_trouble *problem);
    const char *type; /* of what is written; NULL: JSON */
    const char *does; /* for openapi.json */
    /* Once the body is read: find out which task it is for (r->route), and read it for that. NULL: the path
     * says. */
    bool (*prepare)(rp_serve_request *r, rp_trouble *problem);
    /* Answers it all by itself, and returns the status (0: out of memory). NULL: `write` does. */
    int (*page)(struct MHD_Connection *handle);
} rp_route;

/* A model that is served. */
typedef struct rp_served {
    char *name, *dir;
    rp_tokenizer *tokenizer; /* stays open while the model is unloaded; NULL: the folder has none */
    pthread_mutex_t lock;    /* of what follows */
    rp_model *model;         /* NULL while it is unloaded */
    rp_queue *queue;
    rp_moderation *moderation;   /* NULL: it does not moderate */
    bool exits;                  /* it has internal classifiers, by which texts may leave early */
    bool loading, sick, probing; /* a thread opens it; the device failed it; whether it still does is being
                                    found out */
    rp_serve_request *held;      /* that wait for it to be loaded */
    uint32_t users;              /* requests that are with its queue */
    double used;                 /* rp_clock of the last one */
    bool serves[RP_SERVE_TASKS]; /* that it does: found out when it was opened first */
    char *why[RP_SERVE_TASKS];   /* it does not */
    rp_serve_task native;        /* what its architecture is for */
    /* What rp_model_info said of it. */
    char *architecture, **labels;
    uint32_t label_count, layers, hidden_size, max_tokens, max_batch_tokens;
    unsigned heads;
    rp_queue_counts before; /* of queues that were closed */
    uint64_t loads;
} rp_served;

/* An index that is searched. */
typedef struct rp_serve_index {
    char *name;
    rp_index *index;
    rp_served *model; /* that made its vectors */
} rp_serve_index;

/* One connection, as long as it is open. All of it is under rp_server.lock. */
typedef struct rp_serve_connection {
    struct rp_serve_connection *next, **link;
    int fd;
    enum { RP_HEADERS, RP_IDLE, RP_BODY, RP_WAITING, RP_ANSWERING } phase;
    double since;              /* that phase, rp_clock */
    uint64_t received;         /* RP_IDLE: bytes that had come when it began; UINT64_MAX: not known yet */
    rp_serve_request *request; /* RP_BODY and later */
    double gone;               /* RP_WAITING: since when the peer sends no more; 0: it may */
    bool probed;               /* the peer was asked whether it still reads */
    _Atomic bool dead;         /* the server has shut it down */
} rp_serve_connection;

struct rp_serve_request {
    rp_server *server;
    struct MHD_Connection *handle;
    rp_serve_connection *connection;
    const rp_route *route;  /* NULL: there is none */
    rp_served *model;       /* that the path names, or that was chosen */
    rp_serve_index *index;  /* of /search */
    rp_serve_request *next; /* rp_served.held */
    char method[8];
    rp_cli_buffer body;
    size_t came;        /* bytes of the body, those included that were thrown away */
    size_t held;        /* of these, those that count in rp_server.bodies */
    rp_trouble problem; /* known before the body was read */
    bool head, old;     /* HEAD; HTTP/1.0 */
    bool early;         /* where it is refused, the client hears so before it sends the body */
    bool asked;         /* the body is whole */
    bool hub,
        old_hub; /* a client of huggingface_hub; before 1.2, which takes labels and scores as two lists */
    rp_ask ask;
    rp_call call;
    size_t permits, unread; /* of the server's, what this one has */
    float *raw;             /* logits, where raw scores were asked for */
    /* The answer. */
    int status;
    rp_cli_buffer answer;
    const char *type, *error_type, *allow;
    double begun, queued, started, ended; /* rp_clock; 0: not come to */
    double tokenized;                     /* seconds */
    uint64_t tokens, characters;
    uint32_t layers;
};

/* Counters and histograms (metrics.c). */
typedef struct rp_serve_metrics rp_serve_metrics;

/* What the watcher asks the system about. */
typedef struct rp_serve_polled {
    struct pollfd *fds;
    rp_serve_connection **connections;
    size_t capacity;
} rp_serve_polled;

struct rp_server {
    const rp_cli_serving *options;
    rp_precision precision;
    const char *device_name, *policy;
    uint32_t patience; /* where a request does not say; 0: never */
    bool on_gpu;
    char *key;
    rp_device *device;
    rp_served *models;
    size_t model_count;
    rp_serve_index *indexes;
    size_t index_count;
    void (*done)(void *request, rp_status status, rp_result *result, const rp_error *err); /* rp_serve_done */
    struct MHD_Daemon *daemon;
    int listening;
    long long started; /* seconds since 1970 */
    char address[128]; /* http://HOST:PORT */
    rp_serve_metrics *metrics;
    _Atomic bool draining;
    _Atomic bool closing; /* the time for that is over: nothing is handed in any more */
    _Atomic size_t
        suspended;          /* connections that wait for a queue: the daemon must not end before they go on */
    _Atomic size_t loaders; /* threads that open a model */
    _Atomic size_t permits; /* inputs that are inside */
    _Atomic size_t unread;  /* bytes of answers that clients have still to read */
    _Atomic size_t bodies;  /* bytes of bodies that are held */
    _Atomic size_t active;  /* requests between their headers and the end of their answer */
    pthread_mutex_t lock;   /* of the connections */
    rp_serve_connection *connections;
    _Atomic size_t waiting; /* connections in RP_WAITING */
    int wake[2];            /* a pipe, for a byte to the watcher when the first of them comes */
    rp_serve_polled polled; /* belongs to the watcher */
    double tended;          /* when the models were */
};

/* ---- ask.c, read.c: bodies ---- */

/* Parse `body` for `route`. False, with what is wrong in `problem`: nothing is asked then. */
bool rp_ask_read(rp_ask *ask, const rp_route *route, const char *body, size_t size, rp_trouble *problem);
void rp_ask_free(rp_ask *ask);

/* ---- routes.c ---- */

extern const rp_route rp_routes[]; /* ends with a path of NULL */

/* The route of a path and a method: with `*model` where the path names one (NULL: it does not). `*allow` is
 * the method that the path has where it is another. */
const rp_route *rp_route_find(rp_server *s, const char *path, const char *method, rp_served **model,
                              const char **allow);

/* ---- models.c ---- */

/* Open every model. False after a message on standard error. */
bool rp_serve_open_models(rp_server *s, const rp_cli_options *options);
void rp_serve_close_models(rp_server *s);
rp_served *rp_serve_named(rp_server *s, const char *name);

/* The model for a task: `named`, or the first that can. NULL with a problem. */
rp_served *rp_serve_choose(rp_server *s, rp_serve_task task, rp_served *named, rp_trouble *problem);

/* The index that a body names, or the first, and the model that made it. */
bool rp_serve_choose_index(rp_serve_request *r, rp_trouble *problem);

/* Hand a request to the queue of its model, which is loaded first where it was unloaded. The request is then
 * ended by rp_server.done, on another thread; false: it was not taken. */
bool rp_serve_hand_in(rp_serve_request *r, rp_trouble *problem);

/* loading.c: unload what nobody asked for, and look whether what is sick has become well. */
void rp_serve_tend_models(rp_server *s);

/* ---- http.c ---- */

bool rp_serve_listen(rp_server *s);
void rp_serve_close(rp_server *s);

/* answer.c: the call of a request has ended: its answer is written, and its connection goes on. */
void rp_serve_done(void *request, rp_status status, rp_result *result, const rp_error *err);

/* ---- watch.c ---- */

bool rp_serve_watch_open(rp_server *s);
void rp_serve_watch_close(rp_server *s);

/* Sleep for so many seconds, or until `fd` can be read (-1: none) or requests wait; then look at all
 * connections, and once a second at the models. */
void rp_serve_watch(rp_server *s, int fd, double seconds);
void rp_serve_phase(rp_server *s, rp_serve_connection *c, int phase, rp_serve_request *request);
/* Cancel the calls of all requests that wait. */
void rp_serve_cancel_all(rp_server *s);

/* ---- log.c ---- */

void rp_serve_log(const rp_serve_request *r);

/* The first line: where the server listens. */
void rp_serve_log_start(const rp_server *s);

/* ---- metrics.c ---- */

rp_serve_metrics *rp_metrics_new(void);
void rp_metrics_count(rp_serve_metrics *m, const rp_serve_request *r);
void rp_metrics_write(rp_server *s, rp_cli_buffer *out);

#endif
