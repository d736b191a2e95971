/* SPDX-License-Identifier: MIT */
#include "cli/vm_forward_spec.h"

#include <arpa/inet.h>

#include "base/fs.h"
#include "base/str.h"

enum { PARTS_MAX = 4 };

static bool is_path(const char *s)
{
	return strchr(s, '/') != NULL; /* "./" and "../" have one, too */
}

static int parse_port(const char *text, uint64_t min, const char *what, uint16_t *ret, struct error **err)
{
	uint64_t port;

	if (str_to_u64(text, min, UINT16_MAX, what, &port, err) < 0)
		return -1;
	*ret = (uint16_t)port;
	return 0;
}

/* ---- the two sides ---- */

static int listen_tcp(struct forward_spec *spec, const char *address, const char *port, struct error **err)
{
	uint16_t number;

	if (parse_port(port, 0, "the port to listen on", &number, err) < 0)
		return -1;
	if (str_eq(address, "localhost"))
		address = "127.0.0.1";
	spec->listen = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(number)};
	if (inet_pton(AF_INET, address, &spec->listen.sin_addr) != 1)
		return error_set(err, ERR_INVALID,
				 "\"%s\" is no IPv4 address to listen on; give one in front: 127.0.0.1:PORT:HOST:PORT",
				 address);
	return 0;
}

static int listen_unix(struct forward_spec *spec, const char *path, struct error **err)
{
	if (!*path || str_ends(path, "/"))
		return error_set(err, ERR_INVALID, "\"%s\" is no path for a Unix socket", path);
	spec->listen_path = fs_absolute(path);
	return 0;
}

static int to_tcp(struct forward_spec *spec, const char *host, const char *port, struct error **err)
{
	uint16_t number;

	if (!*host)
		return error_set(err, ERR_INVALID, "the host in the VM is missing, as in 127.0.0.1:PORT");
	if (parse_port(port, 1, "the port in the VM", &number, err) < 0)
		return -1;
	spec->upstream = str_fmt("%s:%u", host, number);
	return 0;
}

static int to_unix(struct forward_spec *spec, const char *path, struct error **err)
{
	if (*path != '/')
		return error_set(err, ERR_INVALID, "the path in the VM, \"%s\", must begin with \"/\"", path);
	spec->upstream = str_fmt("unix:%s", path);
	return 0;
}

/* ---- the forms of parts between colons: which of them say what; -1: the text beside it ---- */

struct form {
	size_t nparts;
	bool (*applies)(char *const *parts); /* NULL: always */
	int address;			     /* -1: fixed_address */
	const char *fixed_address;
	int port; /* -1: part 0 is a Unix socket */
	int host; /* -1: 127.0.0.1 */
	int host_port;
};

static bool first_is_path(char *const *parts)
{
	return is_path(parts[0]);
}

static bool first_is_number(char *const *parts)
{
	return parts[0][0] && strspn(parts[0], "0123456789") == strlen(parts[0]);
}

static const struct form forms[] = {
	{2, first_is_number, -1, "127.0.0.1", 0, -1, 1},
	{2, NULL, 0, NULL, 1, 0, 1},
	{3, first_is_path, -1, NULL, -1, 1, 2},
	{3, NULL, 1, NULL, 0, 1, 2},
	{4, NULL, 0, NULL, 1, 2, 3},
};

static int parse_parts(const char *text, struct forward_spec *ret, struct error **err)
{
	cleanup_strv char **parts = strv_split(text, ':');
	size_t n = strv_len(parts);

	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		const struct form *f = &forms[i];

		if (f->nparts != n || (f->applies && !f->applies(parts)))
			continue;
		if ((f->port < 0 ? listen_unix(ret, parts[0], err)
				 : listen_tcp(ret, f->address < 0 ? f->fixed_address : parts[f->address],
					      parts[f->port], err)) < 0)
			return -1;
		return to_tcp(ret, f->host < 0 ? "127.0.0.1" : parts[f->host], parts[f->host_port], err);
	}
	return error_set(err, ERR_INVALID,
			 n > PARTS_MAX ? "too many parts between colons (IPv6 is not supported)"
				       : "it needs a colon, as in 8080:127.0.0.1:80");
}

/* "PORT" or "ADDR:PORT" before a path in the VM. */
static int parse_tcp_to_unix(const char *listen, const char *path, struct forward_spec *ret, struct error **err)
{
	const char *colon = strchr(listen, ':');
	cleanup_free char *address = colon ? str_ndup(listen, (size_t)(colon - listen)) : str_dup("0.0.0.0");

	if (listen_tcp(ret, address, colon ? colon + 1 : listen, err) < 0)
		return -1;
	return to_unix(ret, path, err);
}

static int parse(const char *text, struct forward_spec *ret, struct error **err)
{
	const char *last = strrchr(text, ':'), *to_path = strstr(text, ":/");
	cleanup_free char *head = last ? str_ndup(text, (size_t)(last - text)) : NULL;

	if (head && is_path(head) && is_path(last + 1)) {
		if (listen_unix(ret, head, err) < 0)
			return -1;
		return to_unix(ret, last + 1, err);
	}
	if (to_path) {
		cleanup_free char *listen = str_ndup(text, (size_t)(to_path - text));

		return parse_tcp_to_unix(listen, to_path + 1, ret, err);
	}
	return parse_parts(text, ret, err);
}

int forward_spec_parse(const char *text, struct forward_spec *ret, struct error **err)
{
	cleanup_free char *copy = str_dup(text);
	const char *trimmed = str_trim(copy);
	cleanup_error struct error *error = NULL;

	*ret = (struct forward_spec){0};
	if (!*trimmed)
		error_set(&error, ERR_INVALID, "it is empty");
	else if (strlen(trimmed) > FORWARD_SPEC_MAX)
		error_set(&error, ERR_INVALID, "it is longer than %d bytes", FORWARD_SPEC_MAX);
	else
		parse(trimmed, ret, &error);
	if (!error)
		return 0;
	forward_spec_clear(ret);
	error_wrap(&error, "cannot forward \"%.100s\"", trimmed);
	return error_move(err, &error);
}

void forward_spec_clear(struct forward_spec *spec)
{
	free(spec->listen_path);
	free(spec->upstream);
	*spec = (struct forward_spec){0};
}

char *forward_spec_listen_text(const struct forward_spec *spec)
{
	char text[INET_ADDRSTRLEN];

	if (spec->listen_path)
		return str_dup(spec->listen_path);
	inet_ntop(AF_INET, &spec->listen.sin_addr, text, sizeof(text));
	return str_fmt("%s:%u", text, ntohs(spec->listen.sin_port));
}
