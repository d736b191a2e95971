/* SPDX-License-Identifier: MIT */
#include "base/fs.h"
#include "cli/cp_copy.h"
#include "cli/cp_sink.h"
#include "cli/progress.h"
#include "cli/transfer.h"

struct download {
	const struct cp_spec *spec;
	const char *mode;
	struct cp_sink *sink;
	struct progress progress;
};

static bool is_name(const char *name)
{
	return *name && !strchr(name, '/') && !str_eq(name, ".") && !str_eq(name, "..") && strlen(name) <= 255;
}

static char *last_segment(const char *path)
{
	size_t n = strlen(path), start;

	while (n > 1 && path[n - 1] == '/')
		n--;
	for (start = n; start > 0 && path[start - 1] != '/'; start--)
		;
	return str_ndup(path + start, n - start);
}

/* base64url (RFC 4648 §5) without padding. NULL when it is not that. */
static char *decode_name(const char *text)
{
	cleanup_free char *standard = str_fmt("%s%.*s", text, (int)((4 - strlen(text) % 4) % 4), "===");
	unsigned char *bytes = NULL;
	size_t n = 0;

	for (char *c = standard; *c; c++)
		*c = *c == '-' ? '+' : *c == '_' ? '/' : *c;
	if (base64_decode(standard, strlen(standard), &bytes, &n, NULL))
		return NULL;
	if (strlen((char *)bytes) != n) {
		free(bytes);
		return NULL;
	}
	return (char *)bytes;
}

/* What the answer says about the source; *ret_name is the caller's. */
static int read_source(const struct download *d, const struct http_head *response, bool *ret_directory, char **ret_name,
		       struct error **err)
{
	const char *type = http_head_get(response, "x-slicer-source-type");
	const char *encoded = http_head_get(response, "x-slicer-source-name-base64");
	cleanup_free char *name = encoded ? decode_name(encoded) : last_segment(d->spec->remote);

	*ret_directory = str_eq(d->mode, "tar");
	if (str_starts(d->mode, "cp-v1-")) {
		*ret_directory = str_eq(type, "directory");
		if (!*ret_directory && !str_eq(type, "file"))
			return error_set(err, ERR_PROTOCOL, "the guest's agent does not say what %s is",
					 d->spec->remote);
	}
	if (*ret_directory && !d->spec->recursive)
		return error_set(err, ERR_INVALID, "%s is a directory; add --recursive", d->spec->remote);
	if (*ret_directory && d->spec->contents && !encoded) {
		*ret_name = str_dup("");
		return 0;
	}
	if (!name || !is_name(name))
		return error_set(err, ERR_PROTOCOL, "the guest's agent gives %s an impossible name", d->spec->remote);
	*ret_name = TAKE_PTR(name);
	return 0;
}

static mode_t file_mode(const struct cp_spec *spec, const struct http_head *response)
{
	const char *text = spec->permissions;

	if (!text)
		text = http_head_get(response, "x-slicer-file-mode");
	if (!text || !*text || strlen(text) > 6 || strspn(text, "01234567") != strlen(text))
		return 0600;
	return (mode_t)strtoul(text, NULL, 8) & 0777;
}

static int begin(void *arg, const struct http_head *response, struct error **err)
{
	struct download *d = arg;
	cleanup_free char *name = NULL;
	bool directory = false;

	if (read_source(d, response, &directory, &name, err))
		return -1;
	if (directory)
		d->sink = cp_sink_tree(d->spec->local, name, d->spec->contents, err);
	else
		d->sink = cp_sink_file(d->spec->local, name, file_mode(d->spec, response), err);
	progress_begin(&d->progress, d->spec->remote,
		       response->content_length > 0 ? (uint64_t)response->content_length : 0);
	return d->sink ? 0 : -1;
}

static int consume(void *arg, const void *data, size_t n, struct error **err)
{
	struct download *d = arg;

	progress_add(&d->progress, n);
	return cp_sink_write(d->sink, data, n, err);
}

static const struct transfer_ops download_ops = {.begin = begin, .consume = consume};

static int attempt(struct client *c, const char *vm, struct download *d, struct transfer_result *ret,
		   struct error **err)
{
	cleanup_free char *target = cp_target(vm, d->spec, d->mode);
	struct http_head *head = client_head(c, "GET", target);
	int rc;

	http_head_add(head, "accept",
		      !d->spec->recursive	      ? "application/octet-stream"
		      : str_starts(d->mode, "cp-v1-") ? "application/octet-stream, application/x-tar"
						      : "application/x-tar");
	free(TAKE_PTR(ret->refusal));
	rc = transfer_run(c, head, &download_ops, d, ret, err);
	if (rc && ret->broke_off)
		vm_explain_loss(c, vm, "the transfer broke off", err);
	if (!rc && !d->sink)
		rc = error_set(err, ERR_PROTOCOL, "the daemon sent nothing");
	if (!rc)
		rc = cp_sink_commit(d->sink, err);
	cp_sink_free(&d->sink);
	progress_end(&d->progress);
	return rc;
}

static bool says_directory(const struct transfer_result *result)
{
	return result->status == 400 && result->refusal &&
	       strstr(result->refusal, "must specify a file not a directory");
}

/* Old agents know "binary" and "tar" only, and have to be asked which of them it is. */
static int attempt_modes(struct client *c, const char *vm, struct download *d, struct transfer_result *ret,
			 struct error **err)
{
	cleanup_error struct error *why = NULL;
	int rc;

	d->mode = d->spec->recursive ? "cp-v1-recursive" : "cp-v1-binary";
	rc = attempt(c, vm, d, ret, &why);
	if (rc && cp_mode_refused(ret->status, ret->refusal, d->mode)) {
		error_free(&why);
		d->mode = "binary";
		rc = attempt(c, vm, d, ret, &why);
		if (rc && d->spec->recursive && says_directory(ret)) {
			error_free(&why);
			d->mode = "tar";
			rc = attempt(c, vm, d, ret, &why);
		}
	}
	if (rc && !d->spec->recursive && says_directory(ret))
		return error_set(err, ERR_CONFLICT, "%s is a directory; add --recursive", d->spec->remote);
	return why ? error_move(err, &why) : rc;
}

int cp_download(struct client *c, char **vm, const struct cp_spec *spec, struct error **err)
{
	struct download d = {.spec = spec};
	struct transfer_result result = {0};
	cleanup_error struct error *first = NULL;
	int rc = attempt_modes(c, *vm, &d, &result, &first);
	char *hostname = rc && result.status == 404 ? vm_by_friendly_name(c, *vm) : NULL;

	if (hostname) {
		free(*vm);
		*vm = hostname;
		error_free(&first);
		rc = attempt_modes(c, *vm, &d, &result, &first);
	}
	free(result.refusal);
	if (result.signo)
		return 128 + result.signo;
	return first ? error_move(err, &first) : rc;
}
