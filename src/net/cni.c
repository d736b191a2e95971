/* SPDX-License-Identifier: MIT */
/* Attachments: lists executed as a whole (CNI specification, sections 3 and 4), remembered in a file from before the first
 * plugin runs until the last one has removed what it made. */
#include "net/cni.h"

#include <errno.h>
#include <fcntl.h>

#include "base/fs.h"
#include "base/json.h"
#include "base/str.h"

/* What plugins have answered so far. Later ones may change the addresses that earlier ones have made their part for. */
struct answers {
	struct json_object *result; /* of the last one whose ADD came to its end; NULL: none yet */
	struct json_object
		*earlier; /* [{"plugins": N, "result": …}]: of the first N, where the next changed the addresses */
	uint64_t deleted; /* bit N: plugin N has had its DEL since */
};

static void answers_clear(struct answers *a)
{
	js_put(&a->result);
	js_put(&a->earlier);
}

static bool same_addresses(struct json_object *a, struct json_object *b)
{
	return json_object_equal(json_object_object_get(a, "ips"), json_object_object_get(b, "ips"));
}

/* `answer`: the caller's, taken over; of the plugin behind the first `n`. */
static void answers_add(struct answers *a, size_t n, struct json_object *take_answer)
{
	if (a->result && !same_addresses(a->result, take_answer)) {
		struct json_object *one = json_object_new_object();

		js_add_u64(one, "plugins", n);
		js_add(one, "result", json_object_get(a->result));
		if (!a->earlier)
			a->earlier = json_object_new_array();
		json_object_array_add(a->earlier, one);
	}
	js_put(&a->result);
	a->result = take_answer;
}

/* What was the result when the ADD of this plugin had ended, if the addresses are others now; borrowed, NULL: they are not. */
static struct json_object *answers_former(const struct answers *a, size_t plugin)
{
	for (size_t i = 0; a->earlier && i < json_object_array_length(a->earlier); i++) {
		struct json_object *one = json_object_array_get_idx(a->earlier, i), *result = NULL;
		uint64_t n = 0;

		if (json_object_is_type(one, json_type_object) &&
		    js_get_u64(one, "plugins", CNI_PLUGINS_MAX, &n, NULL) == 0 && n > plugin &&
		    js_get_object(one, "result", &result, NULL) == 0 && result && !same_addresses(result, a->result))
			return result;
	}
	return NULL;
}

/* ---- the cache: {"list": …, "mac": …, "ip": …, "result": …, "earlier": …, "deleted": …} ---- */

char *cni_cache_path(const struct cni_attach *a)
{
	cleanup_free char *file = str_fmt("%s-%s.json", a->container, a->ifname);

	return fs_join(a->cache_dir, file);
}

static int cache_write(const struct cni_list *l, const struct cni_attach *a, const struct answers *answers,
		       struct error **err)
{
	cleanup_free char *path = cni_cache_path(a);
	cleanup_json struct json_object *doc = json_object_new_object();
	cleanup_free char *text = NULL;

	js_add_string(doc, "container", a->container);
	js_add_string(doc, "netns", a->netns);
	js_add_string(doc, "mac", a->mac);
	js_add_string(doc, "ip", a->ip);
	js_add(doc, "list", json_object_get(l->source));
	if (answers->result)
		js_add(doc, "result", json_object_get(answers->result));
	if (answers->earlier)
		js_add(doc, "earlier", json_object_get(answers->earlier));
	if (answers->deleted)
		js_add_u64(doc, "deleted", answers->deleted);
	text = js_to_string(doc);
	if (fs_mkdir_p(a->cache_dir, 0700, err) < 0)
		return -1;
	return fs_write_atomic(path, text, strlen(text), 0600, err);
}

struct cached {
	struct json_object *doc;
	struct answers answers; /* borrowed from doc */
	struct cni_list list;
	struct cni_attach attach; /* as it was given to ADD; borrowed */
};

