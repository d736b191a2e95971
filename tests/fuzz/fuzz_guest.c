/* SPDX-License-Identifier: MIT */
/* What a guest's agent tells the daemon in JSON: a line of its event stream, or why it refuses. */
#include <arpa/inet.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/str.h"
#include "io/http.h"
#include "vm/session_impl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

static void require_printable(const char *text, size_t size)
{
	require(strnlen(text, size) < size);
	for (; *text; text++)
		require(*text >= 0x20 && *text < 0x7f);
}

/* What was understood can be said again, and means the same. */
static void require_round_trip(const struct session_event *e)
{
	cleanup_json struct json_object *json = json_object_new_object();
	struct session_event again;

	js_add_string(json, "event", "ready");
	js_add_string(json, "boot_id", e->boot_id);
	js_add_string(json, "user", e->user);
	js_add_string(json, "init", e->has_init ? "/sbin/init" : NULL);
	cleanup_free char *line = js_to_string(json);
	require(session_event_parse(line, strlen(line), &again, NULL) == 0 && again.kind == SESSION_EVENT_READY);
	require(str_eq(again.boot_id, e->boot_id) && str_eq(again.user, e->user) && again.has_init == e->has_init);
}

static void try_event(const char *line, size_t n)
{
	cleanup_error struct error *err = NULL;
	struct session_event e;
	struct in_addr addr;

	if (session_event_parse(line, n, &e, &err) < 0) {
		require(err && (err->code == ERR_INVALID || err->code == ERR_PROTOCOL));
		return;
	}
	require(!err);
	require_printable(e.boot_id, sizeof(e.boot_id));
	require_printable(e.user, sizeof(e.user));
	require(e.exit_code >= -1 && e.exit_code <= 255);
	if (e.kind == SESSION_EVENT_ADDRESS)
		require(inet_pton(AF_INET, e.ip, &addr) == 1);
	if (e.kind == SESSION_EVENT_READY)
		require_round_trip(&e);
}

static void try_refusal(const char *body, size_t n)
{
	cleanup_free char *text = http_error_parse(body, n);
	cleanup_json struct json_object *json = js_parse(body, n, NULL);

	require(!text == !json);
	if (!text)
		return;
	require(strlen(text) <= n); /* no escape of JSON is shorter than what it stands for */
	cleanup_json struct json_object *doc = json_object_new_object();
	js_add_string(doc, "error", text);
	cleanup_free char *written = js_to_string(doc), *again = http_error_parse(written, strlen(written));
	require(str_eq(text, again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	try_event((const char *)data, size);
	try_refusal((const char *)data, size);
	return 0;
}
