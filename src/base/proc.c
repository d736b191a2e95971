/* SPDX-License-Identifier: MIT */
/* Who a process is, and where programs are. */
#include "base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"

/* State letter and start time of a process: fields 3 and 22 of /proc/PID/stat (proc(5)). */
static bool read_stat(pid_t pid, char *ret_state, uint64_t *ret_start)
{
	cleanup_free char *path = str_fmt("/proc/%d/stat", (int)pid), *text = NULL;
	char *p;

	if (pid <= 0 || fs_read_file(path, 8192, &text, NULL, NULL) < 0)
		return false;
	/* Field 2 is the name in parentheses, and may hold anything but NUL. */
	p = strrchr(text, ')');
	if (!p || p[1] != ' ' || !p[2])
		return false;
	p += 2;
	*ret_state = *p;
	for (int field = 3; field < 22; field++) {
		p = strchr(p, ' ');
		if (!p)
			return false;
		p++;
	}
	p[strspn(p, "0123456789")] = '\0';
	return str_to_u64(p, 0, UINT64_MAX, "start time", ret_start, NULL) == 0;
}

uint64_t proc_start_time(pid_t pid)
{
	uint64_t start;
	char state;

	return read_stat(pid, &state, &start) ? start : 0;
}

bool proc_is_alive(pid_t pid, uint64_t start)
{
	uint64_t now;
	char state;

	return read_stat(pid, &state, &now) && now == start && state != 'Z' && state != 'X';
}

int proc_pidfd(pid_t pid, uint64_t start, struct error **err)
{
	cleanup_close int fd = -1;

	if (pid <= 0)
		return error_set(err, ERR_INVALID, "%d is not a process id", (int)pid);
	fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (fd < 0 && errno != ESRCH)
		return error_errno(err, errno, "cannot open process %d", (int)pid);
	/* Only now: had we looked before, the pid could have been reused in between. */
	if (fd < 0 || proc_start_time(pid) != start)
		return error_set(err, ERR_NOT_FOUND, "process %d has ended", (int)pid);
	return TAKE_FD(fd);
}

static bool is_program(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

char *proc_find_program(const char *name)
{
	const char *path = getenv("PATH");
	cleanup_strv char **dirs = NULL;

	if (!*name || strchr(name, '/'))
		return *name && is_program(name) ? str_dup(name) : NULL;
	if (path)
		dirs = strv_split(path, ':');
	strv_append(&dirs, "/usr/sbin");
	strv_append(&dirs, "/sbin");
	for (char **dir = dirs; *dir; dir++) {
		cleanup_free char *full = NULL;

		if (**dir != '/')
			continue; /* relative: the working directory is no place to take programs
				     from */
		full = fs_join(*dir, name);
		if (is_program(full))
			return TAKE_PTR(full);
	}
	return NULL;
}

char *host_boot_id(struct error **err)
{
	cleanup_free char *text = NULL;

	if (fs_read_file("/proc/sys/kernel/random/boot_id", 128, &text, NULL, err) < 0)
		return NULL;
	return str_dup(str_trim(text));
}
