/* SPDX-License-Identifier: MIT */
#include "image/kernel_build.h"

#include "base/fs.h"
#include "base/json.h"
#include "base/str.h"
#include "image/apt.h"
#include "image/deb.h"
#include "image/modules.h"
#include "image/report.h"
#include "image/source.h"
#include "image/squash.h"
#include "image/tool.h"
#include "image/unpack.h"
#include "image/vmlinux.h"

#define ROOT "root"
#define BOOT_MODULES_LIMIT ((uint64_t)256 << 20) /* of all together; they are 4 MB */
#define RECORD_LIMIT ((size_t)64 * 1024)
#define DEPMOD_TIMEOUT_MS (2 * 60 * 1000)

/* Where the parts of a kernel lie before they are packed. */
struct unpacked {
	char *release;
	char *vmlinuz;
	struct work work; /* not open: the modules are the host's own */
	char *modules;	  /* directory lib/modules/RELEASE, in `work` */
	char *place;	  /* of it on this host */
};

static void unpacked_clear(struct unpacked *u)
{
	free(u->release);
	free(u->vmlinuz);
	work_clear(&u->work);
	free(u->modules);
	free(u->place);
}

static char *place_kernel_file(void *arg, const char *path)
{
	const struct unpacked *u = arg;
	cleanup_free char *image = str_fmt("boot/vmlinuz-%s", u->release);
	cleanup_free char *modules = str_fmt("lib/modules/%s/", u->release);
	const char *plain = str_starts(path, "usr/lib/") ? path + strlen("usr/") : path;

	if (str_eq(path, image))
		return str_dup(u->vmlinuz);
	return str_starts(plain, modules) ? fs_join(u->place, plain + strlen(modules)) : NULL;
}

/* A package's modules.dep is made when it is installed; the guest's modprobe needs the binary
 * indexes as well. */
static int run_depmod(const struct writer *w, const struct unpacked *u, struct error **err)
{
	const char *const argv[] = {"depmod", "-b", ROOT, u->release, NULL};
	struct source package = {.id = NULL};
	struct tool tool = {.argv = argv, .package = "kmod", .input = -1, .timeout_ms = DEPMOD_TIMEOUT_MS};
	cleanup_free char *copy = fs_join(u->work.dir, "depmod"), *kmod = NULL;
	cleanup_error struct error *missing = NULL;

	if (work_give(&u->work, u->modules, err) < 0)
		return -1;
	if (work_run(&u->work, &tool, NULL, &missing) == 0)
		return 0;
	if (!missing || missing->code != ERR_UNSUPPORTED)
		return error_move(err, &missing);
	/* Its libraries are those that libarchive needs, so the bare program runs. */
	if (apt_resolve(program_depmod.package, &package.package, err) == 0)
		kmod = source_fetch(&program_depmod, &package, w, err);
	source_clear(&package);
	if (!kmod)
		return error_wrap(err, "%s", error_message(missing));
	tool.exe = "./depmod";
	return fs_copy_file(kmod, copy, 0755, err) < 0 ? -1 : work_run(&u->work, &tool, NULL, err);
}

static int download_kernel(const struct writer *w, const char *package, const char *to, struct error **err)
{
	struct apt_package found = {0};
	int r;

	report_progress("kernel", "downloading package %s", package);
	r = apt_resolve(package, &found, err);
	if (r == 0)
		r = apt_download(&found, w, to, err);
	apt_package_clear(&found);
	return r;
}

static int unpack_package(const struct writer *w, const char *package, struct unpacked *u, struct error **err)
{
	cleanup_free char *deb = writer_temp(w, "kernel.deb");

	if (download_kernel(w, package, deb, err) < 0 || work_open(&u->work, w, "kernel", err) < 0)
		return -1;
	report_progress("kernel", "unpacking the kernel and its modules");
	u->release = str_dup(package + strlen(KERNEL_PACKAGE_PREFIX));
	u->vmlinuz = writer_temp(w, "vmlinuz");
	u->modules = str_fmt(ROOT "/lib/modules/%s", u->release);
	u->place = fs_join(u->work.dir, u->modules);
	if (deb_unpack(deb, place_kernel_file, u, err) < 0 || fs_unlink(deb, err) < 0)
		return -1;
	if (!fs_exists(u->vmlinuz) || !fs_exists(u->place))
		return error_set(err, ERR_INVALID, "package %s lacks /boot/vmlinuz-%s or its modules", package,
				 u->release);
	return run_depmod(w, u, err) < 0 ? -1 : work_keep_plain_files(&u->work, err);
}

static void use_host_kernel(const char *release, struct unpacked *u)
{
	report_progress("kernel", "taking kernel %s from /boot", release);
	u->release = str_dup(release);
	u->vmlinuz = str_fmt("/boot/vmlinuz-%s", release);
	u->modules = str_fmt("/lib/modules/%s", release);
}

