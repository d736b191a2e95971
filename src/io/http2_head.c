/* SPDX-License-Identifier: MIT */
/* Heads to and from HTTP/2 field lists (RFC 9113 §8.3). */
#include "base/str.h"
#include "io/http2_impl.h"

/* Fields that mean something between two hops only, or that HTTP/2 says in another way (RFC 9113
 * §8.2.2). */
static const char *const hop_fields[] = {
	"connection",	  "keep-alive", "proxy-connection", "transfer-encoding", "upgrade", "te", "host",
	"content-length", NULL,
};

static bool is_hop_field(const char *name)
{
	return strv_contains((char *const *)(uintptr_t)hop_fields, name);
}

static void nv_add(struct h2_nv *nv, const char *name, const char *value)
{
	nv->nv[nv->n++] = (nghttp2_nv){
		.name = (uint8_t *)(uintptr_t)name,
		.value = (uint8_t *)(uintptr_t)value,
		.namelen = strlen(name),
		.valuelen = strlen(value),
	};
}

static void nv_add_fields(struct h2_nv *nv, const struct http_head *head)
{
	if (head->content_length >= 0) {
		snprintf(nv->length, sizeof(nv->length), "%lld", (long long)head->content_length);
		nv_add(nv, "content-length", nv->length);
	}
	for (size_t i = 0; i < head->nfields; i++)
		if (!is_hop_field(head->fields[i].name))
			nv_add(nv, head->fields[i].name, head->fields[i].value);
}

void h2_nv_request(struct h2_nv *nv, const struct http_head *head)
{
	const char *host = http_head_get(head, "host");

	nv->nv = mem_alloc_array(head->nfields + 5, sizeof(*nv->nv));
	nv->n = 0;
	nv_add(nv, ":method", head->method);
	nv_add(nv, ":scheme", "http");
	nv_add(nv, ":authority", host && *host ? host : "localhost");
	nv_add(nv, ":path", head->target);
	/* A request without a body says so by END_STREAM; "content-length: 0" on a GET would only
	 * be noise. */
	if (head->content_length == 0) {
		struct http_head bare = *head;

		bare.content_length = -1;
		nv_add_fields(nv, &bare);
		return;
	}
	nv_add_fields(nv, head);
}

void h2_nv_response(struct h2_nv *nv, const struct http_head *head)
{
	nv->nv = mem_alloc_array(head->nfields + 2, sizeof(*nv->nv));
	nv->n = 0;
	snprintf(nv->status, sizeof(nv->status), "%03d", head->status);
	nv_add(nv, ":status", nv->status);
	nv_add_fields(nv, head);
}

bool h2_status_has_body(int status)
{
	return status >= 200 && status != 204 && status != 304;
}

/* The limits of http.h hold for what will be sent, too: a head that the peer must refuse is refused
 * here. */
bool h2_head_is_request(const struct http_head *head)
{
	size_t size = 0;

	if (!head->method || !http_is_token(head->method) || str_eq(head->method, "CONNECT"))
		return false;
	if (!head->target || !http_is_target(head->target) || strlen(head->target) > HTTP_MAX_TARGET)
		return false;
	if (head->nfields > HTTP_MAX_FIELDS)
		return false;
	size = strlen(head->target);
	for (size_t i = 0; i < head->nfields; i++) {
		if (!http_is_token(head->fields[i].name) || !http_is_field_value(head->fields[i].value))
			return false;
		size += strlen(head->fields[i].name) + strlen(head->fields[i].value) + 32;
	}
	return size <= HTTP_MAX_HEAD;
}

static void set_once(struct h2_exchange *x, char **slot, const char *value)
{
	if (*slot)
		x->refused = true;
	else
		*slot = str_dup(value);
}

static int parse_status(const char *value)
{
	uint64_t status;

	return str_to_u64(value, 100, 999, "status", &status, NULL) < 0 ? 0 : (int)status;
}

/* nghttp2 has checked order, number and characters of the pseudo fields; what it lets pass and we
 * do not use is dropped. */
static void add_pseudo(struct h2_exchange *x, const char *name, const char *value)
{
	struct http_head *head = x->head;

	if (str_eq(name, ":method"))
		set_once(x, &head->method, value);
	else if (str_eq(name, ":path"))
		set_once(x, &head->target, value);
	else if (str_eq(name, ":status"))
		head->status = parse_status(value);
	else if (str_eq(name, ":authority") && *value && !http_head_get(head, "host"))
		http_head_add(head, "host", value);
}

static void add_length(struct h2_exchange *x, const char *value)
{
	uint64_t length;

	if (str_to_u64(value, 0, INT64_MAX, "content-length", &length, NULL) < 0)
		x->refused = true;
	else
		x->head->content_length = (int64_t)length;
}

void h2_head_add(struct h2_exchange *x, const char *name, size_t name_len, const char *value, size_t value_len)
{
	if (!x->head || x->refused)
		return;
	x->head_size += name_len + value_len + 32;
	if (x->head_size > HTTP_MAX_HEAD || x->head->nfields >= HTTP_MAX_FIELDS || strlen(value) != value_len ||
	    !http_is_field_value(value)) {
		x->refused = true;
		return;
	}
	if (name[0] == ':')
		add_pseudo(x, name, value);
	else if (str_eq(name, "content-length"))
		add_length(x, value);
	else if (str_eq(name, "host") && http_head_get(x->head, "host"))
		return; /* :authority rules (RFC 9113 §8.3.1) */
	else if (http_is_token(name) && (str_eq(name, "host") || !is_hop_field(name)))
		http_head_add(x->head, name, value);
}
