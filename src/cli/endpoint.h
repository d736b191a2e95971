/* SPDX-License-Identifier: MIT */
/* Where the daemon is and with which token to speak to it: options before environment before defaults. */
#ifndef SLICER_CLI_ENDPOINT_H
#define SLICER_CLI_ENDPOINT_H

#include "cli/options.h"

struct endpoint {
	char *socket_path; /* a Unix socket; NULL: TCP */
	char *host;
	uint16_t port;
	char *shown;	  /* for messages: "http://127.0.0.1:8080" or the socket's path */
	char *token;	  /* NULL: none */
	char *token_from; /* for messages: where the token came from, or why there is none */
};
void endpoint_clear(struct endpoint *e);
#define cleanup_endpoint __attribute__((cleanup(endpoint_clear)))

/* A base URL. "unix://PATH", and what begins with /, ./, ../ or ~/ or ends in .sock, is a Unix socket; the rest is
 * http://HOST[:PORT][/ignored], "http://" may be missing. Fills socket_path or host and port, and shown. ERR_INVALID. */
int endpoint_parse_url(const char *url, struct endpoint *ret, struct error **err);

/* Must a name be asked for, of resolvers that may not answer for long? Not of sockets, IPv4 addresses and localhost. */
bool endpoint_has_name(const struct endpoint *e);

/* --url, SLICER_URL, `otherwise` (may be NULL), ./slicer.sock if there is one, http://127.0.0.1:8080; --token, --token-file, SLICER_TOKEN,
 * SLICER_TOKEN_FILE, /var/lib/slicer/auth/token if it can be read. */
int endpoint_find(const struct parsed *args, const char *otherwise, struct endpoint *ret, struct error **err);
bool endpoint_is_given(const struct parsed *args); /* by --url or SLICER_URL */
/* The token that the daemon's configuration `from` holds (NULL: none); the user's own, by option or environment, is kept. */
void endpoint_offer_token(struct endpoint *e, const struct parsed *args, const char *token, const char *from);

#endif
