/* reprise serve: what it takes, and its help. The server is in tools/serve. */
#include "session.h"

const rp_cli_command rp_cli_command_serve = {
    .name = "serve",
    .arguments = "",
    .summary = "answer requests over HTTP",
    .help = "Serve models over HTTP, with the routes of text-embeddings-inference, OpenAI's\n"
            "embeddings and Hugging Face's tasks:\n"
            "  /v1/embeddings /v1/rerank /v1/models\n"
            "  /embed /embed_all /similarity /predict /rerank /tokenize /decode\n"
            "  / and /models/NAME: {\"inputs\", \"parameters\"} as Hugging Face's tasks have them\n"
            "  /coherence /choose /moderate /score /search /summarize\n"
            "  /info /health /ready /metrics /openapi.json\n"
            "The first -m that can serve a route does; /NAME/embed and so on ask the model\n"
            "NAME. Requests share the layers of a model: one joins while others are on\n"
            "their way. TLS and HTTP/2 are a proxy's work.\n"
            "\n"
            "Options are also read from the environment: MAX_BATCH_TOKENS,\n"
            "MAX_CONCURRENT_REQUESTS, MAX_CLIENT_BATCH_SIZE, PAYLOAD_LIMIT, REQUEST_TIMEOUT,\n"
            "AUTO_TRUNCATE, API_KEY, API_KEY_FILE, CORS_ALLOW_ORIGIN, JSON_OUTPUT,\n"
            "REPRISE_HOST, REPRISE_PORT, REPRISE_IDLE, REPRISE_DRAIN.\n"
            "\n"
            "SIGTERM: /ready turns 503, what is in flight is answered, exit status 0. A line\n"
            "of the log for each request goes to standard output; no text of a request is in\n"
            "it.\n"
            "\n"
            "Examples:\n"
            "  reprise serve -m sentiment -m similarity\n"
            "  reprise serve -m ner=models/bert-ner --host 0.0.0.0 --api-key-file key\n"
            "  curl localhost:8080/predict -H 'Content-Type: application/json' \\\n"
            "      -d '{\"inputs\": \"a warm and funny film\"}'\n",
    .options = RP_CLI_SERVE | RP_CLI_DEVICE | RP_CLI_PRECISION,
    .shape = RP_CLI_SHAPE_NONE,
    .bundled = "sentiment",
    .main = rp_cli_serve,
};