static void cached_clear(struct cached *c)
{
	cni_list_clear(&c->list);
	js_put(&c->doc);
}

/* 1 when there is something, 0 when not. */
static int cache_read(const struct cni_attach *a, struct cached *ret, struct error **err)
{
	cleanup_free char *path = cni_cache_path(a);
	cleanup_free char *text = NULL;
	struct json_object *list = NULL;

	*ret = (struct cached){0};
	if (!fs_exists(path))
		return 0;
	ret->doc = js_parse_file(path, CNI_CACHE_MAX, err);
	ret->attach = *a;
	ret->attach.mac = ret->attach.ip = NULL;
	if (!ret->doc || js_get_object(ret->doc, "list", &list, err) < 0 ||
	    js_get_object(ret->doc, "result", &ret->answers.result, err) < 0 ||
	    js_get_array(ret->doc, "earlier", &ret->answers.earlier, err) < 0 ||
	    js_get_u64(ret->doc, "deleted", UINT32_MAX, &ret->answers.deleted, err) < 0 ||
	    js_get_string(ret->doc, "mac", &ret->attach.mac, err) < 0 ||
	    js_get_string(ret->doc, "ip", &ret->attach.ip, err) < 0)
		return error_wrap(err, "%s", path);
	if (list)
		text = js_to_string(list);
	if (cni_list_parse(text ? text : "", text ? strlen(text) : 0, path, &ret->list, err) < 0)
		return -1;
	return 1;
}

/* A file beside it says that DEL has begun, for whoever comes after us. It need not outlive the host: what plugins made does not. */
static char *begun_path(const struct cni_attach *a)
{
	cleanup_free char *path = cni_cache_path(a);

	return str_fmt("%s.begun", path);
}

bool cni_del_begun(const struct cni_attach *a)
{
	cleanup_free char *path = begun_path(a);

	return fs_exists(path);
}

static int del_begin(const struct cni_attach *a, struct error **err)
{
	cleanup_free char *path = begun_path(a);
	cleanup_close int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	return fd < 0 ? error_errno(err, errno, "cannot write %s", path) : 0;
}

static int cache_forget(const struct cni_attach *a, struct error **err)
{
	cleanup_free char *path = cni_cache_path(a), *begun = begun_path(a);

	return fs_unlink(begun, err) < 0 ? -1 : fs_unlink(path, err);
}

/* ---- executing ---- */

static bool plugin_can(const struct cni_plugin *p, const char *capability)
{
	struct json_object *capabilities = NULL;
	bool wanted = false;

	return js_get_object(p->config, "capabilities", &capabilities, NULL) == 0 && capabilities &&
	       js_get_bool(capabilities, capability, &wanted, NULL) == 0 && wanted;
}

bool cni_list_can(const struct cni_list *l, const char *capability)
{
	for (size_t i = 0; i < l->nplugins; i++)
		if (plugin_can(&l->plugins[i], capability))
			return true;
	return false;
}

/* Of the capabilities that a plugin may declare (CNI's CONVENTIONS.md), those for which there is something to give. */
static void add_runtime_config(struct json_object *config, const struct cni_plugin *p, const struct cni_attach *a)
{
	cleanup_json struct json_object *given = json_object_new_object();

	if (a->mac && plugin_can(p, "mac"))
		js_add_string(given, "mac", a->mac);
	if (a->ip && plugin_can(p, "ips"))
		js_add_strv(given, "ips", (char *[]){(char *)a->ip, NULL});
	/* No limit; told nothing at all, CHECK of the plugin `bandwidth` (1.1.1) crashes. What its own part says comes first. */
	if (plugin_can(p, "bandwidth"))
		js_add(given, "bandwidth", json_object_new_object());
	if (json_object_object_length(given) > 0)
		js_add(config, "runtimeConfig", json_object_get(given));
}

/* A plugin's own part with what the runtime adds to it. */
static struct json_object *plugin_config(const struct cni_list *l, size_t i, const struct cni_attach *a,
					 struct json_object *previous)
{
	struct json_object *config = json_object_new_object();

