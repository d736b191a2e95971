/* SPDX-License-Identifier: MIT */
#include "base/str.h"
#include "config/config.h"
#include "config/ip4.h"
#include "config/syntax.h"

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"
#define INTERFACE_MAX 15    /* IFNAMSIZ - 1 */
#define SOCKET_PATH_MAX 107 /* sun_path - 1 */

static bool only(const char *s, const char *set)
{
	return *s && !s[strspn(s, set)];
}

static int check_label(const char *s, size_t max, struct error **err)
{
	size_t len = strlen(s);

	if (len > max)
		return error_set(err, ERR_INVALID, "\"%.80s\" is longer than %zu characters", s, max);
	if (!only(s, LOWER DIGITS "-") || s[0] == '-' || s[len - 1] == '-')
		return error_set(err, ERR_INVALID,
				 "\"%s\" is not a DNS label: use lower-case letters, digits and, inside, \"-\"", s);
	return 0;
}

int syntax_group_name(const char *s, struct error **err)
{
	return check_label(s, GROUP_NAME_MAX, err);
}

int syntax_hostname(const char *s, struct error **err)
{
	if (str_eq(s, "commits"))
		return error_set(err, ERR_INVALID, "\"commits\" cannot be a hostname: the API uses that word itself");
	return check_label(s, 63, err);
}

int syntax_interface(const char *s, struct error **err)
{
	if (strlen(s) > INTERFACE_MAX)
		return error_set(err, ERR_INVALID,
				 "\"%.80s\" is longer than %d characters, the limit of Linux for "
				 "network interfaces",
				 s, INTERFACE_MAX);
	if (!only(s, LOWER UPPER DIGITS "-_.@") || str_eq(s, ".") || str_eq(s, ".."))
		return error_set(err, ERR_INVALID,
				 "\"%s\" is not a name for a network interface: use letters, digits, "
				 "\"-\", \"_\" and \".\"",
				 s);
	return 0;
}

int syntax_tap_prefix(const char *s, struct error **err)
{
	if (strlen(s) > INTERFACE_MAX - 1)
		return error_set(err, ERR_INVALID,
				 "\"%.80s\" is longer than %d characters; the VM's number must fit "
				 "behind it in the %d of an interface name",
				 s, INTERFACE_MAX - 1, INTERFACE_MAX);
	return syntax_interface(s, err);
}

int syntax_gateway(const char *s, struct error **err)
{
	struct ip4_cidr c;

	if (ip4_parse_cidr(s, &c, err) < 0)
		return -1;
	if (c.prefix < 8 || c.prefix > 30)
		return error_set(err, ERR_INVALID, "the prefix length of \"%s\" must be from 8 to 30", s);
	if (c.addr == ip4_network(c) || c.addr == ip4_broadcast(c))
		return error_set(err, ERR_INVALID,
				 "\"%s\" is the network or broadcast address of its subnet; give "
				 "the gateway's own, "
				 "usually the one that ends in .1",
				 s);
	return 0;
}

int syntax_range(const char *s, struct error **err)
{
	struct ip4_range r;
	struct ip4_cidr c;

	return strchr(s, '/') ? ip4_parse_cidr(s, &c, err) : ip4_parse_range(s, &r, err);
}

int syntax_address(const char *s, struct error **err)
{
	struct ip4_cidr c;

	return ip4_parse_cidr_or_addr(s, &c, err);
}

int syntax_ip(const char *s, struct error **err)
{
	uint32_t addr;

	return ip4_parse(s, &addr, err);
}

int syntax_rule(const char *s, struct error **err)
{
	struct ip4_rule r;

	return ip4_parse_rule(s, &r, err);
}

int syntax_forward(const char *s, struct error **err)
{
	struct ip4_forward f;

	return ip4_parse_forward(s, &f, err);
}

int syntax_socket_path(const char *s, struct error **err)
{
	if (!*s)
		return error_set(err, ERR_INVALID, "the path of the socket is empty");
	if (strlen(s) > SOCKET_PATH_MAX)
		return error_set(err, ERR_INVALID, "the path of the socket is %zu bytes long; Unix sockets allow %d",
				 strlen(s), SOCKET_PATH_MAX);
	return 0;
}

