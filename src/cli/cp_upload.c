/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "base/fs.h"
#include "cli/cp_copy.h"
#include "cli/cp_source.h"
#include "cli/progress.h"
#include "cli/transfer.h"

struct upload {
	const struct cp_spec *spec;
	struct cp_source *source;
	struct progress progress;
};

bool cp_mode_refused(int status, const char *refusal, const char *mode)
{
	cleanup_free char *text = str_fmt("invalid mode: %s", mode);
	const char *at = status == 400 && refusal ? strstr(refusal, text) : NULL;

	return at && strspn(at + strlen(text), "abcdefghijklmnopqrstuvwxyz-") == 0;
}

char *cp_target(const char *vm, const struct cp_spec *spec, const char *mode)
{
	char *target = target_new("/vm/%s/cp", vm);

	target_add(&target, "path", spec->remote);
	target_add(&target, "mode", mode);
	if (str_starts(mode, "cp-v1-"))
		target_add(&target, "copy_semantics", "cp-v1");
	target_add_all(&target, "exclude", spec->exclude);
	if (spec->uid >= 0)
		target_add_int(&target, "uid", (uint64_t)spec->uid);
	if (spec->gid >= 0)
		target_add_int(&target, "gid", (uint64_t)spec->gid);
	return target;
}

static ssize_t produce(void *arg, void *buffer, size_t n, struct error **err)
{
	struct upload *u = arg;
	ssize_t got = cp_source_read(u->source, buffer, n, err);

	if (got > 0)
		progress_add(&u->progress, (uint64_t)got);
	return got;
}

static const struct transfer_ops upload_ops = {.produce = produce};

static int open_source(struct upload *u, struct error **err)
{
	const char *path = u->spec->local;
	struct stat st;

	cp_source_free(&u->source);
	if (!u->spec->recursive) {
		u->source = cp_source_file(path, err);
		if (u->source && S_ISDIR(cp_source_stat(u->source)->st_mode))
			return error_set(err, ERR_INVALID, "%s is a directory; add --recursive", path);
		return u->source ? 0 : -1;
	}
	if (lstat(path, &st))
		return error_errno(err, errno, "cannot read %s", path);
	if (S_ISLNK(st.st_mode))
		return error_set(err, ERR_INVALID,
				 "%s is a symbolic link; name what it points to, or \"%s/.\" for the "
				 "contents of the directory there",
				 path, path);
	u->source = S_ISDIR(st.st_mode) ? cp_source_tree(path, u->spec->exclude, err) : cp_source_file(path, err);
	return u->source ? 0 : -1;
}

/* The name that the source has on its way: its last segment. */
static char *source_name(const char *path)
{
	cleanup_free char *real = cp_is_contents(path) ? realpath(path, NULL) : str_dup(path);
	char *name = fs_basename(real ? real : path);

	if (*name && !str_eq(name, "/"))
		return name;
	free(name);
	return str_dup("root");
}

static char *upload_target(const struct upload *u, const char *vm, bool directory, const char *mode)
{
	const struct cp_spec *spec = u->spec;
	cleanup_free char *name = source_name(spec->local);
	cleanup_free char *mode_bits = str_fmt("0%03o", cp_source_stat(u->source)->st_mode & 0777);
	char *target = cp_target(vm, spec, mode);

	if (str_starts(mode, "cp-v1-")) {
		target_add(&target, "source_name", name);
		target_add(&target, "source_type", directory ? "directory" : "file");
		target_add(&target, "copy_contents", spec->contents ? "true" : NULL);
	}
	if (spec->permissions)
		target_add(&target, "permissions", spec->permissions);
	else if (!directory && S_ISREG(cp_source_stat(u->source)->st_mode))
		target_add(&target, "permissions", mode_bits);
	return target;
}

/* One try with one mode; reads the source from its beginning. */
static int attempt(struct client *c, const char *vm, struct upload *u, bool v1, struct transfer_result *ret,
		   struct error **err)
{
	cleanup_free char *target = NULL, *mode = NULL;
	struct http_head *head;
	bool directory;
	int rc;

	if (open_source(u, err))
		return -1;
	directory = S_ISDIR(cp_source_stat(u->source)->st_mode);
	mode = str_fmt("%s%s", v1 ? "cp-v1-" : "", directory ? "tar" : "binary");
	target = upload_target(u, vm, directory, mode);
	head = client_head(c, "POST", target);
	head->content_length = -1;
	http_head_add(head, "content-type", directory ? "application/x-tar" : "application/octet-stream");
	if (directory) {
		cleanup_free char *size = str_fmt("%llu", (unsigned long long)cp_source_size(u->source));

		http_head_add(head, "x-slicer-unpacked-size", size);
	}
	progress_begin(&u->progress, u->spec->local, cp_source_size(u->source));
	rc = transfer_run(c, head, &upload_ops, u, ret, err);
	progress_end(&u->progress);
	if (rc && cp_mode_refused(ret->status, ret->refusal, mode))
		rc = -2;
	return rc;
}

/* The same, and once more without the rules of v1 when the agent is too old for them. */
static int attempt_modes(struct client *c, const char *vm, struct upload *u, int *ret_status, struct error **err)
{
	struct transfer_result result = {0};
	cleanup_error struct error *first = NULL;
	int rc = attempt(c, vm, u, true, &result, &first);

	free(TAKE_PTR(result.refusal));
	if (rc == -2) {
		error_free(&first);
		rc = attempt(c, vm, u, false, &result, &first);
		free(TAKE_PTR(result.refusal));
	}
	*ret_status = result.status;
	if (first)
		return error_move(err, &first);
	return rc;
}

int cp_upload(struct client *c, char **vm, const struct cp_spec *spec, struct error **err)
{
	struct upload u = {.spec = spec};
	cleanup_error struct error *first = NULL;
	int status = 0;
	int rc = attempt_modes(c, *vm, &u, &status, &first);
	char *hostname = rc && status == 404 ? vm_by_friendly_name(c, *vm) : NULL;

	if (hostname) {
		free(*vm);
		*vm = hostname;
		error_free(&first);
		rc = attempt_modes(c, *vm, &u, &status, &first);
	}
	if (!rc && cp_source_skipped(u.source))
		fprintf(stderr, "slicer: warning: %llu symbolic links or special files were not copied\n",
			(unsigned long long)cp_source_skipped(u.source));
	cp_source_free(&u.source);
	return first ? error_move(err, &first) : rc;
}
