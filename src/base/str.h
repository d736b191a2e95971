/* SPDX-License-Identifier: MIT */
/* Strings, string lists and byte encodings. Everything returned as `char *` or `char **` is the caller's. */
#ifndef SLICER_BASE_STR_H
#define SLICER_BASE_STR_H

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "base/error.h"

char *str_dup(const char *s); /* NULL for NULL */
char *str_ndup(const char *s, size_t n);
char *str_fmt(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
char *str_vfmt(const char *fmt, va_list ap) __attribute__((format(printf, 1, 0)));
bool str_eq(const char *a, const char *b); /* two NULLs are equal */
bool str_starts(const char *s, const char *prefix);
bool str_ends(const char *s, const char *suffix);
char *str_trim(char *s); /* in place; returns the first character that is not white space */
/* Digits only, no sign, no leading or trailing space; `what` names the value in the error. */
int str_to_u64(const char *s, uint64_t min, uint64_t max, const char *what, uint64_t *ret, struct error **err);
/* For logs and terminals: control bytes and invalid UTF-8 become \xNN. */
char *str_escape(const char *s, size_t n);

/* NULL-terminated lists of strings; NULL is the empty list. */
size_t strv_len(char *const *list);
void strv_append(char ***list, const char *s);
void strv_append_take(char ***list, char *s); /* owns s from here on */
void strv_append_fmt(char ***list, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
char **strv_copy(char *const *list);
char **strv_split(const char *s, char sep); /* keeps empty parts; "" gives one empty part */
char *strv_join(char *const *list, const char *sep);
bool strv_contains(char *const *list, const char *s);
void strv_free(char ***list);
#define cleanup_strv __attribute__((cleanup(strv_free)))

char *hex_encode(const void *data, size_t n);
int hex_decode(const char *s, void *ret, size_t n); /* exactly 2n digits, else -1 */
int hex_digit(char c);				    /* its value; -1: none */
#define BASE64_SIZE(n) (((n) + 2) / 3 * 4)	    /* characters of n bytes, padded */
char *base64_encode(const void *data, size_t n);    /* RFC 4648 §4, padded */
/* The same into `out`, which has room for BASE64_SIZE(n) characters; returns where they end. No NUL. */
char *base64_append(char *out, const void *data, size_t n);
char *base64url_encode(const void *data, size_t n); /* RFC 4648 §5, no padding */
/* Strict RFC 4648 §4: padding required, no white space. *ret is the caller's. */
int base64_decode(const char *s, size_t n, unsigned char **ret, size_t *ret_len, struct error **err);
void sha256(const void *data, size_t n, unsigned char ret[32]);
char *sha256_hex(const void *data, size_t n);
int random_bytes(void *ret, size_t n, struct error **err);   /* getrandom(2) */
bool bytes_equal_ct(const void *a, const void *b, size_t n); /* in constant time */

#endif
