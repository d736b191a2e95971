/* SPDX-License-Identifier: MIT */
#ifndef SLICER_IMAGE_SSH_KEYS_H
#define SLICER_IMAGE_SSH_KEYS_H

#include <stddef.h>

enum { SSH_KEYS_MAX = 64, SSH_KEY_LINE_MAX = 16 * 1024 };

/* The lines of a text from outside that are OpenSSH public keys, "TYPE BASE64 [COMMENT]" (sshd(8), AUTHORIZED_KEYS FILE FORMAT,
 * without options): a type that sshd knows, a blob that says the same type (RFC 4253 §6.6), printable ASCII. Each key once, at
 * most SSH_KEYS_MAX; the comment goes. The caller's; NULL: none. */
char **ssh_keys_parse(const char *text);

#endif
