/* SPDX-License-Identifier: MIT */
/* vm exec: what to run, as a request; exec_stream.c carries it out. */
#include <fcntl.h>
#include <unistd.h>

#include "cli/exec_stream.h"
#include "cli/verbs.h"

static const char default_shell[] = "/bin/bash";

void target_add_user(char **target, const struct parsed *args)
{
	if (parsed_given(args, "uid"))
		target_add_int(target, "uid", parsed_int(args, "uid", 0));
	if (parsed_given(args, "gid"))
		target_add_int(target, "gid", parsed_int(args, "gid", 0));
}

/* One word for a shell: as it is when no shell can take it for anything else. */
static char *quote(const char *word)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+:,./-";
	cleanup_strv char **parts = NULL;
	cleanup_free char *inner = NULL;

	if (*word && strspn(word, plain) == strlen(word))
		return str_dup(word);
	parts = strv_split(word, '\'');
	inner = strv_join(parts, "'\\''");
	return str_fmt("'%s'", inner);
}

static char *quote_all(char *const *words)
{
	cleanup_strv char **quoted = NULL;

	for (; *words; words++)
		strv_append_take(&quoted, quote(*words));
	return strv_join(quoted, " ");
}

/* One word goes to the shell as it is; several words reach the program as they are, through the shell all the same, so
 * that the user's profile counts. Without a shell the first word is the program. */
static void add_command(char **target, const char *shell, char *const *words)
{
	cleanup_free char *command = words[1] ? quote_all(words) : str_dup(words[0]);

	if (*shell) {
		target_add(target, "cmd", command);
		target_add(target, "shell", shell);
		return;
	}
	target_add(target, "cmd", words[0]);
	target_add_all(target, "args", words + 1);
}

/* Splits the arguments: a VM is the one before "--", or the first of several. */
static int split_args(const struct parsed *args, const char **ret_vm, char *const **ret_words, struct error **err)
{
	size_t first = args->dashes < 0 ? 1 : (size_t)args->dashes;

	if (first > 1)
		first = 1;
	if (args->nargs <= first)
		return error_set(err, ERR_INVALID, "there is no command; write: slicer vm exec VM -- COMMAND");
	*ret_vm = first ? args->args[0] : NULL;
	*ret_words = args->args + first;
	return 0;
}

static int check_env(char *const *env, struct error **err)
{
	for (; env && *env; env++)
		if (!strchr(*env, '=') || **env == '=')
			return error_set(err, ERR_INVALID, "--env takes NAME=VALUE, not \"%s\"", *env);
	return 0;
}

/* Piped input is forwarded; a terminal is not, because the command gets none either: that is what "vm shell" is for. */
static bool want_stdin(const struct parsed *args)
{
	bool there = fcntl(STDIN_FILENO, F_GETFD) >= 0 && !isatty(STDIN_FILENO);

	return parsed_bool(args, "stdin", there);
}

static char *make_query(const struct parsed *args, char *const *words, bool stdin_wanted, struct error **err)
{
	cleanup_free char *query = str_dup("/exec?stdio=base64");
	cleanup_strv char **env = parsed_strings(args, "env");
	const char *shell = parsed_string(args, "shell");

	if (check_env(env, err))
		return NULL;
	add_command(&query, shell ? shell : default_shell, words);
	target_add_user(&query, args);
	target_add(&query, "cwd", parsed_string(args, "cwd"));
	target_add_all(&query, "env", env);
	if (stdin_wanted)
		target_add(&query, "stdin", "true");
	if (strlen(query) > HTTP_MAX_TARGET - 300) {
		error_set(err, ERR_INVALID,
			  "the command and its environment are too long (%zu of %d bytes); copy a script with "
			  "\"slicer vm cp\" and run that, or send it as input to a shell",
			  strlen(query), HTTP_MAX_TARGET - 300);
		return NULL;
	}
	return TAKE_PTR(query);
}

static int run_exec(struct cli *cli, const struct parsed *args, struct error **err)
{
	cleanup_client struct client c = {0};
	bool stdin_wanted = want_stdin(args);
	cleanup_free char *vm = NULL, *query = NULL;
	const char *given = NULL;
	char *const *words = NULL;

	if (split_args(args, &given, &words, err))
		return -1;
	query = make_query(args, words, stdin_wanted, err);
	if (!query || client_open(&c, args, err))
		return -1;
	vm = vm_or_only(&c, given, err);
	return vm ? exec_stream(&c, &vm, query, stdin_wanted, err) : -1;
}

static const struct option_spec exec_options[] = {
	{"uid", 'u', OPTION_INT, "UID", "User to run as; 0 is root (default: the guest's default user)"},
	{"gid", 0, OPTION_INT, "GID", "Group to run as"},
	{"cwd", 'w', OPTION_STRING, "DIR", "Working directory (default: the user's home)", "workdir"},
	{"env", 'e', OPTION_STRINGS, "K=V", "Environment variable"},
	{"shell", 0, OPTION_STRING, "PATH", "Shell that runs the command (default /bin/bash); \"\" for none"},
	{"stdin", 'i', OPTION_BOOL, NULL, "Forward standard input (default: unless it is a terminal)"},
	{0},
};

const struct command command_vm_exec = {
	.name = "exec",
	.summary = "Run a command in a VM",
	.usage = "[VM] -- COMMAND [ARG...]",
	.details = "One argument is a command line for the shell: slicer vm exec VM -- 'ps aux | wc -l'.\n"
		   "Several arguments are a program and its arguments: slicer vm exec VM -- ls -l '/a b'.\n"
		   "The exit code is the command's, or 128 + N when signal N killed it.\n",
	.options = exec_options,
	.run = run_exec,
	.max_args = COMMAND_ANY_ARGS,
	.stop_after = 2,
};
