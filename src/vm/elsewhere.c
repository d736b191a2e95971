/* SPDX-License-Identifier: MIT */
/* Names of VMs on a host that has several daemons. */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/json.h"
#include "base/str.h"
#include "vm/manager_impl.h"

enum { ANNOUNCEMENT_MAX = 64 * 1024, LOCK_DEADLINE_MS = 10000 };

/* `file` is ID.json, which a daemon has written about itself (host/paths.c). */
static bool elsewhere_check(const char *base, const char *file, const char *hostname, bool stopped, struct error **err)
{
	cleanup_free char *path = fs_join(base, file), *id = str_ndup(file, strlen(file) - strlen(".json")),
			  *run = str_fmt("%s/%s/%s", base, id, hostname), *disk = NULL;
	cleanup_json struct json_object *obj = js_parse_file(path, ANNOUNCEMENT_MAX, NULL);
	const char *config = NULL, *state = NULL;

	if (!obj || js_get_string(obj, "config", &config, NULL) < 0 || js_get_string(obj, "state", &state, NULL) < 0)
		return true;
	/* A service that was refused has a record but no config disk: with records, two would refuse each other for ever. */
	if (stopped && state)
		disk = str_fmt("%s/vms/%s/config.raw", state, hostname);
	if (access(run, F_OK) < 0 && (!disk || access(disk, F_OK) < 0))
		return true;
	error_set(
		err, ERR_CONFLICT,
		"the slicer daemon %s (slicer up %s) has a VM %s already, and on one host the names of VMs differ, as "
		"those of their logs do: give the host group another name",
		id, config ? config : "FILE", hostname);
	return false;
}

int vm_name_check(const char *run_dir, bool stopped, struct error **err)
{
	cleanup_free char *daemon = fs_dirname(run_dir), *hostname = fs_basename(run_dir), *base = fs_dirname(daemon),
			  *id = fs_basename(daemon), *own = str_fmt("%s.json", id);
	cleanup_strv char **files = NULL;

	if (fs_list_files(base, &files, NULL))
		return 0;
	for (char **file = files; file && *file; file++)
		if (str_ends(*file, ".json") && !str_eq(*file, own) &&
		    !elsewhere_check(base, *file, hostname, stopped, err))
			return -1;
	return 0;
}

int vm_name_claim(const char *run_dir, bool stopped, bool *ret_taken, struct error **err)
{
	cleanup_free char *daemon = fs_dirname(run_dir), *base = fs_dirname(daemon);
	cleanup_close int fd = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return error_errno(err, errno, "cannot open %s", base);
	if (fd_lock(fd, LOCK_EX, LOCK_DEADLINE_MS, err) < 0)
		return error_wrap(err, "%s", base);
	*ret_taken = vm_name_check(run_dir, stopped, err) < 0;
	return *ret_taken ? -1 : fs_mkdir_p(run_dir, 0700, err);
}
