/* SPDX-License-Identifier: MIT */
/* UTF-8 as RFC 3629 defines it: no overlong forms, no surrogates, nothing above U+10FFFF. */
#ifndef SLICER_BASE_UTF8_H
#define SLICER_BASE_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Length (1–4) of the character at s, of which n > 0 bytes may be read; 0 when it is not valid.
 * *ret_char (may be NULL) is its code point. */
size_t utf8_char(const char *s, size_t n, uint32_t *ret_char);
/* Writes a code point (at most U+10FFFF) as 1–4 bytes; returns how many. */
size_t utf8_put(uint32_t c, char ret[4]);
/* A copy with U+FFFD for each invalid byte; the caller's. */
char *utf8_sanitize(const char *s);

#endif
