#include <stdlib.h>

#include "tools/serve/fields.h"

void rp_ask_free(rp_ask *ask) {
    for (size_t i = 0; ask->owned && i < ask->count; i++) rp_string_free(&ask->owned[i]);
    free(ask->owned);
    free(ask->inputs);
    free(ask->ids);
    free(ask->texts);
    free(ask->labels);
    rp_json_finish(&ask->body);
    *ask = (rp_ask){0};
}

bool rp_ask_read(rp_ask *ask, const rp_route *route, const char *body, size_t size, rp_trouble *problem) {
    const rp_json_flags flags = {.any = true, .nul = true, .nul_keys = true, .large = true};
    rp_json_mistake mistake;
    if (!rp_json_read(body ? body : "", size, flags, &ask->body, &mistake)) {
        if (mistake.memory) return rp_trouble_memory(problem);
        return rp_trouble_say(problem, 400, "Validation", "the body is not JSON: line %d, byte %zu: %s",
                              mistake.line, mistake.position, mistake.text);
    }
    if (ask->body.root.type != RP_JSON_OBJECT)
        rp_trouble_say(problem, 422, "Validation", "the body must be a JSON object, not %s",
                       rp_json_kind(&ask->body.root));
    else if (rp_body_takes(&ask->body.root, route->takes, problem) && route->read(ask, problem))
        return true;
    rp_ask_free(ask);
    return false;
}
