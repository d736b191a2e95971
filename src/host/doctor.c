/* SPDX-License-Identifier: MIT */
#include "host/doctor.h"

#include <unistd.h>

#include "base/fs.h"
#include "cli/output.h"

enum { ID_COLUMN = 19, SEVERITY_COLUMN = 9, DETAIL_SHOWN = 10 };

static const struct {
	const char *name, *colour; /* ECMA-48 SGR */
} severities[] = {
	[DOCTOR_OK] = {"ok", "\033[32m"},
	[DOCTOR_NOTE] = {"note", "\033[36m"},
	[DOCTOR_WARNING] = {"warning", "\033[33m"},
	[DOCTOR_ERROR] = {"error", "\033[31m"},
};

const char *doctor_severity_name(enum doctor_severity severity)
{
	return severities[severity].name;
}

void doctor_result_clear(struct doctor_result *r)
{
	free(r->summary);
	strv_free(&r->detail);
	strv_free(&r->fix);
	*r = (struct doctor_result){0};
}

void doctor_say(struct doctor_result *r, enum doctor_severity severity, const char *fmt, ...)
{
	va_list ap;

	free(r->summary);
	va_start(ap, fmt);
	r->summary = str_vfmt(fmt, ap);
	va_end(ap);
	r->severity = severity;
}

void doctor_say_hidden(struct doctor_result *r, const char *what)
{
	doctor_say(r, DOCTOR_NOTE, "Only root can see %s", what);
	r->hidden = true;
}

/* What a check quotes may come from anywhere. */
static void print_line(const char *before, const char *text)
{
	cleanup_free char *shown = str_escape(text, strlen(text));

	printf("%*s%s%s\n", SEVERITY_COLUMN + ID_COLUMN, "", before, shown);
}

/* Of what is left of a daemon with hundreds of VMs there may be thousands of lines. */
static void print_detail(char *const *detail)
{
	size_t n = strv_len(detail);
	cleanup_free char *rest =
		n > DETAIL_SHOWN ? str_fmt("and %zu more (--json has them all)", n - DETAIL_SHOWN) : NULL;

	for (size_t i = 0; i < n && i < DETAIL_SHOWN; i++)
		print_line("", detail[i]);
	if (rest)
		print_line("", rest);
}

static void print_result(const struct doctor_check *check, const struct doctor_result *r, bool colours)
{
	cleanup_free char *shown = str_escape(r->summary, strlen(r->summary));

	printf("%s%-*s%s%-*s%s\n", colours ? severities[r->severity].colour : "", SEVERITY_COLUMN,
	       severities[r->severity].name, colours ? "\033[0m" : "", ID_COLUMN, check->id, shown);
	print_detail(r->detail);
	for (char *const *line = r->fix; line && *line; line++)
		print_line("→ ", *line);
}

static struct json_object *result_json(const struct doctor_check *check, const struct doctor_result *r)
{
	struct json_object *obj = json_object_new_object();

	js_add_string(obj, "id", check->id);
	js_add_string(obj, "severity", severities[r->severity].name);
	js_add_string(obj, "summary", r->summary);
	js_add_strv(obj, "detail", r->detail);
	js_add_strv(obj, "fix", r->fix);
	js_add_bool(obj, "needs_root", r->hidden);
	return obj;
}

static void print_totals(const unsigned *counts, char *const *hidden)
{
	cleanup_free char *list = strv_join(hidden, ", ");

	printf("\n%u ok, %u to note, %u to be warned of, %u in error\n", counts[DOCTOR_OK], counts[DOCTOR_NOTE],
	       counts[DOCTOR_WARNING], counts[DOCTOR_ERROR]);
	if (*list)
		printf("Not seen without root: %s\n", list);
}

/* Those of --only, or all. */
static bool is_wanted(const struct doctor *d, const char *id)
{
	cleanup_strv char **only = parsed_strings(d->args, "only");

	return !only || strv_contains(only, id);
}

/* Returns the worst severity. */
static enum doctor_severity check_all(const struct doctor *d, bool json)
{
	bool colours = isatty(STDOUT_FILENO) && !getenv("NO_COLOR");
	cleanup_json struct json_object *list = json_object_new_array();
	cleanup_strv char **hidden = NULL;
	unsigned counts[ARRAY_LEN(severities)] = {0};
	enum doctor_severity worst = DOCTOR_OK;

