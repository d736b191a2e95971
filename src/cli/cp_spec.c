/* SPDX-License-Identifier: MIT */
#include "cli/cp_spec.h"

void cp_spec_clear(struct cp_spec *s)
{
	free(s->vm);
	free(s->remote);
	free(s->local);
	strv_free(&s->exclude);
	*s = (struct cp_spec){0};
}

bool cp_split_remote(const char *text, char **ret_vm, char **ret_path)
{
	size_t n = strcspn(text, ":/");

	if (text[n] != ':')
		return false;
	*ret_vm = str_ndup(text, n);
	*ret_path = str_dup(text[n + 1] ? text + n + 1 : "~");
	return true;
}

bool cp_is_contents(const char *path)
{
	return str_eq(path, "/") || str_eq(path, ".") || str_eq(path, "..") || str_ends(path, "/.") ||
	       str_ends(path, "/..");
}

static int parse_mode(const struct parsed *args, struct cp_spec *ret, struct error **err)
{
	const char *mode = parsed_string(args, "mode");

	ret->recursive = parsed_bool(args, "recursive", false);
	if (!mode)
		return 0;
	if (str_eq(mode, "tar"))
		ret->recursive = true;
	else if (!str_eq(mode, "binary"))
		return error_set(err, ERR_INVALID, "--mode is binary or tar, not \"%s\"", mode);
	else if (ret->recursive)
		return error_set(err, ERR_INVALID, "--mode binary copies one file and excludes --recursive");
	return 0;
}

static int parse_permissions(const struct parsed *args, struct cp_spec *ret, struct error **err)
{
	const char *text = parsed_string(args, "permissions");

	if (!text)
		return 0;
	if (!*text || strlen(text) > 4 || strspn(text, "01234567") != strlen(text) ||
	    (strlen(text) == 4 && *text != '0'))
		return error_set(err, ERR_INVALID, "--permissions takes an octal mode such as 0644, not \"%s\"", text);
	if (ret->recursive)
		return error_set(err, ERR_INVALID, "--permissions is for single files and excludes --recursive");
	ret->permissions = text;
	return 0;
}

static int parse_sides(const struct parsed *args, struct cp_spec *ret, struct error **err)
{
	const char *source = args->args[0], *target = args->args[1];
	cleanup_free char *other_vm = NULL, *other_path = NULL;

	if (cp_split_remote(source, &ret->vm, &ret->remote)) {
		if (cp_split_remote(target, &other_vm, &other_path))
			return error_set(err, ERR_INVALID,
					 "one of \"%s\" and \"%s\" must be on this host; write ./NAME "
					 "for a local file with a colon in its name",
					 source, target);
		ret->local = str_dup(target);
		return 0;
	}
	ret->upload = true;
	if (!cp_split_remote(target, &ret->vm, &ret->remote))
		return error_set(err, ERR_INVALID, "neither \"%s\" nor \"%s\" is in a VM; write it as VM:PATH", source,
				 target);
	ret->local = str_dup(source);
	return 0;
}

/* Other programs mean standard input or output by it, and would not write a file of that name. */
static int refuse_dash(const struct cp_spec *s, struct error **err)
{
	if (!str_eq(s->local, "-"))
		return 0;
	return error_set(
		err, ERR_INVALID,
		s->upload
			? "\"-\" is not standard input here: use slicer vm exec %s -- 'cat > %s', or write ./- for a "
			  "file of that name"
			: "\"-\" is not standard output here: use slicer vm exec %s -- cat %s, or write ./- for a file "
			  "of that name",
		*s->vm ? s->vm : "VM", s->remote);
}

int cp_spec_parse(const struct parsed *args, struct cp_spec *ret, struct error **err)
{
	if (parse_mode(args, ret, err) || parse_permissions(args, ret, err) || parse_sides(args, ret, err) ||
	    refuse_dash(ret, err))
		return -1;
	if (!*ret->local)
		return error_set(err, ERR_INVALID, "the local path is empty");
	ret->contents = ret->recursive && cp_is_contents(ret->upload ? ret->local : ret->remote);
	ret->exclude = parsed_strings(args, "exclude");
	ret->uid = parsed_given(args, "uid") ? (int64_t)parsed_int(args, "uid", 0) : -1;
	ret->gid = parsed_given(args, "gid") ? (int64_t)parsed_int(args, "gid", 0) : -1;
	if (ret->exclude && !ret->recursive)
		return error_set(err, ERR_INVALID, "--exclude is for directories; add --recursive");
	return 0;
}
