/* SPDX-License-Identifier: MIT */
#include "config/ip4.h"
#include "base/str.h"

#define LOOPBACK 0x7f000001U

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* A decimal number without leading zeros at *s; moves *s behind it. */
static bool read_number(const char **s, unsigned max, unsigned *ret)
{
	const char *p = *s;
	unsigned n = 0;

	if (!is_digit(*p) || (p[0] == '0' && is_digit(p[1])))
		return false;
	while (is_digit(*p)) {
		n = n * 10 + (unsigned)(*p++ - '0');
		if (n > max)
			return false;
	}
	*ret = n;
	*s = p;
	return true;
}

static bool read_addr(const char **s, uint32_t *ret)
{
	const char *p = *s;
	uint32_t addr = 0;
	unsigned part;

	for (int i = 0; i < 4; i++) {
		if (i > 0 && *p++ != '.')
			return false;
		if (!read_number(&p, 255, &part))
			return false;
		addr = addr << 8 | part;
	}
	*ret = addr;
	*s = p;
	return true;
}

static bool read_cidr(const char **s, struct ip4_cidr *ret)
{
	const char *p = *s;
	struct ip4_cidr c;

	if (!read_addr(&p, &c.addr) || *p++ != '/' || !read_number(&p, 32, &c.prefix))
		return false;
	*ret = c;
	*s = p;
	return true;
}

int ip4_parse(const char *s, uint32_t *ret, struct error **err)
{
	const char *p = s;

	if (!read_addr(&p, ret) || *p)
		return error_set(err, ERR_INVALID, "\"%s\" is not an IPv4 address such as 192.168.137.2", s);
	return 0;
}

int ip4_parse_cidr(const char *s, struct ip4_cidr *ret, struct error **err)
{
	const char *p = s;

	if (!read_cidr(&p, ret) || *p)
		return error_set(err, ERR_INVALID,
				 "\"%s\" is not an IPv4 address with a prefix length, such as 192.168.137.1/24", s);
	return 0;
}

int ip4_parse_cidr_or_addr(const char *s, struct ip4_cidr *ret, struct error **err)
{
	if (strchr(s, '/'))
		return ip4_parse_cidr(s, ret, err);
	ret->prefix = 32;
	return ip4_parse(s, &ret->addr, err);
}

int ip4_parse_range(const char *s, struct ip4_range *ret, struct error **err)
{
	const char *p = s;

	if (!read_addr(&p, &ret->first) || *p++ != '-' || !read_addr(&p, &ret->last) || *p)
		return error_set(err, ERR_INVALID,
				 "\"%s\" is not a range of IPv4 addresses such as 192.168.137.20-192.168.137.80", s);
	if (ret->first > ret->last)
		return error_set(err, ERR_INVALID, "the range \"%s\" ends before it begins", s);
	return 0;
}

uint32_t ip4_mask(unsigned prefix)
{
	return prefix == 0 ? 0 : UINT32_MAX << (32 - prefix);
}

uint32_t ip4_network(struct ip4_cidr c)
{
	return c.addr & ip4_mask(c.prefix);
}

uint32_t ip4_broadcast(struct ip4_cidr c)
{
	return c.addr | ~ip4_mask(c.prefix);
}

bool ip4_contains(struct ip4_cidr c, uint32_t addr)
{
	return (addr & ip4_mask(c.prefix)) == ip4_network(c);
}

bool ip4_overlaps(struct ip4_cidr a, struct ip4_cidr b)
{
	return ip4_contains(a, ip4_network(b)) || ip4_contains(b, ip4_network(a));
}

void ip4_format(uint32_t addr, char ret[IP4_TEXT_MAX])
{
	snprintf(ret, IP4_TEXT_MAX, "%u.%u.%u.%u", addr >> 24, addr >> 16 & 255, addr >> 8 & 255, addr & 255);
}

void ip4_format_cidr(struct ip4_cidr c, char ret[IP4_TEXT_MAX])
{
	char addr[IP4_TEXT_MAX];

	ip4_format(c.addr, addr);
	snprintf(ret, IP4_TEXT_MAX, "%.15s/%u", addr, c.prefix & 63);
}

int ip4_parse_rule(const char *s, struct ip4_rule *ret, struct error **err)
{
	struct ip4_rule r = {.dest.prefix = 32};
	const char *p = s;
	unsigned port;

	if (str_eq(s, "LAN")) {
		*ret = (struct ip4_rule){.lan = true};
		return 0;
	}
	if (!read_cidr(&p, &r.dest) && !read_addr(&p, &r.dest.addr))
		goto bad;
	if (*p == ':' && r.dest.prefix == 32 && !strchr(s, '/')) {
		p++;
		if (!read_number(&p, 65535, &port) || port == 0)
			goto bad;
		r.port = (uint16_t)port;
	}
	if (*p)
		goto bad;
	r.dest.addr = ip4_network(r.dest);
	*ret = r;
	return 0;
bad:
	return error_set(err, ERR_INVALID,
			 "\"%s\" is not a destination: give an IPv4 address, a CIDR such as 192.168.1.0/24, "
			 "ADDRESS:PORT, or LAN",
			 s);
}

int ip4_parse_forward(const char *s, struct ip4_forward *ret, struct error **err)
{
	struct ip4_forward f = {.host_addr = LOOPBACK, .guest_addr = LOOPBACK};
	const char *p = s;
	unsigned host, guest;

	if (read_addr(&p, &f.host_addr) && *p++ != ':')
		goto bad;
	if (!read_number(&p, 65535, &host) || *p++ != ':')
		goto bad;
	bool has_addr = read_addr(&p, &f.guest_addr);
	if (has_addr && *p++ != ':')
		goto bad;
	if (!read_number(&p, 65535, &guest) || *p || host == 0 || guest == 0)
		goto bad;
	f.host_port = (uint16_t)host;
	f.guest_port = (uint16_t)guest;
	*ret = f;
	return 0;
bad:
	return error_set(err, ERR_INVALID,
			 "\"%s\" is not a forward: give HOSTPORT:GUESTPORT, HOSTPORT:GUESTADDR:GUESTPORT or "
			 "HOSTADDR:HOSTPORT:GUESTADDR:GUESTPORT",
			 s);
}

const struct ip4_cidr *ip4_reserved(struct ip4_cidr c)
{
	static const struct ip4_cidr reserved[] = {
		{0xa9fe0000, 24}, /* 169.254.0.0/24 */
		{0xa9fe1400, 24}, /* 169.254.20.0/24 */
		{0xa9fe1900, 24}, /* 169.254.25.0/24 */
		{0xa9fe2a00, 24}, /* 169.254.42.0/24 */
		{0xa9fea800, 22}, /* 169.254.168.0/22 */
		{0xa9feff00, 24}, /* 169.254.255.0/24 */
	};

	for (size_t i = 0; i < ARRAY_LEN(reserved); i++)
		if (ip4_overlaps(c, reserved[i]))
			return &reserved[i];
	return NULL;
}
