/* SPDX-License-Identifier: MIT */
/* slicer image build, list, remove: front end of the program slicer-image, which speaks JSON lines (image/report.h). */
#include "host/image.h"

#include <errno.h>
#include <sys/wait.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/helper.h"
#include "base/proc.h"
#include "base/units.h"
#include "cli/output.h"
#include "disk/store.h"

enum { LINE_MAX_BYTES = 4 * 1024 * 1024 };

/* A run of slicer-image. */
struct run {
	bool json;                  /* progress goes nowhere, only the result is printed */
	bool terminal;              /* progress replaces its line */
	struct json_object *result;
	struct error *error;
};

static void run_clear(struct run *r)
{
	js_put(&r->result);
	error_free(&r->error);
}

static void show_progress(const struct run *r, struct json_object *line)
{
	const char *message = show_string(line, "message");
	cleanup_free char *shown = str_escape(message, strlen(message));

	if (r->json)
		return;
	fprintf(stderr, r->terminal ? "\r\033[K%s" : "%s\n", shown);
	fflush(stderr);
}

static enum error_code code_of(const char *name)
{
	static const struct {
		const char *name;
		enum error_code code;
	} codes[] = {
		{"invalid", ERR_INVALID},     {"not_found", ERR_NOT_FOUND}, {"conflict", ERR_CONFLICT},
		{"forbidden", ERR_FORBIDDEN}, {"no_space", ERR_NO_SPACE},   {"timeout", ERR_TIMEOUT},
	};

	for (size_t i = 0; i < ARRAY_LEN(codes); i++)
		if (str_eq(codes[i].name, name))
			return codes[i].code;
	return ERR_IO;
}

static int on_line(struct run *r, const char *text, size_t n, struct error **err)
{
	cleanup_json struct json_object *line = js_parse(text, n, err);
	const char *type = line ? show_string(line, "type") : "";

	if (!line)
		return error_wrap(err, "slicer-image said what is not JSON");
	if (str_eq(type, "progress")) {
		show_progress(r, line);
	} else if (str_eq(type, "result") && !r->result) {
		r->result = TAKE_PTR(line);
	} else if (str_eq(type, "error") && !r->error) {
		error_set(&r->error, code_of(show_string(line, "code")), "%s", show_string(line, "message"));
	}
	return 0;
}

static int read_lines(struct run *r, int take_fd, struct error **err)
{
	FILE *in = fdopen(take_fd, "r");
	char *line = NULL;
	size_t size = 0;
	ssize_t n = 0;
	int rc = 0;

	while (!rc && (n = getline(&line, &size, in)) > 0)
		rc = n > LINE_MAX_BYTES ? error_set(err, ERR_PROTOCOL, "slicer-image sent too long a line")
					: on_line(r, line, (size_t)n, err);
	free(line);
	fclose(in);
	if (r->terminal && !r->json)
		fputs("\r\033[K", stderr);
	return rc;
}

static pid_t start(char *const *argv, int *ret_out, struct error **err)
{
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC))
		return error_errno(err, errno, "cannot create a pipe");
	pid = proc_spawn(&(struct proc_spec){.argv = argv, .fds = (struct proc_fd[]){{fds[1], 1}}, .nfds = 1,
					     .die_with_parent = true}, NULL, err);
	close(fds[1]);
	if (pid < 0)
		close(fds[0]);
	else
		*ret_out = fds[0];
	return pid;
}

/* Runs slicer-image VERB [NAME] --store DIR [--agent PATH]; r->result is there on success. */
static int image_run(struct run *r, const char *verb, const char *name, bool with_agent, struct error **err)
{
	cleanup_free char *exe = helper_path("slicer-image", err);
	cleanup_free char *store = exe ? store_default_path(err) : NULL;
	cleanup_free char *agent = store && with_agent ? helper_path("slicer-agent", err) : NULL;
	const char *argv[] = {exe, verb, "--store", store, with_agent ? "--agent" : name, with_agent ? agent : NULL,
			      with_agent ? name : NULL, NULL};
	int fd = -1, status = 0, rc;
	pid_t pid;

	if (!store || (with_agent && !agent))
		return -1;
	r->terminal = isatty(STDERR_FILENO);
	pid = start((char *const *)argv, &fd, err);
	if (pid < 0)
		return -1;
	rc = read_lines(r, fd, err);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (rc)
		return -1;
	if (r->error)
		return error_move(err, &r->error);
	if (status || !r->result)
		return error_set(err, ERR_IO, "slicer-image ended without a result; its own messages are above");
	return 0;
}

