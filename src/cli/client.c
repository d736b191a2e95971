/* SPDX-License-Identifier: MIT */
#include "cli/client.h"

#include <errno.h>
#include <inttypes.h>

enum { REPLY_MAX = 64 * 1024 * 1024 };

int client_open(struct client *c, const struct parsed *args, struct error **err)
{
	return client_open_or(c, args, NULL, err);
}

int client_open_or(struct client *c, const struct parsed *args, const char *otherwise, struct error **err)
{
	*c = (struct client){0};
	if (endpoint_find(args, otherwise, &c->endpoint, err))
		return -1;
	c->loop = loop_new(err);
	if (!c->loop)
		return -1;
	c->http = c->endpoint.socket_path ? http1_client_new_unix(c->loop, c->endpoint.socket_path)
					  : http1_client_new_tcp(c->loop, c->endpoint.host, c->endpoint.port);
	return 0;
}

void client_close(struct client *c)
{
	http1_client_free(&c->http);
	if (c->loop)
		loop_free(&c->loop);
	endpoint_clear(&c->endpoint);
}

char *target_new(const char *format_one_segment, const char *segment)
{
	cleanup_free char *encoded = http_encode(segment);
	const char *hole = strstr(format_one_segment, "%s");

	return str_fmt("%.*s%s%s", (int)(hole - format_one_segment), format_one_segment, encoded, hole + 2);
}

void target_add(char **target, const char *key, const char *value)
{
	cleanup_free char *encoded = value ? http_encode(value) : NULL;
	char *longer;

	if (!value)
		return;
	longer = str_fmt("%s%c%s=%s", *target, strchr(*target, '?') ? '&' : '?', key, encoded);
	free(*target);
	*target = longer;
}

void target_add_int(char **target, const char *key, uint64_t value)
{
	cleanup_free char *text = str_fmt("%" PRIu64, value);

	target_add(target, key, text);
}

void target_add_all(char **target, const char *key, char *const *values)
{
	for (; values && *values; values++)
		target_add(target, key, *values);
}

struct http_head *client_head(const struct client *c, const char *method, const char *target)
{
	struct http_head *head = http_head_new_request(method, target);
	const char *agent = getenv("SLICER_USER_AGENT");

	if (c->endpoint.host) {
		cleanup_free char *host = str_fmt("%s:%u", c->endpoint.host, c->endpoint.port);

		http_head_add(head, "host", host);
	} else {
		http_head_add(head, "host", "localhost");
	}
	http_head_add(head, "user-agent", agent && *agent ? agent : "slicer/" SLICER_VERSION);
	if (c->endpoint.token) {
		cleanup_free char *value = str_fmt("Bearer %s", c->endpoint.token);

		http_head_add(head, "authorization", value);
		mem_wipe(value, strlen(value));
	}
	head->content_length = 0;
	return head;
}

int client_unreachable(const struct client *c, const struct error *why, struct error **err)
{
	const char *at = c->endpoint.shown;

	switch (why->sys_errno) {
	case ECONNREFUSED:
		return error_set(err, ERR_UNAVAILABLE,
				 "cannot reach the slicer daemon at %s: connection refused; start it with: "
				 "sudo slicer up vm.yaml",
				 at);
	case ENOENT:
		return error_set(err, ERR_UNAVAILABLE,
				 "cannot reach the slicer daemon at %s: there is no such socket; start it with: "
				 "sudo slicer up vm.yaml, or say where it listens with --url",
				 at);
	case EACCES:
	case EPERM:
		return error_set(err, ERR_FORBIDDEN,
				 "cannot reach the slicer daemon at %s: permission denied; run with sudo, or become "
				 "a member of the group \"slicer\"",
				 at);
	default:
		error_set(err, why->code, "cannot talk to the slicer daemon at %s: %s", at, error_message(why));
		return -1;
	}
}

/* {"error":"..."}, or plain text of one line or more. */
static char *refusal_text(int status, const char *body)
{
	cleanup_free char *said = body ? http_error_parse(body, strlen(body)) : NULL, *copy = NULL;
	const char *text;

	if (said && *said)
		return str_escape(said, strlen(said));
	if (said || !body || !*body)
		return str_fmt("HTTP status %d (%s)", status, http_reason(status));
	copy = str_ndup(body, strnlen(body, 1000));
	text = str_trim(copy);
	return str_escape(text, strlen(text));
}

static int unauthorized(const struct client *c, const char *text, struct error **err)
{
	const struct endpoint *e = &c->endpoint;

	if (e->token)
		return error_set(err, ERR_UNAUTHORIZED,
				 "the daemon at %s refused the token from %s: %s; use the token of that daemon "
				 "(--token, --token-file, SLICER_TOKEN or SLICER_TOKEN_FILE)",
				 e->shown, e->token_from, text);
	return error_set(err, ERR_UNAUTHORIZED,
			 "the daemon at %s wants a token and none was sent (%s): %s; run with sudo, or give it with "
			 "--token-file, SLICER_TOKEN or SLICER_TOKEN_FILE",
			 e->shown, e->token_from, text);
}