	for (const struct doctor_check *c = doctor_checks; c->id; c++) {
		struct doctor_result r = {0};

		if (!is_wanted(d, c->id))
			continue;
		c->run(d, &r);
		counts[r.severity]++;
		worst = r.severity > worst ? r.severity : worst;
		if (r.hidden)
			strv_append(&hidden, c->id);
		if (json)
			json_object_array_add(list, result_json(c, &r));
		else
			print_result(c, &r, colours);
		doctor_result_clear(&r);
	}
	if (json)
		print_json(list, stdout);
	else
		print_totals(counts, hidden);
	return worst;
}

/* Each by itself: one that cannot be mended does not keep the others. */
static int mend_all(const struct doctor *d, bool force, FILE *out, struct error **err)
{
	cleanup_error struct error *first = NULL;

	for (const struct doctor_check *c = doctor_checks; c->id; c++) {
		cleanup_error struct error *why = NULL;

		if (!c->mend || !is_wanted(d, c->id) || c->mend(d, force, out, &why) == 0)
			continue;
		fprintf(out, "%s: %s\n", c->id, error_message(why));
		if (!first)
			error_move(&first, &why);
	}
	return first ? error_move(err, &first) : 0;
}

static void list_checks(bool json)
{
	static const char *const header[] = {"ID", "LOOKS AT", NULL};
	cleanup_json struct json_object *list = json_object_new_array();
	cleanup_table struct table *t = table_new(header);

	for (const struct doctor_check *c = doctor_checks; c->id; c++) {
		struct json_object *obj = json_object_new_object();

		js_add_string(obj, "id", c->id);
		js_add_string(obj, "looks_at", c->looks_at);
		js_add_string(obj, "matters", c->matters);
		js_add_bool(obj, "fixable", c->mend);
		json_object_array_add(list, obj);
		table_add(t, c->id);
		table_add(t, c->looks_at);
	}
	if (json)
		print_json(list, stdout);
	else
		table_print(t, stdout);
}

static int check_only(const struct parsed *args, struct error **err)
{
	cleanup_strv char **only = parsed_strings(args, "only");

	for (char **id = only; id && *id; id++) {
		const struct doctor_check *c = doctor_checks;

		while (c->id && !str_eq(c->id, *id))
			c++;
		if (!c->id)
			return error_set(err, ERR_INVALID, "there is no check \"%s\"; --list names them", *id);
	}
	return 0;
}

static int doctor_run(struct cli *cli, const struct parsed *args, struct error **err)
{
	static const int exits[] = {[DOCTOR_OK] = 0, [DOCTOR_NOTE] = 0, [DOCTOR_WARNING] = 1, [DOCTOR_ERROR] = 2};
	const char *root = getenv("SLICER_DOCTOR_ROOT");
	bool json = parsed_bool(args, "json", false), fix = parsed_bool(args, "fix", false);
	struct doctor d = {.root = root ? root : "", .privileged = geteuid() == 0, .args = args};
	enum doctor_severity worst;

	if (parsed_bool(args, "force", false) && !fix)
		return error_set(err, ERR_INVALID, "--force goes with --fix");
	if (check_only(args, err))
		return -1;
	if (parsed_bool(args, "list", false)) {
		list_checks(json);
		return 0;
	}
	if (args->nargs) {
		d.file = args->args[0];
		config_load_file(d.file, &d.config, &d.config_error);
	}
	if (fix && mend_all(&d, parsed_bool(args, "force", false), json ? stderr : stdout, NULL) == 0 && !json)
		fputs("\n", stdout);
	worst = check_all(&d, json);
	config_free(&d.config);
	error_free(&d.config_error);
	return exits[worst];
}

static const struct option_spec doctor_options[] = {
	{.name = "json", .type = OPTION_BOOL, .help = "Print JSON"},
	{.name = "fix",
	 .type = OPTION_BOOL,
	 .help = "Write what network managers need to know, remove what dead daemons left"},
	{.name = "force",
	 .type = OPTION_BOOL,
	 .help = "With --fix: replace files that somebody else wrote, keeping a copy"},
	{.name = "only", .type = OPTION_STRINGS, .metavar = "ID", .commas = true, .help = "Only these checks"},
	{.name = "list", .type = OPTION_BOOL, .help = "Only say what the checks look at"},
	{0},
};

const struct command command_doctor = {
	.name = "doctor",
	.summary = "Say what this host has and lacks for running VMs, and how to mend it",
	.usage = "[FILE]",
	.details = "With a configuration the checks are judged by what it asks for.\n"
		   "Exits 0 when there is nothing to mend, 1 with warnings, 2 with errors.\n",
	.options = doctor_options,
	.run = doctor_run,
	.max_args = 1,
};
