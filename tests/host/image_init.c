/* SPDX-License-Identifier: MIT */
/* Stands in for the agent in a boot of image micro: loads the modules in the order of
 * /etc/slicer/modules, mounts the root filesystem from /dev/vda and runs there the shell script
 * that is /dev/vdb; all it says goes to the console, line by line. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void say(const char *what, const char *detail, int result)
{
	printf("INIT %s %s %s\n", what, detail, result < 0 ? strerror(errno) : "ok");
	fflush(stdout);
}

static void load_modules(void)
{
	char line[512];
	FILE *list = fopen("/etc/slicer/modules", "re");

	while (list && fgets(line, sizeof(line), list)) {
		line[strcspn(line, "\n")] = '\0';
		int fd = open(line, O_RDONLY | O_CLOEXEC);
		say("insmod", strrchr(line, '/'), fd < 0 ? -1 : (int)syscall(SYS_finit_module, fd, "", 0));
		close(fd);
	}
	if (list)
		fclose(list);
}

static void run_checks(const char *script)
{
	pid_t pid = fork();
	int status = -1;

	if (pid == 0) {
		if (chroot("/newroot") < 0 || chdir("/") < 0)
			_exit(126);
		execl("/bin/bash", "bash", "-c", script, NULL);
		_exit(127);
	}
	waitpid(pid, &status, 0);
	printf("INIT checks %d\n", WIFEXITED(status) ? WEXITSTATUS(status) : 255);
}

int main(void)
{
	static char script[8192];

	mount("proc", "/proc", "proc", 0, "");
	mount("dev", "/dev", "devtmpfs", 0, "");
	load_modules();
	for (int i = 0; i < 100 && access("/dev/vda", F_OK) < 0; i++)
		usleep(10000);
	say("mount", "/dev/vda", mount("/dev/vda", "/newroot", "squashfs", MS_RDONLY, ""));
	mount("dev", "/newroot/dev", "devtmpfs", 0, "");
	mount("proc", "/newroot/proc", "proc", 0, "");
	mount("tmp", "/newroot/tmp", "tmpfs", 0, "");
	int fd = open("/dev/vdb", O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && read(fd, script, sizeof(script) - 1) > 0)
		run_checks(script);
	printf("INIT end\n");
	fflush(stdout);
	sync();
	reboot(RB_AUTOBOOT);
	return 0;
}
