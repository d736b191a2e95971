/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <unistd.h>
#include "base/fs.h"
#include "base/str.h"
#include "agent/bench.h"
#include "agent/boot.h"
#include "agent/fake.h"
#include "agent/userdata.h"

static int version_main(int argc, char **argv)
{
	puts("slicer-agent " SLICER_VERSION);
	return 0;
}

static int upload_main(int argc, char **argv)
{
	fprintf(stderr, "slicer-agent: error: upload is not available yet\n");
	return 1;
}

static const struct {
	const char *name, *help;
	int (*run)(int argc, char **argv);
} commands[] = {
	{"version", "print the version", version_main},
	{"bench", "bench spawn [N]: what starting a process costs here", bench_main},
	{"upload", "chunked uploads (not available yet)", upload_main},
	{"run-userdata", "run the guest's userdata once (for its systemd unit)", userdata_main},
	{"bye", "bye reboot|poweroff: tell the host that the system goes down (for its systemd units)", bye_main},
	{"fake", "serve behind the fake hypervisor of the tests", fake_main},
};

static int usage(FILE *out, int status)
{
	fputs("usage: slicer-agent COMMAND\n\n", out);
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		fprintf(out, "  %-14s %s\n", commands[i].name, commands[i].help);
	return status;
}

int main(int argc, char **argv)
{
	if (getpid() == 1 && fs_exists(BOOT_MODULES_FILE))
		return boot_main(argc, argv);
	if (argc < 2)
		return usage(stderr, 2);
	if (str_eq(argv[1], "--help") || str_eq(argv[1], "help"))
		return usage(stdout, 0);
	if (str_eq(argv[1], "--version"))
		return version_main(argc, argv);
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		if (str_eq(argv[1], commands[i].name))
			return commands[i].run(argc - 1, argv + 1);
	}
	fprintf(stderr, "slicer-agent: unknown command '%s'\n", argv[1]);
	return usage(stderr, 2);
}
