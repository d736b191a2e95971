/* SPDX-License-Identifier: MIT */
/* unix_echo PATH: sends back what comes on that socket, one connection after the other. */
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct sockaddr_un where = {.sun_family = AF_UNIX};
	int server = socket(AF_UNIX, SOCK_STREAM, 0), one;
	static char buf[65536];

	if (argc != 2 || strlen(argv[1]) >= sizeof(where.sun_path))
		return 2;
	strcpy(where.sun_path, argv[1]);
	if (bind(server, (struct sockaddr *)&where, sizeof(where)) || listen(server, 8))
		return 1;
	while ((one = accept(server, NULL, NULL)) >= 0) {
		for (ssize_t n; (n = read(one, buf, sizeof(buf))) > 0;)
			for (ssize_t done = 0, w; done < n && (w = write(one, buf + done, (size_t)(n - done))) > 0;)
				done += w;
		close(one);
	}
	return 1;
}
