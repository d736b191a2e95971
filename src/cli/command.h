/* SPDX-License-Identifier: MIT */
/* Commands of the program: const tables, one entry per verb. The root table is in src/main.c, because it names verbs of
 * src/cli and of src/host. */
#ifndef SLICER_CLI_COMMAND_H
#define SLICER_CLI_COMMAND_H

#include <stdio.h>

#include "cli/options.h"

struct command;
/* What a verb is given besides its arguments. */
struct cli {
	const struct command *root;
	const struct command *command; /* the one that runs */
	char *path;		       /* as it is called: "vm exec" */
	bool runs;		       /* its command line was understood */
};

/* Returns the exit code of the program, or -1 with *err set: it is printed as "slicer: error: ..." and the exit code is 2
 * for ERR_INVALID, else 1. Data goes to stdout, everything else to stderr. */
typedef int command_run_fn(struct cli *cli, const struct parsed *args, struct error **err);

enum { COMMAND_ANY_ARGS = 10000 };

struct command {
	const char *name;
	const char *aliases;			/* separated by spaces; NULL */
	const char *summary;			/* one line for the list of commands, without a full stop */
	const char *usage;			/* arguments: "VM [GROUP]"; NULL */
	const char *details;			/* further help, lines ended by \n; NULL */
	const struct option_spec *options;	/* NULL: none but the connection options */
	const struct command *const *commands;	/* subcommands, NULL-terminated; a command has these or `run` */
	const struct command *const *shortcuts; /* commands of other groups that this one offers as well */
	const char *later;			/* subcommands that are not in this version yet; separated by spaces */
	command_run_fn *run;
	unsigned min_args, max_args;
	unsigned stop_after; /* everything after that many arguments is an argument; 0: never */
	bool local;	     /* does not talk to the daemon: the help omits connection options */
	bool reads_file;     /* what is invalid is most likely in a file: no word of --help then */
	bool hidden;
};

/* Options accepted at every level: --url, --api, --token, --token-file. */
extern const struct option_spec connection_options[];

/* Finds the command that argv names, parses its options, runs it, reports its error. Returns the exit code. */
int command_main(const struct command *root, int argc, char *const *argv);

/* For command_main and the tests. */
const struct command *command_find(const struct command *group, const char *name); /* NULL if there is none */
bool command_is_later(const struct command *group, const char *name);
/* Prints the generated help of cli->command. */
void command_help(const struct cli *cli, FILE *out);

/* The verbs of src/cli that main.c lists. */
extern const struct command command_info, command_version;
extern const struct command command_vm_list, command_vm_exec, command_vm_shell, command_vm_cp, command_vm_logs,
	command_vm_forward, command_vm_relaunch;

#endif
