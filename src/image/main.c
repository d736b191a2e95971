/* SPDX-License-Identifier: MIT */
/* slicer-image: makes and keeps images. Run by slicer; speaks JSON lines on stdout (report.h). */
#include <sys/stat.h>

#include <getopt.h>

#include "base/str.h"
#include "image/commands.h"
#include "image/report.h"

#define USAGE                                                                                      \
	"usage: slicer-image build NAME --store DIR --agent PATH | list --store DIR | remove "     \
	"NAME --store DIR | keys USER --url BASE | "                                                                      \
	"initramfs --store DIR --agent PATH --image NAME"

struct verb {
	const char *name;
	bool takes_name; /* as an argument */
	bool needs_image;
	bool needs_agent;
	bool needs_url; /* instead of a store */
	int (*run)(const struct command_args *args, struct error **err);
};

static const struct verb verbs[] = {
	{"build", true, false, true, false, command_build},
	{"list", false, false, false, false, command_list},
	{"remove", true, false, false, false, command_remove},
	{"initramfs", false, true, true, false, command_initramfs},
	{"keys", true, false, false, true, command_keys},
};

static const struct option options[] = {
	{"store", required_argument, NULL, 's'},
	{"agent", required_argument, NULL, 'a'},
	{"image", required_argument, NULL, 'i'},
	{"url", required_argument, NULL, 'u'},
	{"json", no_argument, NULL, 'j'},
	{NULL, 0, NULL, 0},
};

static const struct verb *find_verb(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		if (str_eq(name, verbs[i].name))
			return &verbs[i];
	return NULL;
}

static int parse_options(int argc, char **argv, struct command_args *args, const char **image,
			 struct error **err)
{
	int c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 's')
			args->store = optarg;
		else if (c == 'a')
			args->agent = optarg;
		else if (c == 'u')
			args->url = optarg;
		else if (c == 'i')
			*image = optarg;
		else if (c != 'j')
			return error_set(err, ERR_INVALID,
					 "\"%s\" is not an option, or lacks its value; " USAGE,
					 argv[optind - 1]);
	}
	return 0;
}

static int parse(int argc, char **argv, struct command_args *args, const struct verb **ret_verb,
		 struct error **err)
{
	const char *image = NULL;

	if (parse_options(argc, argv, args, &image, err) < 0)
		return -1;
	const struct verb *verb = optind < argc ? find_verb(argv[optind++]) : NULL;
	if (!verb)
		return error_set(err, ERR_INVALID, USAGE);
	if (verb->takes_name && optind < argc)
		args->name = argv[optind++];
	if (verb->needs_image)
		args->name = image;
	if (optind < argc || (verb->needs_url ? !args->url : !args->store) ||
	    (verb->needs_agent && !args->agent) ||
	    ((verb->takes_name || verb->needs_image) && !args->name))
		return error_set(err, ERR_INVALID,
				 "slicer-image %s: too few or too many arguments; " USAGE,
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
	umask(022); /* hypervisors read kernels and images as users of their own */
	if (parse(argc, argv, &args, &verb, &err) == 0 && verb->run(&args, &err) == 0)
		return 0;
	report_error(err);
	return error_exit_code(err);
}