	json_object_object_foreach(l->plugins[i].config, key,
				   value) if (!str_eq(key, "plugins") && !str_eq(key, "disableCheck") &&
					      !str_eq(key, "capabilities")) js_add(config, key, json_object_get(value));
	js_add_string(config, "cniVersion", l->version);
	js_add_string(config, "name", l->name);
	add_runtime_config(config, &l->plugins[i], a);
	if (previous)
		js_add(config, "prevResult", json_object_get(previous));
	return config;
}

static int exec_plugin(const struct cni_list *l, size_t i, const char *command, const struct cni_attach *a,
		       struct json_object *previous, struct json_object **ret, struct error **err)
{
	cleanup_strv char **path = cni_plugin_path();
	cleanup_free char *joined = strv_join(path, ":");
	cleanup_free char *program = cni_plugin_find(path, l->plugins[i].type, err);
	cleanup_json struct json_object *config = plugin_config(l, i, a, previous);

	return program ? cni_exec(program, command, joined, a, config, ret, err) : -1;
}

static bool is_sound(struct json_object *result, const struct cni_attach *a, struct error **err)
{
	struct cni_result parsed;
	bool sound = cni_result_parse(result, a->ifname, &parsed, err) == 0;

	if (sound)
		cni_result_clear(&parsed);
	return sound;
}

/* Each result is kept before the next plugin runs: plugins such as `firewall` know what to delete from it alone. One that makes no
 * sense takes no place of one that does, or what plugins before have made would stay. */
static int add_all(const struct cni_list *l, const struct cni_attach *a, struct answers *ret, struct error **err)
{
	for (size_t i = 0; i < l->nplugins; i++) {
		struct json_object *answer = NULL;

		if (exec_plugin(l, i, "ADD", a, ret->result, &answer, err) < 0)
			return -1;
		if (!answer)
			return error_set(err, ERR_PROTOCOL, "CNI plugin \"%s\" answered nothing to ADD",
					 l->plugins[i].type);
		if (ret->result && is_sound(ret->result, a, NULL) && !is_sound(answer, a, err)) {
			js_put(&answer);
			return error_wrap(err, "CNI plugin \"%s\", ADD", l->plugins[i].type);
		}
		answers_add(ret, i, answer);
		if (cache_write(l, a, ret, err) < 0)
			return -1;
	}
	return 0;
}

/* Of what is gone, or was never made because ADD was killed, DEL has nothing to say (specification, section 2). Plugins that
 * masquerade (Debian 12's: 1.1.1) fail all the same when their chain is not there: they look for the words of an iptables before
 * 1.8.8. The chain is the last that they remove. */
static bool is_gone(const struct error *e)
{
	const char *chain = strstr(error_message(e), "Chain 'CNI-");

	return chain && strstr(chain, "' does not exist");
}

static int del_by(const struct cni_list *l, size_t i, const struct cni_attach *a, struct json_object *result,
		  struct error **err)
{
	cleanup_error struct error *error = NULL;

	if (exec_plugin(l, i, "DEL", a, result, NULL, &error) < 0 && !is_gone(error))
		return error_move(err, &error);
	return 0;
}

/* Until 0.3.1 DEL was without the result. By the specification it is that of the last plugin; one that looks up there what it has
 * made for another address finds that by the former, since DEL may come more than once. */
static int del_one(const struct cni_list *l, size_t i, const struct cni_attach *a, const struct answers *answers,
		   struct error **err)
{
	bool with_result = !str_eq(l->version, "0.3.1");
	struct json_object *former = with_result ? answers_former(answers, i) : NULL;

	if (former && del_by(l, i, a, former, err) < 0)
		return -1;
	return del_by(l, i, a, with_result ? answers->result : NULL, err);
}

