/* SPDX-License-Identifier: MIT */
#include "image/modules.h"

#include <stdlib.h>

#include "base/fs.h"
#include "base/str.h"

#define FILE_LIMIT ((size_t)4 << 20) /* those of a kernel with everything are 1 MB */
#define ORDER_MAX 256
#define DEPTH_MAX 32
#define PATH_LIMIT 512

struct wish {
	const char *name;
	bool required; /* others are there on some kernels only, or come as dependencies */
};

/* In the order in which a VM needs them. crc32c is what ext4 asks the crypto API for. */
static const struct wish wishes[] = {
	{"virtio_ring", false},	  {"virtio", false},	     {"virtio_mmio", false}, {"virtio_pci", false},
	{"virtio_console", true}, {"virtio_blk", true},	     {"failover", false},    {"net_failover", false},
	{"virtio_net", true},	  {"crc32c_generic", false}, {"ext4", true},	     {"squashfs", true},
	{"overlay", true},
};

static const char *const suffixes[] = {".xz", ".zst", ".gz"};

char *modules_plain_path(const char *path)
{
	for (size_t i = 0; i < ARRAY_LEN(suffixes); i++)
		if (str_ends(path, suffixes[i]))
			return str_ndup(path, strlen(path) - strlen(suffixes[i]));
	return str_dup(path);
}

/* "kernel/net/core/fail-over.ko.xz" is module fail_over; NULL when it is no module's path. */
static char *module_name(const char *path)
{
	cleanup_free char *plain = modules_plain_path(path);

	if (!str_ends(plain, ".ko"))
		return NULL;
	const char *slash = strrchr(plain, '/');
	char *name = str_dup(slash ? slash + 1 : plain);
	name[strlen(name) - 3] = '\0';
	for (char *c = name; *c; c++)
		if (*c == '-')
			*c = '_';
	return name;
}

static bool is_module(const char *path, const char *name)
{
	cleanup_free char *own = module_name(path);

	return str_eq(own, name);
}

static int check_path(const char *path, struct error **err)
{
	cleanup_strv char **parts = strv_split(path, '/');

	if (*path == '\0' || strlen(path) > PATH_LIMIT || strv_contains(parts, "") || strv_contains(parts, "..")) {
		cleanup_free char *shown = str_escape(path, strnlen(path, 100));
		return error_set(err, ERR_INVALID, "modules.dep: \"%s\" is not a path below the module directory",
				 shown);
	}
	return 0;
}

struct dep_line {
	char *path;
	char **needs;
	bool added;
};

struct resolver {
	struct dep_line *lines, **by_path;
	size_t n;
	char **order;
	size_t in_order;
};

static int compare_lines(const void *a, const void *b)
{
	const struct dep_line *x = *(struct dep_line *const *)a, *y = *(struct dep_line *const *)b;
	int r = strcmp(x->path, y->path);

	return r ? r : (x > y) - (x < y); /* the first of two */
}

static void sort_lines(struct resolver *r)
{
	r->by_path = mem_alloc_array(r->n + 1, sizeof(struct dep_line *));
	for (size_t i = 0; i < r->n; i++)
		r->by_path[i] = &r->lines[i];
	qsort(r->by_path, r->n, sizeof(struct dep_line *), compare_lines);
}

static int parse_dep(const char *text, struct resolver *r, struct error **err)
{
	cleanup_strv char **lines = strv_split(text, '\n');

	r->lines = mem_alloc_array(strv_len(lines) + 1, sizeof(*r->lines));
	for (size_t i = 0; lines[i]; i++) {
		if (lines[i][0] == '\0')
			continue;
		char *colon = strchr(lines[i], ':');
		if (!colon)
			return error_set(err, ERR_INVALID, "modules.dep: line %zu has no colon", i + 1);
		*colon = '\0';
		struct dep_line *line = &r->lines[r->n++];
		line->path = str_dup(lines[i]);
		char *needs = str_trim(colon + 1);
		if (*needs)
			line->needs = strv_split(needs, ' ');
	}
	sort_lines(r);
	return 0;
}

static void resolver_clear(struct resolver *r)
{
	for (size_t i = 0; i < r->n; i++) {
		free(r->lines[i].path);
		strv_free(&r->lines[i].needs);
	}
	free(r->lines);
	free(r->by_path);
	strv_free(&r->order);
}

static struct dep_line *find_path(const struct resolver *r, const char *path)
{
	size_t low = 0, high = r->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (strcmp(r->by_path[middle]->path, path) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < r->n && str_eq(r->by_path[low]->path, path) ? r->by_path[low] : NULL;
}

static struct dep_line *find_name(const struct resolver *r, const char *name)
{
	for (size_t i = 0; i < r->n; i++)
		if (is_module(r->lines[i].path, name))
			return &r->lines[i];
	return NULL;
}

static int add_with_needs(struct resolver *r, struct dep_line *line, int depth, struct error **err)
{
	if (line->added)
		return 0;
	if (depth > DEPTH_MAX)
		return error_set(err, ERR_INVALID, "modules.dep: the dependencies of %s run in a circle", line->path);
	if (check_path(line->path, err) < 0)
		return -1;
	for (size_t i = 0; line->needs && line->needs[i]; i++) {
		struct dep_line *need = find_path(r, line->needs[i]);
		if (!need)
			return error_set(err, ERR_INVALID, "modules.dep: %s needs a module that has no line",
					 line->path);
		if (add_with_needs(r, need, depth + 1, err) < 0)
			return -1;
	}
	if (r->in_order == ORDER_MAX)
		return error_set(err, ERR_TOO_LARGE, "modules.dep: a boot needs more than %d modules", ORDER_MAX);
	line->added = true;
	r->in_order++;
	strv_append(&r->order, line->path);
	return 0;
}

static bool is_builtin(char *const *builtin, const char *name)
{
	for (size_t i = 0; builtin && builtin[i]; i++)
		if (is_module(builtin[i], name))
			return true;
	return false;
}

static int resolve(struct resolver *r, char *const *builtin, struct error **err)
{
	for (size_t i = 0; i < ARRAY_LEN(wishes); i++) {
		if (is_builtin(builtin, wishes[i].name))
			continue;
		struct dep_line *line = find_name(r, wishes[i].name);
		if (line && add_with_needs(r, line, 0, err) < 0)
			return -1;
		if (!line && wishes[i].required)
			return error_set(err, ERR_UNSUPPORTED, "the kernel has no module %s", wishes[i].name);
	}
	return 0;
}

int modules_boot_order(const char *dep, const char *builtin, char ***ret, struct error **err)
{
	cleanup_strv char **builtin_lines = strv_split(builtin, '\n');
	struct resolver r = {0};
	int result = parse_dep(dep, &r, err);

	if (result == 0)
		result = resolve(&r, builtin_lines, err);
	if (result == 0)
		*ret = TAKE_PTR(r.order);
	resolver_clear(&r);
	return result;
}

int modules_boot_order_dir(const char *dir, char ***ret, struct error **err)
{
	cleanup_free char *dep_path = fs_join(dir, "modules.dep");
	cleanup_free char *builtin_path = fs_join(dir, "modules.builtin");
	cleanup_free char *dep = NULL, *builtin = NULL;

	if (fs_read_file(dep_path, FILE_LIMIT, &dep, NULL, err) < 0 ||
	    fs_read_file(builtin_path, FILE_LIMIT, &builtin, NULL, err) < 0)
		return -1;
	return modules_boot_order(dep, builtin, ret, err);
}
