/* SPDX-License-Identifier: MIT */
/* The error object: every function that can fail takes `struct error **err` last and returns -1 (or NULL)
 * with *err set. Callers prepend context with error_wrap(). `err` may be NULL where the reason is of no use. */
#ifndef SLICER_BASE_ERROR_H
#define SLICER_BASE_ERROR_H

#include <stdarg.h>
#include "base/mem.h"

/* What kind of failure it is. The API maps it to an HTTP status, the CLI to an exit code (error.c has both tables). */
enum error_code {
	ERR_INTERNAL = 1, /* 500: a bug or a broken invariant */
	ERR_INVALID,	  /* 400, exit 2: input that cannot be right */
	ERR_UNAUTHORIZED, /* 401 */
	ERR_FORBIDDEN,	  /* 403: refused by a rule (protected VM) or for want of privilege */
	ERR_NOT_FOUND,	  /* 404 */
	ERR_TIMEOUT,	  /* 408: a deadline passed */
	ERR_CONFLICT,	  /* 409: legal, but not in the present state */
	ERR_GONE,	  /* 410 */
	ERR_TOO_LARGE,	  /* 413: over a limit of ours */
	ERR_NO_SPACE,	  /* 507 */
	ERR_IO,		  /* 500: a system call failed; see sys_errno */
	ERR_PROTOCOL,	  /* 502: a peer broke its protocol */
	ERR_UNSUPPORTED,  /* 501: this hypervisor, host or version cannot */
	ERR_UNAVAILABLE,  /* 503: a peer is not reachable, or a budget is used up */
	ERR_CANCELLED,	  /* 499: the client left */
};

struct error {
	enum error_code code;
	int sys_errno; /* 0 when no system call failed */
	char *message; /* outermost context first; no newline at the end */
};

/* All return -1, so that `return error_set(err, ...)` reads well. They overwrite nothing: *err must be NULL. */
int error_set(struct error **err, enum error_code code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Appends ": " and the text of `errnum`; the code follows from it (ENOENT → ERR_NOT_FOUND, ENOSPC → ERR_NO_SPACE,
 * EACCES/EPERM → ERR_FORBIDDEN, ETIMEDOUT → ERR_TIMEOUT, else ERR_IO). */
int error_errno(struct error **err, int errnum, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Prepends "context: " to an error that is set; does nothing when *err is NULL. */
int error_wrap(struct error **err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Moves an error out of a local: *dst = *src, *src = NULL. Frees *src if dst is NULL. Returns -1. */
int error_move(struct error **dst, struct error **src);
struct error *error_copy(const struct error *err); /* the caller owns the copy; NULL for NULL */

#ifdef __clang_analyzer__ /* it looks at one file at a time, and must know that no failure goes on as a success */
#define error_set(...) (error_set(__VA_ARGS__), -1)
#define error_errno(...) (error_errno(__VA_ARGS__), -1)
#define error_wrap(...) (error_wrap(__VA_ARGS__), -1)
#define error_move(...) (error_move(__VA_ARGS__), -1)
#endif

void error_free(struct error **err);		    /* NULL-safe; *err becomes NULL */
const char *error_message(const struct error *err); /* "unknown error" for NULL; borrowed */
int error_http_status(const struct error *err);
int error_exit_code(const struct error *err); /* 2 for ERR_INVALID, else 1 */

#define cleanup_error __attribute__((cleanup(error_free)))

#endif