/* The modules of the initramfs, uncompressed, with their directories. Returns their plain paths in
 * load order. */
static char **copy_boot_modules(const char *modules, const char *to, struct error **err)
{
	cleanup_strv char **order = NULL;
	cleanup_strv char **plain_order = NULL;
	uint64_t left = BOOT_MODULES_LIMIT, size = 0;

	if (modules_boot_order_dir(modules, &order, err) < 0)
		return NULL;
	for (size_t i = 0; order && order[i]; i++) {
		cleanup_free char *from = fs_join(modules, order[i]);
		cleanup_free char *plain = modules_plain_path(order[i]);
		cleanup_free char *path = fs_join(to, plain);
		cleanup_free char *dir = fs_dirname(path);
		if (fs_mkdir_p(dir, 0755, err) < 0 || unpack_compressed_file(from, path, left, &size, err) < 0)
			return NULL;
		left -= size;
		strv_append_take(&plain_order, TAKE_PTR(plain));
	}
	if (!plain_order)
		plain_order = mem_alloc_array(1, sizeof(char *));
	return TAKE_PTR(plain_order);
}

static int write_record(const char *dir, const struct kernel_parts *parts, char *const *modules, struct error **err)
{
	cleanup_json struct json_object *record = json_object_new_object();
	cleanup_free char *path = fs_join(dir, "kernel.json");

	js_add_u64(record, "version", 1);
	js_add_string(record, "release", parts->release);
	js_add_string(record, "key", parts->key);
	js_add_string(record, "source", parts->source);
	js_add_strv(record, "modules", modules);
	cleanup_free char *text = js_to_string_pretty(record);
	return fs_write_atomic(path, text, strlen(text), 0644, err);
}

bool kernel_offers_modules(const char *dir)
{
	cleanup_free char *path = fs_join(dir, "kernel.json");
	cleanup_json struct json_object *record = js_parse_file(path, RECORD_LIMIT, NULL);
	cleanup_strv char **modules = NULL;
	const char *source = NULL;

	return record && js_get_strv(record, "modules", &modules, NULL, NULL) == 0 && modules &&
	       js_get_string(record, "source", &source, NULL) == 0 && source && !str_starts(source, KERNEL_SOURCE_FILE);
}

/* Without modules the squashfs is an empty directory: one layout for all. */
static int pack(const struct kernel_parts *parts, const char *dir, struct error **err)
{
	cleanup_free char *vmlinux = fs_join(dir, "vmlinux");
	cleanup_free char *squashfs = fs_join(dir, "modules.squashfs");
	cleanup_free char *boot_modules = fs_join(dir, "modules");
	cleanup_free char *modules = parts->work ? fs_join(parts->work->dir, parts->modules) : str_dup(parts->modules);
	cleanup_strv char **order = NULL;

	if (fs_mkdir_p(boot_modules, 0755, err) < 0 || vmlinux_extract(parts->vmlinuz, vmlinux, err) < 0)
		return -1;
	if (modules) {
		order = copy_boot_modules(modules, boot_modules, err);
		if (!order)
			return -1;
		report_progress("kernel", "packing the modules of %s", parts->release);
	}
	if (squash_dir(parts->work, modules ? parts->modules : boot_modules, squashfs, err) < 0)
		return -1;
	return write_record(dir, parts, order, err);
}

int kernel_pack(const struct writer *w, const struct kernel_parts *parts, struct kernel *ret, struct error **err)
{
	cleanup_free char *dir = writer_temp(w, "kernel");
	cleanup_free char *path = str_fmt("kernels/%s-%s", parts->release, parts->key);

	if (pack(parts, dir, err) < 0)
		return error_wrap(err, "kernel %s", parts->release);
	if (writer_publish(w, dir, path, err) < 0)
		return -1;
	ret->release = str_dup(parts->release);
	ret->key = str_dup(parts->key);
	ret->path = TAKE_PTR(path);
	return 0;
}

static int unpack_and_pack(const struct writer *w, const struct kernel_source *source, struct unpacked *u,
			   struct kernel *ret, struct error **err)
{
	if (source->release)
		use_host_kernel(source->release, u);
	else if (unpack_package(w, source->package, u, err) < 0)
		return -1;
	struct kernel_parts parts = {.release = u->release,
				     .key = source->key,
				     .source = source->id,
				     .vmlinuz = u->vmlinuz,
				     .work = u->work.dir ? &u->work : NULL,
				     .modules = u->modules};
	return kernel_pack(w, &parts, ret, err);
}

int kernel_build(const struct writer *w, const struct kernel_source *source, struct kernel *ret, struct error **err)
{
	struct unpacked u = {.work = WORK_NONE};
	int r = unpack_and_pack(w, source, &u, ret, err);

	unpacked_clear(&u);
	return r;
}
