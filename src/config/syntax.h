/* SPDX-License-Identifier: MIT */
/* The form of single strings. Each returns 0, or -1 with ERR_INVALID and a text that says what is
 * wrong and what would be right, without naming the field: the caller knows it. They are the
 * `check` functions of the field tables. */
#ifndef SLICER_CONFIG_SYNTAX_H
#define SLICER_CONFIG_SYNTAX_H

#include "base/error.h"

/* "-" and five digits must fit behind it in a DNS label of 63 (RFC 1035 §2.3.4). */
#define GROUP_NAME_MAX 57

int syntax_group_name(const char *s, struct error **err);
/* A lower-case DNS label other than "commits". */
int syntax_hostname(const char *s, struct error **err);
/* A network interface of Linux: at most 15 characters. */
int syntax_interface(const char *s, struct error **err);
int syntax_tap_prefix(const char *s, struct error **err); /* at most 14: a digit must fit */
int syntax_gateway(const char *s, struct error **err);	  /* CIDR of a host, prefix 8 to 30 */
int syntax_range(const char *s, struct error **err);	  /* "A-B" or CIDR */
int syntax_address(const char *s, struct error **err);	  /* with or without a mask */
int syntax_ip(const char *s, struct error **err);
int syntax_rule(const char *s, struct error **err);    /* ip4_parse_rule */
int syntax_forward(const char *s, struct error **err); /* ip4_parse_forward */
/* IPv4 address, "localhost" or the path of a socket; a ":" at the end is ignored. */
int syntax_bind_address(const char *s, struct error **err);
int syntax_socket_path(const char *s, struct error **err); /* fits sockaddr_un (unix(7)) */
int syntax_github_user(const char *s, struct error **err);
/* Lines of authorized_keys(5); private keys are refused. */
int syntax_ssh_key(const char *s, struct error **err);
int syntax_pci_address(const char *s, struct error **err); /* 0000:04:00.0 or 04:00.0 */
int syntax_image(const char *s, struct error **err);	   /* a name or an OCI reference */
int syntax_secret_name(const char *s, struct error **err);

#endif
