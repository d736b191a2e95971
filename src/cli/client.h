/* SPDX-License-Identifier: MIT */
/* Requests to the daemon. One client, one loop, one thing at a time. */
#ifndef SLICER_CLI_CLIENT_H
#define SLICER_CLI_CLIENT_H

#include "base/json.h"
#include "cli/endpoint.h"
#include "io/http1.h"

struct client {
	struct loop *loop;
	struct http1_client *http;
	struct endpoint endpoint;
};
int client_open(struct client *c, const struct parsed *args, struct error **err);
/* The same, with another default than endpoint_find()'s. */
int client_open_or(struct client *c, const struct parsed *args, const char *otherwise, struct error **err);
void client_close(struct client *c);
#define cleanup_client __attribute__((cleanup(client_close)))

enum { CLIENT_TIMEOUT_MS = 60 * 1000 }; /* for requests that do not wait for a guest */

/* Targets: "/vm/a-1/cp?path=%2Fetc". Segments and values are percent-encoded. All replace *target. */
char *target_new(const char *format_one_segment, const char *segment); /* target_new("/vm/%s/cp", name) */
void target_add(char **target, const char *key, const char *value);    /* does nothing when value is NULL */
void target_add_int(char **target, const char *key, uint64_t value);
void target_add_all(char **target, const char *key, char *const *values);

/* A request head with authorization and user agent. The caller's. */
struct http_head *client_head(const struct client *c, const char *method, const char *target);
/* Turns what failed before an answer came into words that say what to do. Returns -1. */
int client_unreachable(const struct client *c, const struct error *why, struct error **err);
/* The error that an answer with status >= 400 stands for. Returns -1. */
int client_refused(const struct client *c, int status, const char *body, struct error **err);

struct reply {
	int status;
	char *body; /* NUL-terminated */
	size_t n;
};
void reply_clear(struct reply *r);
#define cleanup_reply __attribute__((cleanup(reply_clear)))
/* A whole request and its whole answer. json is the body (NULL: none). An answer with status >= 400 is an error;
 * *ret is then filled, too. */
int client_call(struct client *c, const char *method, const char *target, const char *json, int64_t timeout_ms,
		struct reply *ret, struct error **err);
/* The same with a parsed answer; the result is the caller's. NULL with *err set. */
struct json_object *client_json(struct client *c, const char *method, const char *target, const char *json,
				int64_t timeout_ms, struct error **err);

#endif
