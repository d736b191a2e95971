/* SPDX-License-Identifier: MIT */
/* Image debian: Debian with systemd, by mmdebstrap(1). */
#include "image/recipe.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/proc.h"
#include "base/str.h"
#include "image/apt.h"
#include "image/debian_overlay.h"
#include "image/embedded.h"
#include "image/report.h"
#include "image/squash.h"
#include "image/tree.h"
#include "image/work.h"

#define PROGRAM "mmdebstrap"
#define DEFAULT_CODENAME "bookworm"
#define OS_RELEASE_LIMIT (64 * 1024)
#define TIMEOUT_MS (25 * 60 * 1000)

/* On top of Debian's essential and required packages. netbase: names of protocols and ports.
 * libpam-systemd: sessions end in order at a shutdown. */
static const char *const packages[] = {
	"bash",		  "ca-certificates",
	"curl",		  "dbus",
	"iproute2",	  "iputils-ping",
	"kmod",		  "libpam-systemd",
	"login",	  "netbase",
	"openssh-server", "passwd",
	"procps",	  "sudo",
	"systemd",	  "systemd-sysv",
	"udev",		  NULL,
};

/* The value of NAME= in os-release(5), quotes taken off; the caller's. */
static char *os_release_value(char *const *lines, const char *name)
{
	cleanup_free char *prefix = str_fmt("%s=", name);

	for (; *lines; lines++) {
		const char *value = *lines + strlen(prefix);
		if (!str_starts(*lines, prefix))
			continue;
		size_t quote = *value == '"';
		return str_ndup(value + quote, strcspn(value + quote, "\""));
	}
	return str_dup("");
}

/* A Debian host's own release: the one that its apt knows. */
static char *find_codename(void)
{
	cleanup_free char *text = NULL;
	size_t n;

	if (fs_read_file("/etc/os-release", OS_RELEASE_LIMIT, &text, &n, NULL) < 0)
		return str_dup(DEFAULT_CODENAME);
	cleanup_strv char **lines = strv_split(text, '\n');
	cleanup_free char *id = os_release_value(lines, "ID");
	cleanup_free char *codename = os_release_value(lines, "VERSION_CODENAME");
	return str_dup(str_eq(id, "debian") && *codename ? codename : DEFAULT_CODENAME);
}

/* Ours and those that the user wants besides. */
static char **all_packages(char *const *include)
{
	char **all = strv_copy((char *const *)(uintptr_t)packages);

	for (; include && *include; include++)
		if (!strv_contains(all, *include))
			strv_append(&all, *include);
	return all;
}

static char *debian_identify(char *const *include, struct error **err)
{
	cleanup_free char *program = proc_find_program(PROGRAM);
	cleanup_free char *codename = find_codename();
	cleanup_strv char **all = all_packages(include);

	if (!program) {
		tool_missing(PROGRAM, PROGRAM, err);
		return NULL;
	}
	cleanup_free char *closure = apt_closure(all, NULL, err);
	return closure ? str_fmt("debian:%s:%s", codename, closure) : NULL;
}

/* How far mmdebstrap is, told from what it and the programs that it runs say. */
struct install {
	uint64_t all, done; /* in the units of `works` */
	unsigned percent;
	char *step;
};

/* What is said once for each package, and how long that takes compared with the others. */
static const struct {
	const char *prefix;
	uint64_t units;
} works[] = {{"Get:", 1}, {"Unpacking ", 2}, {"Setting up ", 3}};

enum { UNITS_PER_PACKAGE = 6, PERCENT_BEGIN = 5, PERCENT_INSTALLED = 85, PERCENT_PACKED = 97 };

static void count_work(struct install *in, const char *line)
{
	for (size_t i = 0; i < ARRAY_LEN(works); i++)
		if (str_starts(line, works[i].prefix))
			in->done += works[i].units;
	if (in->done > in->all)
		in->done = in->all;
}

/* Of all that is said only the steps are for people. */
static void show_step(void *arg, const char *line)
{
	static const char *const steps[] = {"I: running apt-get update", "I: downloading", "I: extracting",
					    "I: installing", "I: creating"};
	struct install *in = arg;
	unsigned percent;

	count_work(in, line);
	percent = PERCENT_BEGIN + (unsigned)(in->done * (PERCENT_INSTALLED - PERCENT_BEGIN) / in->all);
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		if (!str_starts(line, steps[i]))
			continue;
		mem_freep(&in->step);
		in->step = str_dup(line + strlen("I: "));
		in->percent = 0;
	}
	if (!in->step || percent == in->percent)
		return;
	in->percent = percent;
	report_percent("rootfs", percent, "%s", in->step);
}

/* Root's mmdebstrap that is not confined is at least in namespaces that end with the first process, so that nothing of it goes on
 * when this program is killed. A user's mmdebstrap makes its own. */
