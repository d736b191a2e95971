/* SPDX-License-Identifier: MIT */
/* slicer-image keys USER --url BASE: the public keys of a GitHub user, from BASE/USER.keys. */
#include <errno.h>
#include <grp.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/json.h"
#include "base/str.h"
#include "image/commands.h"
#include "image/download.h"
#include "image/report.h"
#include "image/ssh_keys.h"

enum {
	KEYS_LIMIT = 256 * 1024, /* bytes */
	KEYS_TIMEOUT_MS = 10 * 1000,
	KEYS_ALARM_SECONDS = 15, /* for what the library's own limit does not end */
	NOBODY = 65534,
};

/* What speaks to the network has no rights to lose. */
static int drop_rights(struct error **err)
{
	if (geteuid() == 0 &&
	    (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 || setresuid(NOBODY, NOBODY, NOBODY) < 0))
		return error_errno(err, errno, "cannot become an unprivileged user");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_errno(err, errno, "no_new_privs");
	return 0;
}

static int check_arguments(const struct command_args *args, struct error **err)
{
	if (!args->name[0] || strlen(args->name) > 39 ||
	    strspn(args->name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") !=
		    strlen(args->name))
		return error_set(err, ERR_INVALID, "\"%.80s\" is not the name of a GitHub user", args->name);
	if (!str_starts(args->url, "https://") && !str_starts(args->url, "http://"))
		return error_set(err, ERR_INVALID, "\"%.200s\" does not begin with https:// or http://", args->url);
	return 0;
}

static int explain(const struct command_args *args, struct error *take, struct error **err)
{
	cleanup_error struct error *error = take;

	if (error->code == ERR_NOT_FOUND)
		return error_set(err, ERR_NOT_FOUND, "there is no GitHub user \"%s\" (%s)", args->name,
				 error_message(error));
	error_wrap(&error, "cannot get the keys of GitHub user \"%s\"", args->name);
	return error_move(err, &error);
}

int command_keys(const struct command_args *args, struct error **err)
{
	size_t n = strlen(args->url);
	const char *slash = n && args->url[n - 1] == '/' ? "" : "/";
	cleanup_free char *url = str_fmt("%s%s%s.keys", args->url, slash, args->name), *text = NULL;
	cleanup_error struct error *error = NULL;
	cleanup_strv char **keys = NULL;
	struct json_object *result;

	if (check_arguments(args, err) < 0 || drop_rights(err) < 0)
		return -1;
	alarm(KEYS_ALARM_SECONDS);
	if (download_text(url, KEYS_LIMIT, KEYS_TIMEOUT_MS, &text, &error) < 0)
		return explain(args, TAKE_PTR(error), err);
	keys = ssh_keys_parse(text);
	if (!keys && !*str_trim(text))
		return error_set(err, ERR_NOT_FOUND, "GitHub user \"%s\" has no public keys (%s)", args->name, url);
	if (!keys)
		return error_set(err, ERR_PROTOCOL, "%s: what came holds no SSH public key", url);
	result = json_object_new_object();
	js_add_strv(result, "keys", keys);
	report_result(result);
	return 0;
}
