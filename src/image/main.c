/* SPDX-License-Identifier: MIT */
/* slicer-image: makes and keeps images. Run by slicer; speaks JSON lines on stdout (report.h). */
#include <sys/stat.h>

#include <getopt.h>
#include <linux/capability.h>

#include "base/rights.h"
#include "base/str.h"
#include "image/commands.h"
#include "image/confine.h"
#include "image/interrupt.h"
#include "image/report.h"

#define USAGE                                                                                                          \
	"usage: slicer-image build NAME --store DIR --agent PATH [--name NAME] [--include PACKAGE]... "                \
	"| import SOURCE NAME --store DIR --agent PATH | list --store DIR | remove NAME --store DIR "                  \
	"| wipe --store DIR | initramfs --store DIR --agent PATH --image NAME [--kernel PATH] "                        \
	"| keys USER --url BASE"

enum { NEEDS_STORE = 1, NEEDS_AGENT = 2, NEEDS_IMAGE = 4, NEEDS_URL = 8, TAKES_SOURCE = 16, TAKES_NAME = 32 };

struct verb {
	const char *name;
	unsigned flags;
	int (*run)(const struct command_args *args, struct error **err);
};

static const struct verb verbs[] = {
	{"build", NEEDS_STORE | NEEDS_AGENT | TAKES_NAME, command_build},
	{"import", NEEDS_STORE | NEEDS_AGENT | TAKES_SOURCE | TAKES_NAME, command_import},
	{"list", NEEDS_STORE, command_list},
	{"remove", NEEDS_STORE | TAKES_NAME, command_remove},
	{"wipe", NEEDS_STORE, command_wipe},
	{"initramfs", NEEDS_STORE | NEEDS_AGENT | NEEDS_IMAGE, command_initramfs},
	{"keys", NEEDS_URL | TAKES_NAME, command_keys},
};

static const struct option options[] = {
	{"store", required_argument, NULL, 's'},
	{"agent", required_argument, NULL, 'a'},
	{"image", required_argument, NULL, 'i'},
	{"include", required_argument, NULL, 'p'},
	{"kernel", required_argument, NULL, 'k'},
	{"name", required_argument, NULL, 'n'},
	{"url", required_argument, NULL, 'u'},
	{"json", no_argument, NULL, 'j'},
	{NULL, 0, NULL, 0},
};

/* Of root's rights, for this program and all that it starts: of what the daemon has (src/host/rights.c) that which is not about its
 * networks and VMs. */
static const int kept[] = {
	CAP_AUDIT_WRITE,  /* programs that make users in images, where packages cannot be confined; so also MKNOD, */
	CAP_CHOWN,	  /* SETFCAP, SYS_CHROOT and SYS_RESOURCE */
	CAP_DAC_OVERRIDE, /* directories that are other users' */
	CAP_FOWNER,	  CAP_FSETID,	    CAP_KILL,	   /* what is confined has users of its own */
	CAP_MKNOD,	  CAP_SETFCAP,	    CAP_SETGID,	   /* and is mapped to them */
	CAP_SETPCAP,	  CAP_SETUID,	    CAP_SYS_ADMIN, /* its namespaces and mounts */
	CAP_SYS_CHROOT,	  CAP_SYS_RESOURCE,
};

static const struct verb *find_verb(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		if (str_eq(name, verbs[i].name))
			return &verbs[i];
	return NULL;
}

static int parse_options(int argc, char **argv, struct command_args *args, const char **image, struct error **err)
{
	const struct {
		int c;
		const char **value;
	} texts[] = {{'s', &args->store}, {'a', &args->agent}, {'k', &args->kernel},
		     {'n', &args->as},	  {'u', &args->url},   {'i', image}};
	int c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == '?')
			return error_set(err, ERR_INVALID, "\"%s\" is not an option, or lacks its value; " USAGE,
					 argv[optind - 1]);
		if (c == 'p')
			strv_append(&args->include, optarg);
		for (size_t i = 0; i < ARRAY_LEN(texts); i++)
			if (c == texts[i].c)
				*texts[i].value = optarg;
	}
	return 0;
}

static bool is_complete(const struct verb *verb, const struct command_args *args)
{
	const struct {
		unsigned flag;
		const char *value;
	} needs[] = {{NEEDS_STORE, args->store},
		     {NEEDS_AGENT, args->agent},
		     {NEEDS_IMAGE | TAKES_NAME, args->name},
		     {NEEDS_URL, args->url},
		     {TAKES_SOURCE, args->source}};

	for (size_t i = 0; i < ARRAY_LEN(needs); i++)
		if ((verb->flags & needs[i].flag) && !needs[i].value)
			return false;
	return true;
}

static int parse(int argc, char **argv, struct command_args *args, const struct verb **ret_verb, struct error **err)
{
	const char *image = NULL;

	if (parse_options(argc, argv, args, &image, err) < 0)
		return -1;
	const struct verb *verb = optind < argc ? find_verb(argv[optind++]) : NULL;
	if (!verb)
		return error_set(err, ERR_INVALID, USAGE);
	if ((verb->flags & TAKES_SOURCE) && optind < argc)
		args->source = argv[optind++];
	if ((verb->flags & TAKES_NAME) && optind < argc)
		args->name = argv[optind++];
	if (verb->flags & NEEDS_IMAGE)
		args->name = image;
	if (optind < argc || !is_complete(verb, args))
		return error_set(err, ERR_INVALID, "slicer-image %s: too few or too many arguments; " USAGE,
				 verb->name);
	*ret_verb = verb;
	return 0;
}

int main(int argc, char **argv)
{
	struct command_args args = {0};
	const struct verb *verb = NULL;
	cleanup_error struct error *err = NULL;

	if (argc == 2 && strcmp(argv[1], "--version") == 0)
		return puts("slicer-image " SLICER_VERSION) < 0;
	if (argc > 1 && strcmp(argv[1], "confine") == 0) /* by this program itself */
		return confine_main(&argv[2]);
	interrupt_block();
	umask(022); /* hypervisors read kernels and images as users of their own */
	int r = parse(argc, argv, &args, &verb, &err);

	if (r == 0)
		r = rights_keep(kept, ARRAY_LEN(kept), &err);
	if (r == 0)
		r = verb->run(&args, &err);
	strv_free(&args.include);
	if (r == 0)
		return 0;
	report_error(err);
	return error_exit_code(err);
}