static void add_program(char ***argv, char ***env, const struct work *work)
{
	static const char *const as_root[] = {"unshare",      "--mount",      "--pid", "--fork",
					      "--kill-child", "--mount-proc", NULL};

	for (size_t i = 0; geteuid() == 0 && !work->confined && as_root[i]; i++)
		strv_append(argv, as_root[i]);
	strv_append(argv, PROGRAM);
	strv_append(argv, geteuid() == 0 ? "--mode=root" : "--mode=unshare");
	strv_append_fmt(env, "SOURCE_DATE_EPOCH=%d", TREE_TIME);
	strv_append(env, "DEBIAN_FRONTEND=noninteractive");
	if (geteuid() == 0)
		strv_append_fmt(env, "TMPDIR=%s", work_path(work));
}

/* What is in the directory when it begins: apt.conf and overlay.tar. */
struct bootstrap {
	const struct work *work;
	int tar; /* where the root filesystem goes */
	const char *codename;
	char *const *packages;
	struct install *progress;
};

static int run_mmdebstrap(const struct bootstrap *b, struct error **err)
{
	cleanup_strv char **sources = apt_debian_sources(b->codename, err);
	const struct embedded_file *setup = embedded_find("setup.sh");
	cleanup_strv char **argv = NULL, **env = NULL;

	if (!sources)
		return -1;
	if (!setup)
		return error_set(err, ERR_INTERNAL, "debian/setup.sh is not in this program");
	cleanup_free char *include = strv_join(b->packages, ",");
	add_program(&argv, &env, b->work);
	strv_append(&argv, "--verbose");
	strv_append(&argv, "--variant=minbase");
	strv_append(&argv, "--format=tar");
	strv_append(&argv, "--aptopt=./apt.conf");
	strv_append_fmt(&argv, "--include=%s", include);
	strv_append_fmt(&argv, "--customize-hook=%.*s", (int)setup->size, (const char *)setup->data);
	strv_append(&argv, "--customize-hook=tar-in overlay.tar /");
	strv_append(&argv, b->codename);
	strv_append(&argv, "-");
	for (size_t i = 0; sources[i]; i++)
		strv_append(&argv, sources[i]);

	struct tool tool = {.argv = (const char *const *)argv,
			    .package = PROGRAM,
			    .env = (const char *const *)env,
			    .on_line = show_step,
			    .arg = b->progress,
			    .input = -1,
			    .output = b->tar,
			    .timeout_ms = TIMEOUT_MS};
	return work_run(b->work, &tool, NULL, err);
}

/* A directory for what mmdebstrap does. */
static int make_work(const struct recipe_input *in, const char *codename, struct work *ret, struct error **err)
{
	cleanup_free char *text = apt_fetch_options(err);

	if (!text || work_open(ret, in->w, "debian", err) < 0)
		return -1;
	cleanup_free char *overlay = fs_join(ret->dir, "overlay.tar"), *options = fs_join(ret->dir, "apt.conf");
	return debian_overlay(in, codename, overlay, err) < 0 ? -1
							      : fs_write_atomic(options, text, strlen(text), 0644, err);
}

static int make_tar(const struct recipe_input *in, char *const *all, size_t npackages, const char *tar,
		    struct error **err)
{
	cleanup_free char *codename = find_codename();
	cleanup_work struct work work = WORK_NONE;
	struct install progress = {.all = npackages * UNITS_PER_PACKAGE};
	struct bootstrap b = {.work = &work, .codename = codename, .packages = all, .progress = &progress};
	cleanup_close int fd = open(tar, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int r;

	if (fd < 0)
		return error_errno(err, errno, "create %s", tar);
	report_percent("rootfs", PERCENT_BEGIN, "installing Debian %s: %zu packages", codename, npackages);
	b.tar = fd;
	if (make_work(in, codename, &work, err) < 0)
		return -1;
	r = run_mmdebstrap(&b, err);
	free(progress.step);
	return r < 0 ? -1 : work_close(&work, err);
}

static int debian_make(const struct recipe_input *in, const char *squashfs, struct error **err)
{
	cleanup_free char *tar = writer_temp(in->w, "rootfs.tar");
	cleanup_strv char **all = all_packages(in->include);
	size_t n = 0;
	cleanup_free char *closure = apt_closure(all, &n, err);

	if (!closure || make_tar(in, all, n, tar, err) < 0)
		return -1;
	report_percent("rootfs", PERCENT_INSTALLED, "packing the root filesystem");
	if (squash_tar(in->w, tar, squashfs, err) < 0)
		return -1;
	report_percent("rootfs", PERCENT_PACKED, "packed");
	return fs_unlink(tar, err);
}

const struct recipe recipe_debian = {
	.name = "debian",
	.default_user = "ubuntu",
	.has_modules = true,
	.identify = debian_identify,
	.make = debian_make,
};