static int run_build(struct cli *cli, const struct parsed *args, struct error **err)
{
	struct run r = {.json = parsed_bool(args, "json", false)};
	int rc = image_run(&r, "build", args->args[0], true, err);

	if (!rc && r.json)
		print_json(r.result, stdout);
	else if (!rc)
		printf("Image %s is ready: slicer new vm --image %s\n", args->args[0], args->args[0]);
	run_clear(&r);
	return rc;
}

static void add_image(struct table *t, struct json_object *image)
{
	struct json_object *kernel = NULL;

	js_get_object(image, "kernel", &kernel, NULL);
	table_add(t, show_string(image, "name"));
	if (*show_string(image, "error")) {
		table_add(t, "damaged");
		table_add(t, "");
		table_add(t, "");
		table_add(t, show_string(image, "error"));
		return;
	}
	table_add_take(t, size_format(show_u64(image, "size")));
	table_add(t, show_string(image, "arch"));
	table_add(t, kernel ? show_string(kernel, "release") : "");
	table_add_take(t, show_time(show_string(image, "created_at")));
}

static int run_list(struct cli *cli, const struct parsed *args, struct error **err)
{
	static const char *const header[] = {"NAME", "SIZE", "ARCH", "KERNEL", "CREATED", NULL};
	cleanup_table struct table *t = table_new(header);
	struct run r = {.json = parsed_bool(args, "json", false)};
	struct json_object *images = NULL;
	int rc = image_run(&r, "list", NULL, false, err);

	if (!rc)
		rc = js_get_array(r.result, "images", &images, err);
	if (!rc && r.json && images) {
		print_json(images, stdout);
	} else if (!rc) {
		for (size_t i = 0; images && i < json_object_array_length(images); i++)
			add_image(t, json_object_array_get_idx(images, i));
		table_print(t, stdout);
	}
	run_clear(&r);
	return rc;
}

static int run_remove(struct cli *cli, const struct parsed *args, struct error **err)
{
	struct run r = {.json = parsed_bool(args, "json", false)};
	int rc = image_run(&r, "remove", args->args[0], false, err);
	cleanup_free char *freed = rc ? NULL : size_format(show_u64(r.result, "freed"));

	if (!rc && r.json)
		print_json(r.result, stdout);
	else if (!rc)
		printf("Image %s removed, %s freed\n", args->args[0], freed);
	run_clear(&r);
	return rc;
}

static const struct option_spec json_options[] = {
	{"json", 0, OPTION_BOOL, NULL, "Print JSON"},
	{0},
};

static const struct command image_build = {
	.name = "build", .summary = "Make an image, or find it made already", .usage = "NAME",
	.details = "NAME is \"micro\": a small Debian userland, made from Debian's packages in seconds.\n",
	.options = json_options, .run = run_build, .min_args = 1, .max_args = 1, .local = true,
};

static const struct command image_list = {
	.name = "list", .aliases = "ls", .summary = "List images", .options = json_options, .run = run_list,
	.local = true,
};

static const struct command image_remove = {
	.name = "remove", .aliases = "rm", .summary = "Remove an image", .usage = "NAME", .options = json_options,
	.run = run_remove, .min_args = 1, .max_args = 1, .local = true,
};

static const struct command *const image_commands[] = {&image_build, &image_list, &image_remove, NULL};

const struct command command_image = {
	.name = "image", .summary = "Make, list and remove images", .commands = image_commands, .later = "wipe",
	.local = true,
};
