/* SPDX-License-Identifier: MIT */
#include "base/str.h"
#include "agent/cp.h"

static const struct {
	const char *name;
	enum cp_mode mode;
	bool v1, get_only;
} modes[] = {
	{"binary", CP_BINARY, false, false},	       {"tar", CP_TAR, false, false},
	{"cp-v1-binary", CP_BINARY, true, false},      {"cp-v1-tar", CP_TAR, true, false},
	{"cp-v1-recursive", CP_RECURSIVE, true, true},
};

void cp_request_clear(struct cp_request *r)
{
	free(r->path);
	free(r->source_name);
	strv_free(&r->exclude);
	r->path = r->source_name = NULL;
}

static int parse_mode(const char *name, struct cp_request *r, struct error **err)
{
	if (!name || !*name)
		name = "binary";
	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		if (!str_eq(modes[i].name, name) || (modes[i].get_only && r->upload))
			continue;
		r->mode = modes[i].mode;
		r->v1 = modes[i].v1;
		return 0;
	}
	return error_set(err, ERR_INVALID, "invalid mode: %.80s", name);
}

static int parse_permissions(const char *s, struct cp_request *r, struct error **err)
{
	char *end;
	unsigned long mode;

	if (!s || !*s)
		return 0;
	mode = strtoul(s, &end, 8);
	if (s[strspn(s, "01234567")] != '\0' || *end != '\0' || strlen(s) > 5 || mode > 07777)
		return error_set(err, ERR_INVALID, "permissions: '%.20s' is not an octal mode", s);
	r->has_permissions = true;
	r->permissions = (unsigned)mode;
	return 0;
}

static bool is_file_name(const char *s)
{
	return *s && !strchr(s, '/') && !str_eq(s, ".") && !str_eq(s, "..") && strlen(s) <= 255;
}

static int parse_source(const struct http_query *q, struct cp_request *r, struct error **err)
{
	const char *type = http_query_get(q, "source_type"), *name = http_query_get(q, "source_name");
	const char *semantics = http_query_get(q, "copy_semantics");

	if (semantics && *semantics && !str_eq(semantics, "cp-v1"))
		return error_set(err, ERR_INVALID, "copy_semantics: '%.40s' is not 'cp-v1'", semantics);
	if (!r->v1 || !r->upload)
		return 0;
	if (!type || (!str_eq(type, "file") && !str_eq(type, "directory")))
		return error_set(err, ERR_INVALID, "source_type must be 'file' or 'directory'");
	r->source_directory = str_eq(type, "directory");
	if (r->source_directory != (r->mode == CP_TAR))
		return error_set(err, ERR_INVALID, "a %s cannot be copied as %s", type,
				 r->mode == CP_TAR ? "tar" : "binary");
	if (http_query_bool(q, "copy_contents", &r->contents, err) < 0)
		return -1;
	if (r->contents && !r->source_directory)
		return error_set(err, ERR_INVALID, "copy_contents is for directories");
	if (name && *name && !is_file_name(name))
		return error_set(err, ERR_INVALID, "source_name: '%.80s' is not a file name", name);
	r->source_name = name && *name ? str_dup(name) : NULL;
	return 0;
}

int cp_request_parse(const struct http_head *head, const struct http_query *q, struct cp_request *ret,
		     struct error **err)
{
	cleanup_cp_request struct cp_request r = {.upload = str_eq(head->method, "POST")};
	cleanup_strv char **exclude = http_query_all(q, "exclude");
	const char *path = http_query_get(q, "path"), *unpacked;

	if (!path || !*path)
		return error_set(err, ERR_INVALID, "path is required");
	r.path = str_dup(path);
	if (parse_mode(http_query_get(q, "mode"), &r, err) < 0 || identity_parse(q, &r.id, err) < 0 ||
	    parse_permissions(http_query_get(q, "permissions"), &r, err) < 0 || parse_source(q, &r, err) < 0)
		return -1;
	if (strv_len(exclude) > CP_MAX_EXCLUDE)
		return error_set(err, ERR_INVALID, "exclude: more than %d patterns", CP_MAX_EXCLUDE);
	r.exclude = TAKE_PTR(exclude);
	unpacked = http_head_get(head, "x-slicer-unpacked-size");
	if (unpacked && str_to_u64(unpacked, 0, INT64_MAX, "X-Slicer-Unpacked-Size", &r.unpacked_size, err) < 0)
		return -1;
	*ret = r;
	r = (struct cp_request){0};
	return 0;
}
