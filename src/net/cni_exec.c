/* SPDX-License-Identifier: MIT */
/* Executing plugins (CNI specification, sections 2, 4 and 5). */
#include "net/cni.h"

#include <unistd.h>

#include "base/fs.h"
#include "base/json.h"
#include "base/proc.h"
#include "base/str.h"

enum { PLUGIN_MESSAGE_MAX = 1000 };

char **cni_plugin_path(void)
{
	const char *given = getenv("CNI_PATH");
	char **list = given && *given ? strv_split(given, ':') : NULL;

	strv_append(&list, "/opt/cni/bin");
	strv_append(&list, "/usr/lib/cni");
	return list;
}

char *cni_plugin_find(char *const *path, const char *type, struct error **err)
{
	cleanup_free char *tried = strv_join(path, ", ");

	for (char *const *dir = path; *dir; dir++) {
		cleanup_free char *program = **dir == '/' ? fs_join(*dir, type) : NULL;

		if (program && access(program, X_OK) == 0)
			return TAKE_PTR(program);
	}
	error_set(err, ERR_NOT_FOUND,
		  "CNI plugin \"%s\" is in none of %s (Debian's plugins: apt-get install containernetworking-plugins)",
		  type, tried);
	return NULL;
}

/* Nothing of the daemon's environment but what iptables and other programs of plugins need. */
static char **plugin_environment(const char *command, const char *path, const struct cni_attach *a)
{
	char **env = NULL;

	strv_append(&env, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
	strv_append_fmt(&env, "CNI_COMMAND=%s", command);
	strv_append_fmt(&env, "CNI_PATH=%s", path);
	if (a) {
		strv_append_fmt(&env, "CNI_CONTAINERID=%s", a->container);
		strv_append_fmt(&env, "CNI_NETNS=%s", a->netns);
		strv_append_fmt(&env, "CNI_IFNAME=%s", a->ifname);
	}
	return env;
}

/* {"code": 7, "msg": "…", "details": "…"}: what it says, or NULL when that is not what it answered. */
static char *plugin_complaint(const struct proc_result *r)
{
	cleanup_json struct json_object *obj = r->out_len ? js_parse(r->out, r->out_len, NULL) : NULL;
	const char *msg = NULL, *details = NULL;
	cleanup_free char *text = NULL;

	if (!obj || !json_object_is_type(obj, json_type_object) || js_get_string(obj, "msg", &msg, NULL) < 0 || !msg)
		return NULL;
	js_get_string(obj, "details", &details, NULL);
	text = str_fmt("%s%s%s", msg, details && *details ? "; " : "", details ? details : "");
	return str_escape(text, strnlen(text, PLUGIN_MESSAGE_MAX));
}

static int plugin_failed(const struct proc_result *r, struct error *why, struct error **err)
{
	cleanup_free char *complaint = plugin_complaint(r);
	int rc;

	if (complaint) {
		rc = error_set(err, ERR_IO, "%s", complaint);
		error_free(&why);
		return rc;
	}
	return error_move(err, &why);
}

/* An empty answer is one: DEL and CHECK have none. */
static int plugin_answer(const struct proc_result *r, struct json_object **ret, struct error **err)
{
	*ret = NULL;
	if (strspn(r->out, " \t\r\n") == r->out_len)
		return 0;
	*ret = js_parse(r->out, r->out_len, err);
	if (*ret && json_object_is_type(*ret, json_type_object))
		return 0;
	js_put(ret);
	if (err && !*err)
		error_set(err, ERR_PROTOCOL, "no JSON object");
	else if (err)
		(*err)->code = ERR_PROTOCOL;
	return error_wrap(err, "its answer");
}

int cni_exec(const char *program, const char *command, const char *path, const struct cni_attach *a,
	     struct json_object *config, struct json_object **ret, struct error **err)
{
	cleanup_strv char **env = plugin_environment(command, path, a);
	cleanup_free char *input = js_to_string(config);
	const char *argv[] = {program, NULL};
	struct proc_result r = {0};
	struct json_object *answer = NULL;
	struct error *error = NULL;
	int rc;

	rc = proc_run_env((char *const *)argv, env, input, CNI_RESULT_MAX,
			  a && a->timeout_ms ? a->timeout_ms : CNI_PLUGIN_TIMEOUT_MS, &r, &error);
	rc = rc < 0 ? plugin_failed(&r, error, err) : ret ? plugin_answer(&r, &answer, err) : 0;
	proc_result_clear(&r);
	if (rc < 0)
		return error_wrap(err, "CNI plugin %s, %s", program, command);
	if (ret)
		*ret = answer;
	return 0;
}

static bool version_listed(struct json_object *answer, const char *version)
{
	cleanup_strv char **supported = NULL;

	return answer && js_get_strv(answer, "supportedVersions", &supported, NULL, NULL) == 0 &&
	       strv_contains(supported, version);
}

static bool uses_iptables(const struct cni_list *l)
{
	for (size_t i = 0; i < l->nplugins; i++) {
		bool masquerades = false;

		js_get_bool(l->plugins[i].config, "ipMasq", &masquerades, NULL);
		if (masquerades || str_eq(l->plugins[i].type, "firewall") || str_eq(l->plugins[i].type, "portmap"))
			return true;
	}
	return false;
}

/* The guest has its interface's MAC address, and that interface another one, for which alone it would then be sent frames. */
static int check_kinds(const struct cni_list *l, struct error **err)
{
	for (size_t i = 0; i < l->nplugins; i++)
		if (str_eq(l->plugins[i].type, "macvlan") || str_eq(l->plugins[i].type, "ipvlan"))
			return error_set(
				err, ERR_UNSUPPORTED,
				"CNI network \"%s\": a VM cannot take the place of an interface of plugin \"%s\", which "
				"hears its own MAC address only. For VMs on the wire of an interface there is \"network: {mode: "
				"macvtap, parent: INTERFACE}\"",
				l->name, l->plugins[i].type);
	return 0;
}

int cni_list_probe(const struct cni_list *l, struct error **err)
{
	cleanup_strv char **path = cni_plugin_path();
	cleanup_free char *joined = strv_join(path, ":"), *iptables = proc_find_program("iptables");

	if (check_kinds(l, err) < 0)
		return -1;
	for (size_t i = 0; i < l->nplugins; i++) {
		cleanup_free char *program = cni_plugin_find(path, l->plugins[i].type, err);
		cleanup_json struct json_object *config = json_object_new_object(), *answer = NULL;

		js_add_string(config, "cniVersion", l->version);
		if (!program || cni_exec(program, "VERSION", joined, NULL, config, &answer, err) < 0)
			return error_wrap(err, "network \"%s\"", l->name);
		if (!version_listed(answer, l->version))
			return error_set(err, ERR_UNSUPPORTED,
					 "network \"%s\": CNI plugin %s does not speak version %s", l->name, program,
					 l->version);
	}
	if (!iptables && uses_iptables(l))
		return error_set(err, ERR_NOT_FOUND,
				 "CNI network \"%s\" has plugins that need iptables (apt-get install iptables)",
				 l->name);
	return 0;
}
