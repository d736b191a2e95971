/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "cli/command.h"

static const struct option_spec table[] = {
	{"name", 'n', OPTION_STRING, "NAME", "", "label called"},
	{"tag", 't', OPTION_STRINGS, "TAG", ""},
	{"secrets", 0, OPTION_STRINGS, "A,B", "", .commas = true},
	{"verbose", 'v', OPTION_BOOL, NULL, ""},
	{"recursive", 'r', OPTION_BOOL, NULL, ""},
	{"lines", 'l', OPTION_INT, "N", "", .min = 1, .max = 100},
	{"uid", 0, OPTION_INT, "UID", ""},
	{"size", 0, OPTION_SIZE, "SIZE", ""},
	{"timeout", 0, OPTION_DURATION, "TIME", ""},
	{0},
};

static int parse(struct parsed *p, size_t stop_after, struct error **err, const char *words)
{
	cleanup_strv char **argv = strv_split(words, ' ');
	size_t pos = 0;

	*p = (struct parsed){.dashes = -1, .tables = {connection_options, table}};
	return options_parse(p, argv, &pos, false, stop_after, err);
}

static void assert_parses(struct parsed *p, const char *words)
{
	cleanup_error struct error *err = NULL;

	if (parse(p, 0, &err, words))
		fail_msg("%s: %s", words, error_message(err));
}

static void assert_refused(const char *words, const char *message)
{
	cleanup_error struct error *err = NULL;
	cleanup_parsed struct parsed p = {0};

	assert_int_equal(parse(&p, 0, &err, words), -1);
	assert_int_equal(err->code, ERR_INVALID);
	assert_string_equal(err->message, message);
}

static void test_forms(void **state)
{
	static const char *const forms[] = {"--name=x",	  "--name x",	       "-n x",	"-nx",	"-n=x", "--label x",
					    "--called=x", "--name y --name x", "-vn x", "-rvnx"};

	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		cleanup_parsed struct parsed p = {0};

		assert_parses(&p, forms[i]);
		assert_string_equal(parsed_string(&p, "name"), "x");
		assert_int_equal(p.nargs, 0);
	}
}