/* What is to be tried again is kept without those that have had their DEL: some fail at what is gone already. */
static int del_all(const struct cni_list *l, const struct cni_attach *a, struct answers *answers, struct error **err)
{
	cleanup_error struct error *first = NULL;
	bool failed = false;

	for (size_t i = l->nplugins; i-- > 0;) {
		const uint64_t bit = UINT64_C(1) << i;

		if (answers->deleted & bit)
			continue;
		if (del_one(l, i, a, answers, failed ? NULL : &first) == 0)
			answers->deleted |= bit;
		else
			failed = true;
	}
	if (!failed)
		return cache_forget(a, err);
	cache_write(l, a, answers, NULL);
	return error_move(err, &first);
}

/* Before the first runs: when one is missing, neither what others would have made is to be removed nor its own DEL can be. */
static int find_all(const struct cni_list *l, struct error **err)
{
	cleanup_strv char **path = cni_plugin_path();

	for (size_t i = 0; i < l->nplugins; i++) {
		cleanup_free char *program = cni_plugin_find(path, l->plugins[i].type, err);

		if (!program)
			return -1;
	}
	return 0;
}

int cni_add(const struct cni_list *l, const struct cni_attach *a, struct json_object **ret_result, struct error **err)
{
	__attribute__((cleanup(answers_clear))) struct answers answers = {0};

	if (cni_del(a, err) < 0 || find_all(l, err) < 0 || cache_write(l, a, &answers, err) < 0)
		return error_wrap(err, "network \"%s\"", l->name);
	if (add_all(l, a, &answers, err) < 0) {
		/* What cannot be deleted now is cached, and tried again with the next ADD or DEL. */
		del_all(l, a, &answers, NULL);
		return error_wrap(err, "network \"%s\"", l->name);
	}
	*ret_result = json_object_get(answers.result);
	return 0;
}

int cni_check(const struct cni_attach *a, struct error **err)
{
	struct cached c;
	int rc = cache_read(a, &c, err);

	if (rc == 0)
		rc = error_set(err, ERR_NOT_FOUND, "%s is attached to no CNI network", a->container);
	else if (rc > 0)
		rc = 0;
	if (rc == 0 && !c.list.disable_check && !str_eq(c.list.version, "0.3.1"))
		for (size_t i = 0; rc == 0 && i < c.list.nplugins; i++)
			rc = exec_plugin(&c.list, i, "CHECK", &c.attach, c.answers.result, NULL, err);
	cached_clear(&c);
	return rc;
}

int cni_del(const struct cni_attach *a, struct error **err)
{
	struct cached c;
	int rc = cache_read(a, &c, err);

	if (rc > 0)
		rc = del_begin(a, err) < 0 ? -1 : del_all(&c.list, &c.attach, &c.answers, err);
	cached_clear(&c);
	return rc;
}

static void addresses_of(struct json_object *result, char ***ret)
{
	struct json_object *ips = result ? json_object_object_get(result, "ips") : NULL;

	for (size_t i = 0;
	     json_object_is_type(ips, json_type_array) && i < json_object_array_length(ips) && i < CNI_ITEMS_MAX; i++) {
		struct json_object *one = json_object_array_get_idx(ips, i);
		const char *address = NULL;
		struct ip4_cidr c;

		if (json_object_is_type(one, json_type_object) && js_get_string(one, "address", &address, NULL) == 0 &&
		    address && ip4_parse_cidr(address, &c, NULL) == 0 && !strv_contains(*ret, address))
			strv_append(ret, address);
	}
}

int cni_added(const struct cni_attach *a, char ***ret, struct error **err)
{
	struct cached c;
	int rc = cache_read(a, &c, err);

	*ret = NULL;
	if (rc > 0)
		addresses_of(c.answers.result, ret);
	for (size_t i = 0; rc > 0 && c.answers.earlier && i < json_object_array_length(c.answers.earlier); i++)
		addresses_of(json_object_object_get(json_object_array_get_idx(c.answers.earlier, i), "result"), ret);
	cached_clear(&c);
	return rc;
}
