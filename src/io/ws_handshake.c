/* SPDX-License-Identifier: MIT */
/* The WebSocket handshake (RFC 6455 §4). The Connection field belongs to HTTP/1.1's own code, which
 * adds and removes it. */
#include <strings.h>
#include "base/str.h"
#include "io/ws.h"
#include "io/ws_sha1.h"

enum { KEY_SIZE = 16 };

static char *accept_value(const char *key)
{
	static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
	cleanup_free char *text = str_fmt("%s%s", key, guid);
	unsigned char digest[20];

	ws_sha1(text, strlen(text), digest);
	return base64_encode(digest, sizeof(digest));
}

/* "Upgrade: h2c, websocket": a list, compared without case. */
static bool names_websocket(const char *value)
{
	cleanup_strv char **parts = value ? strv_split(value, ',') : NULL;

	for (size_t i = 0; parts && parts[i]; i++)
		if (strcasecmp(str_trim(parts[i]), "websocket") == 0)
			return true;
	return false;
}

static bool is_key(const char *key)
{
	cleanup_free unsigned char *raw = NULL;
	size_t n = 0;

	return key && strlen(key) == 24 && base64_decode(key, 24, &raw, &n, NULL) == 0 && n == KEY_SIZE;
}

int ws_refusal_status(const struct http_head *request)
{
	const char *version = http_head_get(request, "sec-websocket-version");

	return version && !str_eq(version, "13") ? 426 : 400;
}

static int check_request(const struct http_head *request, struct error **err)
{
	const char *version = http_head_get(request, "sec-websocket-version");

	if (!str_eq(request->method, "GET"))
		return error_set(err, ERR_INVALID, "a WebSocket begins with GET, not %s", request->method);
	if (!names_websocket(http_head_get(request, "upgrade")))
		return error_set(err, ERR_INVALID, "this endpoint is a WebSocket: send \"Upgrade: websocket\"");
	if (!str_eq(version, "13"))
		return error_set(err, ERR_INVALID, "WebSocket version %s is unknown; use 13",
				 version ? version : "(none)");
	if (!is_key(http_head_get(request, "sec-websocket-key")))
		return error_set(err, ERR_INVALID, "Sec-WebSocket-Key must be 16 bytes in base64");
	return 0;
}

struct http_head *ws_accept_head(const struct http_head *request, struct error **err)
{
	cleanup_free char *accept = NULL;
	struct http_head *head;

	if (check_request(request, err) < 0)
		return NULL;
	accept = accept_value(http_head_get(request, "sec-websocket-key"));
	head = http_head_new_response(101);
	http_head_add(head, "upgrade", "websocket");
	http_head_add(head, "sec-websocket-accept", accept);
	return head;
}

void ws_request_fields(struct http_head *request, char **ret_key)
{
	unsigned char raw[KEY_SIZE] = {0};

	random_bytes(raw, sizeof(raw), NULL); /* the key need not be secret; zeros would work as well */
	*ret_key = base64_encode(raw, sizeof(raw));
	http_head_add(request, "upgrade", "websocket");
	http_head_add(request, "sec-websocket-version", "13");
	http_head_add(request, "sec-websocket-key", *ret_key);
}

int ws_check_response(const struct http_head *response, const char *key, struct error **err)
{
	const char *accept = http_head_get(response, "sec-websocket-accept");
	cleanup_free char *expected = accept_value(key);

	if (response->status != 101)
		return error_set(err, ERR_PROTOCOL, "the server answered %d instead of opening a WebSocket",
				 response->status);
	if (!names_websocket(http_head_get(response, "upgrade")))
		return error_set(err, ERR_PROTOCOL, "the server upgraded to something else than a WebSocket");
	if (!str_eq(accept, expected))
		return error_set(err, ERR_PROTOCOL, "the server's Sec-WebSocket-Accept does not fit the key");
	if (http_head_get(response, "sec-websocket-extensions"))
		return error_set(err, ERR_PROTOCOL, "the server chose a WebSocket extension that was not offered");
	return 0;
}
