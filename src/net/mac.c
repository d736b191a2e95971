/* SPDX-License-Identifier: MIT */
#include "base/str.h"
#include "net/mac.h"

static void mac_from_text(const char *text, unsigned char ret[6])
{
	unsigned char hash[32];

	sha256(text, strlen(text), hash);
	memcpy(ret, hash, 6);
	ret[0] = (unsigned char)((ret[0] & 0xfc) | 0x02);
}

void mac_from_hostname(const char *hostname, unsigned char ret[6])
{
	cleanup_free char *text = str_fmt("slicer-mac:%s", hostname);

	mac_from_text(text, ret);
}

void mac_from_host(const char *hostname, const char *machine_id, unsigned char ret[6])
{
	cleanup_free char *text = str_fmt("slicer-mac:%s:%s", machine_id, hostname);

	mac_from_text(text, ret);
}

void mac_format(const unsigned char mac[6], char ret[MAC_TEXT_SIZE])
{
	snprintf(ret, MAC_TEXT_SIZE, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
}

int mac_parse(const char *s, unsigned char ret[6])
{
	char part[3] = "";

	if (strlen(s) != MAC_TEXT_SIZE - 1)
		return -1;
	for (size_t i = 0; i < 6; i++) {
		memcpy(part, s + 3 * i, 2);
		if ((i < 5 && s[3 * i + 2] != ':') || hex_decode(part, &ret[i], 1) < 0)
			return -1;
	}
	return 0;
}
