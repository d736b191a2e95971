/* SPDX-License-Identifier: MIT */
/* tcp_send ADDRESS PORT: sends its standard input in large pieces, ends its direction, and prints what comes back. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static int copy(int from, int to)
{
	static char buf[1 << 18];
	ssize_t n, done, w;

	while ((n = read(from, buf, sizeof(buf))) > 0)
		for (done = 0; done < n; done += w)
			if ((w = write(to, buf + done, (size_t)(n - done))) <= 0)
				return 1;
	return n < 0;
}

int main(int argc, char **argv)
{
	struct sockaddr_in to = {.sin_family = AF_INET};
	int sock = socket(AF_INET, SOCK_STREAM, 0);

	if (argc != 3 || !inet_aton(argv[1], &to.sin_addr))
		return 2;
	to.sin_port = htons((unsigned short)atoi(argv[2]));
	if (connect(sock, (struct sockaddr *)&to, sizeof(to)) || copy(0, sock) || shutdown(sock, SHUT_WR))
		return 1;
	return copy(sock, 1);
}
