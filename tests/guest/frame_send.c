/* SPDX-License-Identifier: MIT */
/* frame_send INTERFACE FRAME…: sends Ethernet frames, in hexadecimal, as they are. */
#include <net/ethernet.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static int send_hex(int sock, const char *hex)
{
	unsigned char frame[ETH_FRAME_LEN];
	size_t n = strlen(hex) / 2;

	if (n > sizeof(frame))
		return -1;
	for (size_t i = 0; i < n; i++)
		if (sscanf(hex + 2 * i, "%2hhx", &frame[i]) != 1)
			return -1;
	return send(sock, frame, n, 0) == (ssize_t)n ? 0 : -1;
}

int main(int argc, char **argv)
{
	struct sockaddr_ll at = {.sll_family = AF_PACKET};
	int sock = socket(AF_PACKET, SOCK_RAW, 0);

	if (argc < 3 || (at.sll_ifindex = (int)if_nametoindex(argv[1])) == 0)
		return 2;
	if (bind(sock, (struct sockaddr *)&at, sizeof(at)))
		return 1;
	for (char **hex = argv + 2; *hex; hex++)
		if (send_hex(sock, *hex))
			return 1;
	return 0;
}
