/* SPDX-License-Identifier: MIT */
/* One line of a guest's event stream. */
#include <arpa/inet.h>

#include "base/json.h"
#include "base/str.h"
#include "vm/session_impl.h"

/* Printable ASCII only, cut to size. */
static void copy_text(char *ret, size_t size, const char *value)
{
	size_t i = 0;

	for (; value && value[i] && i + 1 < size; i++)
		ret[i] = value[i] >= 0x20 && value[i] < 0x7f ? value[i] : '?';
	ret[i] = '\0';
}

static int parse_ready(struct json_object *json, struct session_event *e, struct error **err)
{
	const char *boot_id = NULL, *user = NULL, *init = NULL;

	if (js_get_string(json, "boot_id", &boot_id, err) || js_get_string(json, "user", &user, err) ||
	    js_get_string(json, "init", &init, err))
		return -1;
	copy_text(e->boot_id, sizeof(e->boot_id), boot_id);
	copy_text(e->user, sizeof(e->user), user);
	e->has_init = init != NULL;
	return 0;
}

static int parse_userdata(struct json_object *json, struct session_event *e, struct error **err)
{
	int64_t code = 0;

	if (js_get_i64(json, "exit_code", &code, err))
		return -1;
	if (code < -1 || code > 255)
		return error_set(err, ERR_PROTOCOL, "exit_code out of range");
	e->exit_code = (int)code;
	return 0;
}

static int parse_address(struct json_object *json, struct session_event *e, struct error **err)
{
	const char *ip = NULL;
	struct in_addr addr;

	if (js_get_string(json, "ip", &ip, err))
		return -1;
	if (!ip || inet_pton(AF_INET, ip, &addr) != 1)
		return error_set(err, ERR_PROTOCOL, "not an IPv4 address");
	inet_ntop(AF_INET, &addr, e->ip, sizeof(e->ip));
	return 0;
}

static const struct {
	const char *type;
	enum session_event_kind kind;
	int (*parse)(struct json_object *json, struct session_event *e, struct error **err);
} kinds[] = {
	{"ready", SESSION_EVENT_READY, parse_ready},
	{"userdata", SESSION_EVENT_USERDATA, parse_userdata},
	{"address", SESSION_EVENT_ADDRESS, parse_address},
};

int session_event_parse(const char *line, size_t n, struct session_event *ret, struct error **err)
{
	cleanup_json struct json_object *json = js_parse(line, n, err);
	const char *type = NULL;

	*ret = (struct session_event){.kind = SESSION_EVENT_UNKNOWN};
	if (!json || js_get_string(json, "event", &type, err))
		return -1;
	for (size_t i = 0; type && i < ARRAY_LEN(kinds); i++) {
		if (!str_eq(type, kinds[i].type))
			continue;
		ret->kind = kinds[i].kind;
		return kinds[i].parse(json, ret, err);
	}
	return 0;
}
