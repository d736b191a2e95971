/* SPDX-License-Identifier: MIT */
/* What a systemd of the image must know, written to /run before it starts: nothing on the disk changes. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/fs.h"
#include "base/str.h"
#include "agent/boot_steps.h"
#include "agent/userdata.h"

#define UNITS "/run/systemd/system"
#define AGENT "/run/slicer/bin/slicer-agent"

/* The network is up already: who sets it up once more takes our address away, who waits for it delays the boot. */
static const char *const masked[] = {
	"networking.service",
	"dhcpcd.service",
	"systemd-networkd-wait-online.service",
	"NetworkManager-wait-online.service",
	"cloud-init-local.service",
	"cloud-init-main.service",
	"cloud-init-network.service",
	"cloud-init.service",
	"cloud-config.service",
	"cloud-final.service",
};

static const char userdata_unit[] =
	"[Unit]\nDescription=Userdata of this VM\nWants=network.target\nAfter=network.target network-online.target\n"
	"ConditionPathExists=!" USERDATA_MARKER "\n\n"
	"[Service]\nType=oneshot\nRemainAfterExit=yes\nStandardOutput=journal+console\nStandardError=journal+console\n"
	"TimeoutStartSec=infinity\nExecStart=" AGENT " run-userdata\n";

static int write_text(const char *path, const char *text, struct error **err)
{
	cleanup_free char *dir = fs_dirname(path);

	if (fs_mkdir_p(dir, 0755, err) < 0)
		return -1;
	return fs_write_replace(path, text, strlen(text), 0644, err);
}

static int want(const char *unit, const char *target, struct error **err)
{
	cleanup_free char *dir = str_fmt(UNITS "/%s.wants", target), *link = fs_join(dir, unit);
	cleanup_free char *to = str_fmt("../%s", unit);

	if (fs_mkdir_p(dir, 0755, err) < 0)
		return -1;
	if (symlink(to, link) < 0 && errno != EEXIST)
		return error_errno(err, errno, "cannot enable %s", unit);
	return 0;
}

/* So that the host knows a shutdown from a crash. */
static int write_bye(const char *action, struct error **err)
{
	cleanup_free char *unit = str_fmt("slicer-bye-%s.service", action), *path = fs_join(UNITS, unit);
	cleanup_free char *target = str_fmt("%s.target", action);
	cleanup_free char *text =
		str_fmt("[Unit]\nDescription=Tell the host about the %s\nDefaultDependencies=no\n"
			"Before=shutdown.target\n\n[Service]\nType=oneshot\nExecStart=-" AGENT " bye %s\n",
			action, action);

	return write_text(path, text, err) < 0 ? -1 : want(unit, target, err);
}

/* A machine that halts stays switched on: here, a VM that is said to run and can do nothing but be deleted. It powers off instead. */
static int write_halt(struct error **err)
{
	static const char text[] =
		"[Unit]\nDescription=Power off (a halted VM would run on)\nDefaultDependencies=no\n"
		"Requires=systemd-poweroff.service\nAfter=systemd-poweroff.service\nAllowIsolate=yes\n"
		"JobTimeoutSec=30min\nJobTimeoutAction=poweroff-force\n";

	return write_text(UNITS "/halt.target", text, err) < 0
		       ? -1
		       : want("slicer-bye-poweroff.service", "halt.target", err);
}

static int mask_units(struct error **err)
{
	for (size_t i = 0; i < ARRAY_LEN(masked); i++) {
		cleanup_free char *path = fs_join(UNITS, masked[i]);

		if (symlink("/dev/null", path) < 0 && errno != EEXIST)
			return error_errno(err, errno, "cannot mask %s", masked[i]);
	}
	return 0;
}

/* networkd and NetworkManager may serve other interfaces, but not ours. */
static int keep_managers_off(struct error **err)
{
	if (write_text("/run/systemd/network/00-slicer.network", "[Match]\nName=eth* en*\n\n[Link]\nUnmanaged=yes\n",
		       err) < 0)
		return -1;
	return write_text("/run/NetworkManager/conf.d/00-slicer.conf",
			  "[keyfile]\nunmanaged-devices=interface-name:eth*;interface-name:en*\n", err);
}

bool boot_is_systemd(const char *init)
{
	cleanup_free char *real = realpath(init, NULL);

	return real && str_ends(real, "/systemd");
}

int boot_write_units(const struct guest_config *c, struct error **err)
{
	if (fs_mkdir_p(UNITS, 0755, err) < 0 || mask_units(err) < 0 || keep_managers_off(err) < 0)
		return -1;
	if (write_bye("poweroff", err) < 0 || write_bye("reboot", err) < 0 || write_halt(err) < 0)
		return -1;
	if (!c->userdata || !*c->userdata)
		return 0;
	if (write_text(UNITS "/slicer-userdata.service", userdata_unit, err) < 0)
		return -1;
	return want("slicer-userdata.service", "multi-user.target", err);
}
