/* SPDX-License-Identifier: MIT */
/* Who may use the API, and whether it answers. */
#include <errno.h>
#include <grp.h>
#include <unistd.h>

#include "base/fs.h"
#include "cli/client.h"
#include "cli/output.h"
#include "host/doctor_checks.h"

#define GROUP "slicer"
#define TOKEN_FILE "/var/lib/slicer/auth/token"
#define JOIN_GROUP "sudo usermod -aG " GROUP " $USER, then log in again"

enum { GROUPS_MAX = 1024, API_MS = 5000 };

static bool is_member(gid_t gid)
{
	gid_t list[GROUPS_MAX];
	int n = getgroups(GROUPS_MAX, list);

	for (int i = 0; i < n; i++)
		if (list[i] == gid)
			return true;
	return getegid() == gid;
}

void doctor_group(const struct doctor *d, struct doctor_result *r)
{
	const struct group *g = getgrnam(GROUP);
	cleanup_free char *members = g ? strv_join(g->gr_mem, ", ") : NULL;

	if (!g) {
		doctor_say(r, DOCTOR_NOTE, "There is no group " GROUP ": only root can read the API's token");
		strv_append(&r->fix, "groupadd --system " GROUP "; then remove " TOKEN_FILE
				     ", so that \"slicer up\" makes it anew");
	} else if (d->privileged) {
		doctor_say(r, DOCTOR_OK, "The group " GROUP " is there; besides root these may use the API: %s",
			   *members ? members : "nobody");
	} else if (is_member(g->gr_gid)) {
		doctor_say(r, DOCTOR_OK, "You are a member of the group " GROUP ", and may use the API");
	} else {
		doctor_say(r, DOCTOR_WARNING,
			   "You are not a member of the group " GROUP ": you cannot read the API's token");
		strv_append(&r->fix, JOIN_GROUP "; or run slicer with sudo");
	}
}

/* As slicer up makes it. */
static const char *token_fix(void)
{
	return getgrnam(GROUP) ? "chown root:" GROUP " " TOKEN_FILE "; chmod 640 " TOKEN_FILE
			       : "chown root:root " TOKEN_FILE "; chmod 600 " TOKEN_FILE;
}

void doctor_token(const struct doctor *d, struct doctor_result *r)
{
	cleanup_free char *path = doctor_path(d, TOKEN_FILE), *token = doctor_read(d, TOKEN_FILE);
	struct stat st;

	if (stat(path, &st)) {
		if (errno == EACCES)
			doctor_say_hidden(r, TOKEN_FILE);
		else
			doctor_say(r, DOCTOR_OK, "There is no token yet; \"slicer up\" makes one");
	} else if (st.st_mode & 0007 || st.st_mode & 0020 || st.st_uid != 0) {
		doctor_say(r, DOCTOR_ERROR,
			   TOKEN_FILE " may be read or written by others than root and its group: "
				      "whoever reads it is root in "
				      "all VMs");
		strv_append(&r->fix, token_fix());
	} else if (!token) {
		doctor_say(r, DOCTOR_WARNING, TOKEN_FILE " cannot be read by you: the daemon refuses your commands");
		strv_append(&r->fix, getgrnam(GROUP) ? JOIN_GROUP "; or run slicer with sudo"
						     : "Run slicer with sudo; or make the group " GROUP
						       ", see the check \"group\"");
	} else if (!*token) {
		doctor_say(r, DOCTOR_ERROR, TOKEN_FILE " is empty: \"slicer up\" does not start");
		strv_append(&r->fix, "rm " TOKEN_FILE ", and \"slicer up\" makes a new one");
	} else {
		doctor_say(r, DOCTOR_OK, TOKEN_FILE " is there, for root and its group only");
	}
}

static void api_failed(const struct client *c, const struct error *why, struct doctor_result *r)
{
	if (why->code == ERR_UNAVAILABLE) {
		doctor_say(r, DOCTOR_NOTE, "No daemon answers at %s", c->endpoint.shown);
		strv_append(&r->fix, "sudo slicer up FILE starts one; --url names another");
		return;
	}
	doctor_say(r, DOCTOR_WARNING, "The daemon at %s does not serve you: %s", c->endpoint.shown, error_message(why));
	if (c->endpoint.token_from)
		strv_append_fmt(&r->detail, "Token: %s", c->endpoint.token_from);
	strv_append(&r->fix,
		    why->code == ERR_UNAUTHORIZED
			    ? "--token-file names the file with that daemon's token"
			    : "Look at what it logs: journalctl -u its unit, or the terminal of \"slicer up\"");
}

/* Where the configuration's daemon listens; the caller's, NULL without one. */
static char *api_of_config(const struct config *cfg)
{
	bool any;

	if (!cfg)
		return NULL;
	if (config_api_socket(cfg))
		return str_fmt("unix://%s", config_api_socket(cfg));
	any = !cfg->api.bind_address || str_eq(cfg->api.bind_address, "0.0.0.0");
	return str_fmt("http://%s:%u", any ? "127.0.0.1" : cfg->api.bind_address, cfg->api.port);
}

void doctor_api(const struct doctor *d, struct doctor_result *r)
{
	cleanup_client struct client c = {0};
	cleanup_json struct json_object *info = NULL;
	cleanup_free char *url = api_of_config(d->config);
	cleanup_error struct error *why = NULL;
	const char *version;

	if (d->config && !d->config->api.enabled) {
		doctor_say(r, DOCTOR_OK, "The configuration has no API");
		return;
	}
	if (client_open_or(&c, d->args, url, &why)) {
		doctor_say(r, DOCTOR_WARNING, "The daemon cannot be asked: %s", error_message(why));
		strv_append(&r->fix, "See --url, --token and --token-file in slicer(1)");
		return;
	}
	if (d->config && !endpoint_is_given(d->args))
		endpoint_offer_token(&c.endpoint, d->args, d->config->api.auth.token, d->file);
	info = client_json(&c, "GET", "/info", NULL, API_MS, &why);
	if (!info) {
		api_failed(&c, why, r);
		return;
	}
	version = show_string(info, "version");
	doctor_say(r, str_eq(version, SLICER_VERSION) ? DOCTOR_OK : DOCTOR_NOTE, "A daemon of version %s answers at %s",
		   version, c.endpoint.shown);
	if (r->severity == DOCTOR_NOTE)
		strv_append(&r->fix, "Restart it, to have version " SLICER_VERSION ": its VMs go on");
}