static void test_bools(void **state)
{
	static const struct {
		const char *words;
		bool value;
		size_t nargs;
	} cases[] = {
		{"--verbose", true, 0},	       {"--verbose=false", false, 0},	    {"--verbose false", false, 0},
		{"--verbose true x", true, 1}, {"--verbose other", true, 1},	    {"-v false", true, 1},
		{"-v=false", false, 0},	       {"--verbose --verbose=0", false, 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cleanup_parsed struct parsed p = {0};

		assert_parses(&p, cases[i].words);
		assert_int_equal(parsed_bool(&p, "verbose", !cases[i].value), cases[i].value);
		assert_int_equal(p.nargs, cases[i].nargs);
	}
	assert_refused("--verbose=maybe", "--verbose: \"maybe\" is neither true nor false");
}

static void test_values(void **state)
{
	cleanup_parsed struct parsed p = {0};
	cleanup_strv char **tags = NULL, **secrets = NULL;

	assert_parses(
		&p, "--tag a=1 -t b --lines 100 --uid 4294967295 --size 2G --timeout 1m30s --secrets x,,y --secrets z");
	tags = parsed_strings(&p, "tag");
	secrets = parsed_strings(&p, "secrets");
	assert_int_equal(strv_len(tags), 2);
	assert_string_equal(tags[0], "a=1");
	assert_int_equal(strv_len(secrets), 3);
	assert_string_equal(secrets[2], "z");
	assert_int_equal(parsed_int(&p, "lines", 0), 100);
	assert_int_equal(parsed_int(&p, "uid", 0), 4294967295);
	assert_int_equal(parsed_int(&p, "size", 0), 2ULL << 30);
	assert_int_equal(parsed_duration(&p, "timeout", 0), 90 * 1000000000LL);
	assert_false(parsed_given(&p, "name"));
	assert_null(parsed_strings(&p, "name"));
	assert_int_equal(parsed_int(&p, "lines", 7), 100);
}

static void test_empty_list(void **state)
{
	cleanup_parsed struct parsed p = {0};

	assert_parses(&p, "--secrets=");
	assert_true(parsed_given(&p, "secrets"));
	assert_null(parsed_strings(&p, "secrets"));
}

static void test_refused(void **state)
{
	assert_refused("--nmae x", "unknown option \"--nmae\"; did you mean \"--name\"?");
	assert_refused("--completely-other", "unknown option \"--completely-other\"");
	assert_refused("--halp", "unknown option \"--halp\"; did you mean \"--help\"?");
	assert_refused("-x", "unknown option \"-x\"");
	assert_refused("-vx", "unknown option \"-x\"");
	assert_refused("--name", "option \"--name\" needs a value (NAME)");
	assert_refused("-n", "option \"--name\" needs a value (NAME)");

	struct error *err = NULL;
	cleanup_parsed struct parsed p = {0};

	assert_int_equal(parse(&p, 0, &err, "--lines 101"), -1);
	error_free(&err);
	parsed_clear(&p);
	assert_int_equal(parse(&p, 0, &err, "--lines -1"), -1);
	error_free(&err);
	parsed_clear(&p);
	assert_int_equal(parse(&p, 0, &err, "--size 2X"), -1);
	error_free(&err);
	parsed_clear(&p);
	assert_int_equal(parse(&p, 0, &err, "--timeout 5"), -1);
	error_free(&err);
}

static void test_arguments(void **state)
{
	cleanup_parsed struct parsed p = {0}, q = {0}, r = {0};
	cleanup_error struct error *err = NULL;

	assert_parses(&p, "a --name x b -- --verbose -- c");
	assert_int_equal(p.nargs, 5);
	assert_int_equal(p.dashes, 2);
	assert_string_equal(p.args[2], "--verbose");
	assert_string_equal(p.args[3], "--");
	assert_false(parsed_given(&p, "verbose"));
	assert_int_equal(parse(&q, 2, &err, "vm --name x ls --verbose -- y"), 0);
	assert_int_equal(q.nargs, 5);
	assert_int_equal(q.dashes, -1);
	assert_string_equal(q.args[2], "--verbose");
	assert_parses(&r, "- --help");
	assert_string_equal(r.args[0], "-");
	assert_true(r.help);
	assert_int_equal(r.dashes, -1);
}

static void test_connection_anywhere(void **state)
{
	cleanup_parsed struct parsed p = {0};

	assert_parses(&p, "x --api /a.sock y --token=");
	assert_string_equal(parsed_string(&p, "url"), "/a.sock");
	assert_string_equal(parsed_string(&p, "token"), "");
	assert_int_equal(p.nargs, 2);
}

static int ran;

static int run_leaf(struct cli *cli, const struct parsed *args, struct error **err)
{
	ran++;
	assert_string_equal(cli->path, "group leaf");
	return (int)parsed_int(args, "lines", 42);
}

static const struct command leaf = {
	.name = "leaf", .aliases = "lf blatt", .summary = "Leaf", .options = table, .run = run_leaf, .max_args = 1};
static const struct command *const group_commands[] = {&leaf, NULL};
static const struct command group = {
	.name = "group", .summary = "Group", .commands = group_commands, .later = "soon later-on"};
static const struct command *const root_commands[] = {&group, NULL};
static const struct command root = {.summary = "Root", .commands = root_commands, .shortcuts = group_commands};

static int call(const char *words)
{
	cleanup_strv char **argv = strv_split(words, ' ');

	return command_main(&root, (int)strv_len(argv), argv);
}

static void test_dispatch(void **state)
{
	ran = 0;
	assert_int_equal(call("slicer --url x group --token y blatt --lines 3 --url z"), 3);
	assert_int_equal(call("slicer group lf a"), 42);
	assert_int_equal(ran, 2);
	assert_int_equal(call("slicer group leaf a b"), 2);
	assert_int_equal(call("slicer group leaf --help"), 0);
	assert_int_equal(call("slicer help group leaf"), 0);
	assert_int_equal(call("slicer help"), 0);
	assert_int_equal(call("slicer group"), 2);
	assert_int_equal(call("slicer group soon"), 1);
	assert_int_equal(call("slicer group later-on --whatever"), 1);
	assert_int_equal(call("slicer group never"), 2);
	assert_int_equal(call("slicer --lines 3 group leaf"), 2);
	assert_int_equal(ran, 2);
	assert_ptr_equal(command_find(&root, "blatt"), &leaf);
	assert_false(command_is_later(&group, ""));
}

static void test_nearest(void **state)
{
	char *const words[] = {(char *)"exec", (char *)"shell", (char *)"relaunch", NULL};

	assert_string_equal(nearest_word("exce", words), "exec");
	assert_string_equal(nearest_word("relanch", words), "relaunch");
	assert_null(nearest_word("xy", words));
	assert_null(nearest_word("a-very-long-word-that-nobody-can-have-meant", words));
	assert_null(nearest_word("x", NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_bools),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_empty_list),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_arguments),
		cmocka_unit_test(test_connection_anywhere),
		cmocka_unit_test(test_dispatch),
		cmocka_unit_test(test_nearest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
