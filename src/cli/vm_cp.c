/* SPDX-License-Identifier: MIT */
/* vm cp */
#include "cli/cp_copy.h"
#include "cli/verbs.h"

static int run_cp(struct cli *cli, const struct parsed *args, struct error **err)
{
	cleanup_client struct client c = {0};
	cleanup_cp_spec struct cp_spec spec = {0};
	cleanup_free char *vm = NULL;

	if (cp_spec_parse(args, &spec, err) || client_open(&c, args, err))
		return -1;
	vm = vm_or_only(&c, *spec.vm ? spec.vm : NULL, err);
	if (!vm)
		return -1;
	return spec.upload ? cp_upload(&c, &vm, &spec, err) : cp_download(&c, &vm, &spec, err);
}

static const struct option_spec cp_options[] = {
	{"recursive", 'r', OPTION_BOOL, NULL, "Copy a directory"},
	{"mode", 0, OPTION_STRING, "MODE", "binary: one file (default); tar: the same as --recursive"},
	{"permissions", 0, OPTION_STRING, "MODE", "Mode of the copied file, octal (default: that of the source)"},
	{"uid", 0, OPTION_INT, "UID", "Owner in the VM; 0 is root (default: the guest's default user)"},
	{"gid", 0, OPTION_INT, "GID", "Group in the VM"},
	{"exclude", 0, OPTION_STRINGS, "GLOB", "Leave out what matches, with --recursive"},
	{0},
};

const struct command command_vm_cp = {
	.name = "cp",
	.summary = "Copy files into or out of a VM",
	.usage = "SRC DST",
	.details =
		"One side is VM:PATH, and ~ is the home of the user in the VM; \":PATH\" is in the only VM.\n"
		"DIR/. copies what is in DIR. A file .slicerignore in a copied directory names, as .gitignore does,\n"
		"what is not copied into a VM. Symbolic links and special files in directories are left out.\n",
	.options = cp_options,
	.run = run_cp,
	.min_args = 2,
	.max_args = 2,
};