int syntax_bind_address(const char *s, struct error **err)
{
	size_t len = strlen(s);
	cleanup_free char *addr = str_ndup(s, len && s[len - 1] == ':' ? len - 1 : len);
	uint32_t ip;

	if (config_is_socket_path(addr))
		return syntax_socket_path(addr, err);
	if (str_eq(addr, "localhost") || ip4_parse(addr, &ip, NULL) == 0)
		return 0;
	return error_set(err, ERR_INVALID,
			 "\"%s\" is neither an IPv4 address such as 127.0.0.1 nor the path of a "
			 "Unix socket such as "
			 "./slicer.sock",
			 s);
}

int syntax_github_user(const char *s, struct error **err)
{
	if (!only(s, LOWER UPPER DIGITS "-_") || strlen(s) > 39)
		return error_set(err, ERR_INVALID, "\"%.80s\" is not the name of one GitHub user", s);
	return 0;
}

/* authorized_keys(5), a type and the key, perhaps after options. Keys of hardware and
 * certificates have types of their own; a new one begins like these. */
static int check_key_line(const char *line, struct error **err)
{
	static const char *const types[] = {"ssh-", "ecdsa-", "sk-", "cert-authority"};
	bool has_type = false;

	for (const char *word = line, *next; *word; word = next) {
		next = word + strcspn(word, " \t");
		next += strspn(next, " \t");
		for (size_t i = 0; *next && i < ARRAY_LEN(types); i++)
			has_type = has_type || str_starts(word, types[i]);
	}
	if (!has_type)
		return error_set(err, ERR_INVALID,
				 "\"%.40s\" is not a public key: a line of a .pub file has a type "
				 "and the key, such as "
				 "\"ssh-ed25519 AAAA... me@host\"",
				 line);
	return 0;
}

int syntax_ssh_key(const char *s, struct error **err)
{
	cleanup_strv char **lines = strv_split(s, '\n');
	size_t keys = 0;

	if (strstr(s, "PRIVATE KEY"))
		return error_set(err, ERR_INVALID, "this is a private key; give the public one, from the .pub file");
	for (size_t i = 0; lines[i]; i++) {
		const char *line = str_trim(lines[i]);

		if (!*line || *line == '#')
			continue;
		if (check_key_line(line, err) < 0)
			return -1;
		keys++;
	}
	return keys ? 0 : error_set(err, ERR_INVALID, "there is no public key in it");
}

int syntax_pci_address(const char *s, struct error **err)
{
	static const char hex[] = "0123456789abcdefABCDEF";
	const char *pattern = strlen(s) == 7 ? "xx:xx.o" : "xxxx:xx:xx.o";

	for (size_t i = 0; i <= strlen(pattern); i++) {
		bool ok = pattern[i] == 'x'   ? s[i] && strchr(hex, s[i])
			  : pattern[i] == 'o' ? s[i] >= '0' && s[i] <= '7'
					      : s[i] == pattern[i];

		if (!ok)
			return error_set(err, ERR_INVALID, "\"%s\" is not a PCI address such as 0000:04:00.0", s);
	}
	return 0;
}

int syntax_image(const char *s, struct error **err)
{
	if (!only(s, LOWER UPPER DIGITS "-_./:@+") || s[0] == '-')
		return error_set(err, ERR_INVALID,
				 "\"%.80s\" is not an image: give a name such as micro or an OCI "
				 "reference such as "
				 "ghcr.io/OWNER/NAME:TAG",
				 s);
	return 0;
}

int syntax_secret_name(const char *s, struct error **err)
{
	if (!only(s, LOWER UPPER DIGITS "-_.") || s[0] == '.')
		return error_set(err, ERR_INVALID,
				 "\"%.80s\" is not the name of a secret: use letters, digits, "
				 "\"-\", \"_\" and \".\"",
				 s);
	return 0;
}
