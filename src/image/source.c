/* SPDX-License-Identifier: MIT */
#include "image/source.h"

#include <errno.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/str.h"
#include "image/deb.h"
#include "image/static_elf.h"
#include "image/hash.h"
#include "image/report.h"

static const char *const busybox_paths[] = {"bin/busybox", "usr/bin/busybox", NULL};
static const char *const bash_paths[] = {"bin/bash-static", "usr/bin/bash-static", NULL};
static const char *const kmod_paths[] = {"bin/kmod", "usr/bin/kmod", NULL};

const struct program program_busybox = {"busybox", "busybox-static", busybox_paths};
const struct program program_bash = {"bash", "bash-static", bash_paths};
const struct program program_depmod = {"kmod", "kmod", kmod_paths};

void source_clear(struct source *source)
{
	free(source->id);
	free(source->host_path);
	apt_package_clear(&source->package);
	*source = (struct source){0};
}

/* The host's /bin/busybox may as well be the dynamic one of package busybox. */
static char *find_on_host(const struct program *program)
{
	for (size_t i = 0; program->paths[i]; i++) {
		cleanup_free char *path = str_fmt("/%s", program->paths[i]);
		if (elf_check_static_file(path, NULL) == 0)
			return TAKE_PTR(path);
	}
	return NULL;
}

int source_resolve(const struct program *program, struct source *ret, struct error **err)
{
	cleanup_free char *path = find_on_host(program);

	if (path) {
		cleanup_free char *hex = hash_file(path, err);
		if (!hex)
			return -1;
		ret->id = str_fmt("file:%s", hex);
		ret->host_path = TAKE_PTR(path);
		return 0;
	}
	if (apt_resolve(program->package, &ret->package, err) < 0)
		return error_wrap(err, "%s is needed: run `apt-get install %s`, or let apt find it", program->name,
				  program->package);
	ret->id = str_fmt("deb:%s", ret->package.hash);
	return 0;
}

char *source_fetch(const struct program *program, const struct source *source, const struct writer *w,
		   struct error **err)
{
	if (source->host_path)
		return str_dup(source->host_path);

	report_progress("download", "downloading package %s", program->package);
	cleanup_free char *scratch = str_fmt("%s.deb", program->name);
	cleanup_free char *deb = writer_temp(w, scratch);
	cleanup_free char *path = writer_temp(w, program->name);
	if (apt_download(&source->package, w, deb, err) < 0 || deb_extract_file(deb, program->paths, path, err) < 0 ||
	    fs_unlink(deb, err) < 0)
		return NULL;
	if (chmod(path, 0755) < 0) {
		error_errno(err, errno, "chmod %s", path);
		return NULL;
	}
	return TAKE_PTR(path);
}
