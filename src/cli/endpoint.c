/* SPDX-License-Identifier: MIT */
#include "cli/endpoint.h"

#include <arpa/inet.h>
#include <sys/stat.h>

#include "base/fs.h"

static const char default_url[] = "http://127.0.0.1:8080";
static const char default_socket[] = "./slicer.sock";
static const char default_token_file[] = "/var/lib/slicer/auth/token";
enum { DEFAULT_PORT = 8080, TOKEN_MAX = 4096 };

void endpoint_clear(struct endpoint *e)
{
	if (e->token)
		mem_wipe(e->token, strlen(e->token));
	free(e->socket_path);
	free(e->host);
	free(e->shown);
	free(e->token);
	free(e->token_from);
	*e = (struct endpoint){0};
}

static char *expand_home(const char *path)
{
	const char *home = getenv("HOME");

	if (!str_starts(path, "~/") || !home)
		return str_dup(path);
	return fs_join(home, path + 2);
}

static bool is_socket_url(const char *url)
{
	return str_starts(url, "/") || str_starts(url, "./") || str_starts(url, "../") || str_starts(url, "~/") ||
	       str_ends(url, ".sock");
}

static int parse_port(const char *text, uint16_t *ret, struct error **err)
{
	uint64_t port = 0;

	if (str_to_u64(text, 1, 65535, "the port", &port, err))
		return -1;
	*ret = (uint16_t)port;
	return 0;
}

static int parse_http(const char *url, struct endpoint *ret, struct error **err)
{
	const char *authority = str_starts(url, "http://") ? url + 7 : url;
	cleanup_free char *host = str_ndup(authority, strcspn(authority, "/?#"));
	char *colon = strrchr(host, ':');

	if (strstr(authority, "://") && authority == url)
		return error_set(err, ERR_INVALID,
				 "only http:// and Unix sockets are supported; for a remote daemon forward its port "
				 "with ssh -L");
	if (strchr(host, '[') || (colon && strchr(host, ':') != colon))
		return error_set(err, ERR_INVALID, "IPv6 addresses are not supported");
	ret->port = str_starts(url, "http://") ? 80 : DEFAULT_PORT;
	if (colon) {
		*colon = 0;
		if (colon[1] && parse_port(colon + 1, &ret->port, err))
			return -1;
	}
	if (!*host || strchr(host, '@') || strchr(host, ' '))
		return error_set(err, ERR_INVALID, "there is no host name in it");
	ret->shown = str_fmt("http://%s:%u", host, ret->port);
	ret->host = TAKE_PTR(host);
	return 0;
}

int endpoint_parse_url(const char *url, struct endpoint *ret, struct error **err)
{
	cleanup_free char *copy = str_dup(url);
	const char *trimmed = str_trim(copy);
	bool is_unix = str_starts(trimmed, "unix://");

	if (is_unix)
		trimmed += strlen("unix://");
	if (!*trimmed)
		return error_set(err, ERR_INVALID, "the daemon's URL is empty");
	if (!is_unix && !is_socket_url(trimmed)) {
		if (parse_http(trimmed, ret, err))
			return error_wrap(err, "the daemon's URL \"%s\" is not usable", trimmed);
		return 0;
	}
	ret->socket_path = expand_home(trimmed);
	ret->shown = str_dup(ret->socket_path);
	return 0;
}

bool endpoint_has_name(const struct endpoint *e)
{
	struct in_addr addr;

	return e->host && !str_eq(e->host, "localhost") && inet_pton(AF_INET, e->host, &addr) != 1;
}

static int find_url(const struct parsed *args, const char *otherwise, struct endpoint *ret, struct error **err)
{
	const char *url = parsed_string(args, "url");
	struct stat st;

	if (!url)
		url = getenv("SLICER_URL");
	if (!url || !*url)
		url = otherwise						   ? otherwise
		      : !stat(default_socket, &st) && S_ISSOCK(st.st_mode) ? default_socket
									   : default_url;
	return endpoint_parse_url(url, ret, err);
}

static int read_token(const char *path, struct endpoint *ret, struct error **err)
{
	cleanup_free char *real = expand_home(path);
	cleanup_free char *text = NULL;
	size_t n = 0;
	char *token;

	if (fs_read_file(real, TOKEN_MAX, &text, &n, err))
		return error_wrap(err, "cannot read the token file");
	token = str_trim(text);
	if (!*token)
		return error_set(err, ERR_NOT_FOUND, "the token file %s is empty", real);
	ret->token = str_dup(token);
	ret->token_from = str_dup(real);
	return 0;
}

/* This host's token is for this host's daemon: it is not shown to others. */
static bool is_local(const struct endpoint *e)
{
	return e->socket_path || str_eq(e->host, "localhost") || str_starts(e->host, "127.");
}

static void default_token(struct endpoint *ret)
{
	cleanup_error struct error *err = NULL;

	if (!is_local(ret)) {
		ret->token_from = str_dup("no token was given");
		return;
	}
	if (!read_token(default_token_file, ret, &err))
		return;
	ret->token_from = str_dup(error_message(err));
}

static int find_token(const struct parsed *args, struct endpoint *ret, struct error **err)
{
	const char *token = parsed_string(args, "token");
	const char *file = parsed_string(args, "token-file");
	const char *env_token = getenv("SLICER_TOKEN");
	const char *env_file = getenv("SLICER_TOKEN_FILE");

	if (token) {
		ret->token = *token ? str_dup(token) : NULL;
		ret->token_from = str_dup("--token");
		return 0;
	}
	if (file)
		return read_token(file, ret, err);
	if (env_token && *env_token) {
		ret->token = str_dup(env_token);
		ret->token_from = str_dup("SLICER_TOKEN");
		return 0;
	}
	if (env_file && *env_file)
		return read_token(env_file, ret, err);
	default_token(ret);
	return 0;
}

static bool is_set(const char *variable)
{
	const char *value = getenv(variable);

	return value && *value;
}

bool endpoint_is_given(const struct parsed *args)
{
	return parsed_string(args, "url") || is_set("SLICER_URL");
}

void endpoint_offer_token(struct endpoint *e, const struct parsed *args, const char *token, const char *from)
{
	if (!token || parsed_string(args, "token") || parsed_string(args, "token-file") || is_set("SLICER_TOKEN") ||
	    is_set("SLICER_TOKEN_FILE"))
		return;
	if (e->token)
		mem_wipe(e->token, strlen(e->token));
	free(e->token);
	free(e->token_from);
	e->token = str_dup(token);
	e->token_from = str_dup(from);
}

int endpoint_find(const struct parsed *args, const char *otherwise, struct endpoint *ret, struct error **err)
{
	if (find_url(args, otherwise, ret, err) || find_token(args, ret, err))
		return -1;
	for (const char *c = ret->token; c && *c; c++)
		if (*c < 0x21 || *c > 0x7e)
			return error_set(err, ERR_INVALID, "the token from %s holds a space or a control character",
					 ret->token_from);
	return 0;
}