int client_refused(const struct client *c, int status, const char *body, struct error **err)
{
	static const struct {
		int status;
		enum error_code code;
	} codes[] = {
		{403, ERR_FORBIDDEN},	{404, ERR_NOT_FOUND}, {408, ERR_TIMEOUT},     {409, ERR_CONFLICT},
		{410, ERR_GONE},	{413, ERR_TOO_LARGE}, {501, ERR_UNSUPPORTED}, {502, ERR_PROTOCOL},
		{503, ERR_UNAVAILABLE}, {507, ERR_NO_SPACE},
	};
	cleanup_free char *text = refusal_text(status, body);
	enum error_code code = ERR_INTERNAL; /* 400, too: exit code 2 is for what this program refuses itself */

	if (status == 401)
		return unauthorized(c, text, err);
	for (size_t i = 0; i < ARRAY_LEN(codes); i++)
		if (codes[i].status == status)
			code = codes[i].code;
	return error_set(err, code, "%s", text);
}

void reply_clear(struct reply *r)
{
	free(r->body);
	*r = (struct reply){0};
}

/* A request under way. */
struct call {
	struct http_exchange *exchange;
	struct evbuffer *body;
	struct error *error;
	bool answered, done;
};

static void call_fail(struct call *call, const struct error *error)
{
	if (!call->error)
		call->error = error_copy(error);
	call->done = true;
}

static void call_on_response(void *arg, struct http_exchange *x, const struct error *error)
{
	struct call *call = arg;

	call->answered = true;
	if (error)
		call_fail(call, error);
}

static void call_on_readable(void *arg)
{
	struct call *call = arg;
	struct stream *s = http_exchange_stream(call->exchange);

	buffer_move(call->body, stream_input(s), evbuffer_get_length(stream_input(s)));
	if (evbuffer_get_length(call->body) > REPLY_MAX) {
		error_set(&call->error, ERR_TOO_LARGE, "the answer is larger than %d bytes", REPLY_MAX);
		call->done = true;
		return;
	}
	if (stream_eof(s))
		call->done = true;
	else
		stream_resume(s);
}

static void call_on_closed(void *arg, const struct error *error)
{
	struct call *call = arg;

	evbuffer_add_buffer(call->body, stream_input(http_exchange_stream(call->exchange)));
	if (error && !call->done)
		call_fail(call, error);
	call->done = true;
}

static const struct stream_events call_events = {call_on_readable, NULL, call_on_closed};

static void call_run(struct client *c, struct call *call, struct http_head *take_head, const char *json,
		     int64_t timeout_ms)
{
	struct stream *s;

	call->body = evbuffer_new();
	call->exchange = http1_client_open(c->http, take_head);
	s = http_exchange_stream(call->exchange);
	http_exchange_on_response(call->exchange, call_on_response, call);
	stream_set_events(s, &call_events, call);
	if (json)
		stream_write(s, json, strlen(json));
	stream_end(s);
	if (loop_run_until(c->loop, &call->done, timeout_ms, call->error ? NULL : &call->error))
		call->done = true;
}

static void call_clear(struct call *call)
{
	http_exchange_free(&call->exchange);
	evbuffer_free(call->body);
	error_free(&call->error);
}

static void call_take_reply(struct call *call, struct reply *ret)
{
	ret->status = http_exchange_response(call->exchange)->status;
	ret->n = evbuffer_get_length(call->body);
	ret->body = mem_alloc(ret->n + 1);
	evbuffer_remove(call->body, ret->body, ret->n);
}

int client_call(struct client *c, const char *method, const char *target, const char *json, int64_t timeout_ms,
		struct reply *ret, struct error **err)
{
	struct http_head *head = client_head(c, method, target);
	struct call call = {0};
	int rc = -1;

	http_head_add(head, "accept", "application/json");
	if (json) {
		http_head_add(head, "content-type", "application/json");
		head->content_length = (int64_t)strlen(json);
	}
	call_run(c, &call, head, json, timeout_ms);
	if (call.error && call.error->code == ERR_TIMEOUT && !call.error->sys_errno) {
		error_set(err, ERR_TIMEOUT, "the daemon at %s did not answer in time", c->endpoint.shown);
	} else if (call.error) {
		client_unreachable(c, call.error, err);
	} else {
		call_take_reply(&call, ret);
		rc = ret->status >= 400 ? client_refused(c, ret->status, ret->body, err) : 0;
	}
	call_clear(&call);
	return rc;
}

struct json_object *client_json(struct client *c, const char *method, const char *target, const char *json,
				int64_t timeout_ms, struct error **err)
{
	cleanup_reply struct reply reply = {0};
	struct json_object *parsed;

	if (client_call(c, method, target, json, timeout_ms, &reply, err))
		return NULL;
	parsed = js_parse(reply.body, reply.n, err);
	if (!parsed)
		error_wrap(err, "the daemon at %s answered what is not JSON", c->endpoint.shown);
	/* Not a mistake of the user. */
	if (!parsed && err && *err)
		(*err)->code = ERR_PROTOCOL;
	return parsed;
}
