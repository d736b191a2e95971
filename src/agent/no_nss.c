/* SPDX-License-Identifier: MIT */
/*
 * libevent's archive brings its resolver along, and with that glibc's NSS, which in a static program loads the guest's
 * modules and its libc. The agent never resolves names itself, so the linker puts these (--wrap) in the place of glibc's.
 */
#include <netdb.h>
#include <stddef.h>

int __wrap_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **ret);
struct protoent *__wrap_getprotobynumber(int number);
struct servent *__wrap_getservbyname(const char *name, const char *protocol);

int __wrap_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **ret)
{
	return EAI_FAIL;
}

struct protoent *__wrap_getprotobynumber(int number)
{
	return NULL;
}

struct servent *__wrap_getservbyname(const char *name, const char *protocol)
{
	return NULL;
}
