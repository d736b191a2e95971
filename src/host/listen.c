/* SPDX-License-Identifier: MIT */
#include "host/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <grp.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"

/* "127.0.0.1:" is how some configurations write it. */
static int listen_address(const struct config_api *api, struct sockaddr_in *ret, struct error **err)
{
	cleanup_free char *host = str_dup(api->bind_address ? api->bind_address : "127.0.0.1");
	size_t n = strlen(host);

	if (n > 0 && host[n - 1] == ':')
		host[n - 1] = '\0';
	if (str_eq(host, "localhost")) {
		free(host);
		host = str_dup("127.0.0.1");
	}
	*ret = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)api->port)};
	if (inet_pton(AF_INET, host, &ret->sin_addr) != 1)
		return error_set(err, ERR_INVALID, "api.bind_address: \"%s\" is not an IPv4 address", host);
	return 0;
}

static int listen_tcp(const struct config_api *api, char **ret_shown, struct error **err)
{
	struct sockaddr_in addr;
	char text[INET_ADDRSTRLEN];
	cleanup_close int fd = -1;
	cleanup_error struct error *error = NULL;

	if (listen_address(api, &addr, err))
		return -1;
	inet_ntop(AF_INET, &addr.sin_addr, text, sizeof(text));
	fd = fd_listen_tcp(&addr, &error);
	if (fd < 0 && error->sys_errno == EADDRNOTAVAIL)
		return error_set(
			err, ERR_NOT_FOUND,
			"API: no interface of this host has the address %s (ip address): set another api.bind_address",
			text);
	if (fd < 0 && error->code != ERR_CONFLICT) {
		error_wrap(&error, "API");
		return error_move(err, &error);
	}
	if (fd < 0)
		return error_set(err, ERR_CONFLICT,
				 "port %u on %s is in use: end what listens there (ss -ltnp), or set another api.port",
				 api->port, text);
	*ret_shown = str_fmt("API listening on: %s:%u", text, api->port);
	return TAKE_FD(fd);
}

static int listen_unix(const char *path, char **ret_shown, struct error **err)
{
	const struct group *g = geteuid() == 0 ? getgrnam("slicer") : NULL;
	cleanup_free char *dir = fs_dirname(path);
	cleanup_close int fd = -1;

	if (str_starts(path, "~/"))
		return error_set(err, ERR_INVALID,
				 "API socket %s: HOME is not set, which says where that is; write the whole path",
				 path);
	if (fs_mkdir_p_public(dir, err))
		return -1;
	fd = fd_listen_unix(path, 0660, err);
	if (fd < 0 || fd_set_nonblock(fd, true, err))
		return error_wrap(err, "API socket (end what uses it, or set another api.bind_address)");
	if (g && chown(path, 0, g->gr_gid))
		return error_errno(err, errno, "give %s to the group slicer", path);
	*ret_shown = str_fmt("API listening on Unix socket: %s", path);
	return TAKE_FD(fd);
}

int listen_api(const struct config *config, char **ret_shown, struct error **err)
{
	const char *socket_path = config_api_socket(config);

	return socket_path ? listen_unix(socket_path, ret_shown, err) : listen_tcp(&config->api, ret_shown, err);
}

char *listen_url(const struct config *config, const char *directory)
{
	const char *socket_path = config_api_socket(config);
	struct sockaddr_in addr;
	char text[INET_ADDRSTRLEN];

	if (socket_path)
		return socket_path[0] == '/' ? str_dup(socket_path) : fs_join(directory, socket_path);
	if (listen_address(&config->api, &addr, NULL) < 0)
		return NULL;
	if (addr.sin_addr.s_addr == htonl(INADDR_ANY))
		addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	inet_ntop(AF_INET, &addr.sin_addr, text, sizeof(text));
	return str_fmt("http://%s:%u", text, config->api.port);
}
