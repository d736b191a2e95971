/* SPDX-License-Identifier: MIT */
#include "base/error.h"
#undef error_set /* what the header says to clang's analyzer */
#undef error_errno
#undef error_wrap
#undef error_move

#include <errno.h>
#include <string.h>

#include "base/str.h"

static const int http_status[] = {
	[ERR_INTERNAL] = 500,	 [ERR_INVALID] = 400,	  [ERR_UNAUTHORIZED] = 401, [ERR_FORBIDDEN] = 403,
	[ERR_NOT_FOUND] = 404,	 [ERR_TIMEOUT] = 408,	  [ERR_CONFLICT] = 409,	    [ERR_GONE] = 410,
	[ERR_TOO_LARGE] = 413,	 [ERR_NO_SPACE] = 507,	  [ERR_IO] = 500,	    [ERR_PROTOCOL] = 502,
	[ERR_UNSUPPORTED] = 501, [ERR_UNAVAILABLE] = 503, [ERR_CANCELLED] = 499,
};

static const struct {
	int errnum;
	enum error_code code;
} errno_codes[] = {
	{ENOENT, ERR_NOT_FOUND}, {ENOSPC, ERR_NO_SPACE},   {EACCES, ERR_FORBIDDEN},
	{EPERM, ERR_FORBIDDEN},	 {ETIMEDOUT, ERR_TIMEOUT},
};

/* Owns `message`. The first error is the cause: a later one never replaces it. */
static int store(struct error **err, enum error_code code, int errnum, char *message)
{
	if (!err || *err) {
		free(message);
		return -1;
	}
	*err = NEW(struct error);
	(*err)->code = code;
	(*err)->sys_errno = errnum;
	(*err)->message = message;
	return -1;
}

int error_set(struct error **err, enum error_code code, const char *fmt, ...)
{
	char *message;
	va_list ap;

	if (!err)
		return -1;
	va_start(ap, fmt);
	message = str_vfmt(fmt, ap);
	va_end(ap);
	return store(err, code, 0, message);
}

static enum error_code code_of_errno(int errnum)
{
	for (size_t i = 0; i < ARRAY_LEN(errno_codes); i++)
		if (errno_codes[i].errnum == errnum)
			return errno_codes[i].code;
	return ERR_IO;
}

int error_errno(struct error **err, int errnum, const char *fmt, ...)
{
	/* Not strerror(): it is not thread-safe, and strerror_r() may load message catalogues. */
	const char *text = strerrordesc_np(errnum);
	cleanup_free char *context = NULL;
	char *message;
	va_list ap;

	if (!err)
		return -1;
	va_start(ap, fmt);
	context = str_vfmt(fmt, ap);
	va_end(ap);
	message = text ? str_fmt("%s: %s", context, text) : str_fmt("%s: error %d", context, errnum);
	return store(err, code_of_errno(errnum), errnum, message);
}

int error_wrap(struct error **err, const char *fmt, ...)
{
	cleanup_free char *context = NULL;
	char *message;
	va_list ap;

	if (!err || !*err)
		return -1;
	va_start(ap, fmt);
	context = str_vfmt(fmt, ap);
	va_end(ap);
	message = str_fmt("%s: %s", context, (*err)->message);
	free((*err)->message);
	(*err)->message = message;
	return -1;
}

int error_move(struct error **dst, struct error **src)
{
	if (!dst || *dst)
		error_free(src);
	else
		*dst = TAKE_PTR(*src);
	return -1;
}

struct error *error_copy(const struct error *err)
{
	struct error *copy;

	if (!err)
		return NULL;
	copy = NEW(struct error);
	copy->code = err->code;
	copy->sys_errno = err->sys_errno;
	copy->message = str_dup(err->message);
	return copy;
}

void error_free(struct error **err)
{
	if (!err || !*err)
		return;
	free((*err)->message);
	free(*err);
	*err = NULL;
}

const char *error_message(const struct error *err)
{
	return err ? err->message : "unknown error";
}

int error_http_status(const struct error *err)
{
	size_t code = err ? (size_t)err->code : 0;

	return code && code < ARRAY_LEN(http_status) ? http_status[code] : 500;
}

int error_exit_code(const struct error *err)
{
	return err && err->code == ERR_INVALID ? 2 : 1;
}
