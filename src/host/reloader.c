/* SPDX-License-Identifier: MIT */
#include "host/reloader.h"

#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "host/reload.h"
#include "io/worker.h"
#include "net/apply.h"
#include "net/slots.h"

struct reloader {
	struct reloader_options o;
	struct json_object *loaded; /* the configuration as the file had it, without what was added to it since */
	bool stopping;
	struct config *loading; /* while the networks of its new slots are made */
	reload_done_fn *done;
	void *done_arg;
	char **added;		/* names of new slots */
	char **notes;		/* about their networks, sentences for the user */
	struct config **former; /* what was replaced: workers may look at it still */
	size_t nformer;
};

struct reloader *reloader_new(const struct reloader_options *options, struct json_object *take_loaded)
{
	struct reloader *r = NEW(struct reloader);

	r->o = *options;
	r->loaded = take_loaded;
	return r;
}

static void find_added(struct reloader *r)
{
	for (size_t i = 0; i < r->loading->ngroups; i++) {
		const struct config_group *g = &r->loading->groups[i];

		for (size_t k = 0; k < g->nslots; k++)
			if (!config_group_slot(config_group_find(*r->o.config, g->name), g->slots[k].name))
				strv_append(&r->added, g->slots[k].name);
	}
}

/* Calls it for each new slot, as a group that has only that one, until one fails. */
static int new_slots_each(struct reloader *r,
			  int (*one_slot)(struct reloader *r, const struct config_group *one, struct error **err),
			  struct error **err)
{
	for (size_t i = 0; i < r->loading->ngroups; i++)
		for (size_t k = 0; k < r->loading->groups[i].nslots; k++) {
			struct config_group one = net_bridged_part(&r->loading->groups[i], k);

			if (strv_contains(r->added, one.slots->name) && one_slot(r, &one, err) < 0)
				return -1;
		}
	return 0;
}

static int new_slot_up(struct reloader *r, const struct config_group *one, struct error **err)
{
	cleanup_strv char **notes = NULL;

	if (net_group_up(one, r->o.daemon_id, &notes, err) < 0)
		return -1;
	for (char **note = notes; note && *note; note++)
		strv_append(&r->notes, *note);
	return 0;
}

/* The failure of one keeps no other. */
static int new_slot_down(struct reloader *r, const struct config_group *one, struct error **err)
{
	net_group_down(one, r->o.daemon_id, NULL);
	return 0;
}

static int reload_work(void *arg, struct error **err)
{
	struct reloader *r = arg;

	if (new_slots_each(r, new_slot_up, err) == 0)
		return 0;
	new_slots_each(r, new_slot_down, NULL);
	return -1;
}

/* The daemon's configuration from now on. */
static void take_over(struct reloader *r)
{
	r->former = mem_realloc(r->former, (r->nformer + 1) * sizeof(struct config *));
	r->former[r->nformer++] = *r->o.config;
	js_put(&r->loaded);
	r->loaded = config_to_json(r->loading);
	/* With the keys that were fetched at the start. */
	strv_free(&r->loading->ssh_keys);
	r->loading->ssh_keys = strv_copy((*r->o.config)->ssh_keys);
	*r->o.config = TAKE_PTR(r->loading);
	r->o.manager_options->config = *r->o.config;
}

static int reload_finish(struct reloader *r, const struct error *error, struct error **err)
{
	if (error) {
		*err = error_copy(error);
		return -1;
	}
	if (r->stopping) /* what was made goes with the daemon's other networks */
		return error_set(err, ERR_UNAVAILABLE, "the daemon is stopping");
	take_over(r);
	return manager_start_slots(r->o.manager, r->former[r->nformer - 1], err);
}

static void reload_end(struct reloader *r, const struct error *error)
{
	cleanup_strv char **added = TAKE_PTR(r->added), **notes = TAKE_PTR(r->notes);
	cleanup_free char *names = added ? strv_join(added, ", ") : NULL;

	r->o.manager_options->coming = NULL;
	config_free(&r->loading);
	if (error)
		log_error("%s: not reloaded: %s", r->o.file, error_message(error));
	else
		log_info("%s: reloaded: %s", r->o.file, names ? names : "nothing was added");
	for (char **note = notes; !error && note && *note; note++)
		log_warn("%s", *note);
	r->done(r->done_arg, error ? NULL : added, error ? NULL : notes, error);
}

static void reload_done(void *arg, const struct error *error)
{
	struct reloader *r = arg;
	cleanup_error struct error *why = NULL;

	reload_finish(r, error, &why);
	reload_end(r, why);
}

static int reload_read(struct reloader *r, struct error **err)
{
	cleanup_json struct json_object *now = NULL;

	if (config_load_file(r->o.file, &r->loading, err) < 0)
		return -1;
	now = config_to_json(r->loading);
	return reload_check(r->loaded, now, err);
}

int reloader_begin(struct reloader *r, reload_done_fn *done, void *arg, struct error **err)
{
	struct error *why = NULL;

	if (r->stopping)
		return error_set(err, ERR_UNAVAILABLE, "the daemon is stopping");
	if (r->loading)
		return error_set(err, ERR_CONFLICT, "%s is being reloaded already: try again", r->o.file);
	if (reload_read(r, &why) < 0) {
		log_error("%s: not reloaded: %s", r->o.file, error_message(why));
		config_free(&r->loading);
		return error_move(err, &why);
	}
	find_added(r);
	r->done = done;
	r->done_arg = arg;
	r->o.manager_options->coming = r->loading;
	worker_submit(r->o.pool, reload_work, reload_done, r);
	return 0;
}

void reloader_stop(struct reloader *r)
{
	r->stopping = true;
}

void reloader_free(struct reloader **rp)
{
	struct reloader *r = *rp;

	if (!r)
		return;
	*rp = NULL;
	for (size_t i = 0; i < r->nformer; i++)
		config_free(&r->former[i]);
	free(r->former);
	config_free(&r->loading);
	strv_free(&r->added);
	strv_free(&r->notes);
	js_put(&r->loaded);
	free(r);
}
