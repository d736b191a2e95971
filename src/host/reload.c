/* SPDX-License-Identifier: MIT */
#include "host/reload.h"

#include "base/json.h"
#include "base/str.h"

static struct json_object *copy_of(struct json_object *obj)
{
	struct json_object *copy = NULL;

	if (json_object_deep_copy(obj, &copy, NULL) < 0)
		abort(); /* out of memory */
	return copy;
}

static int fail(const char *what, struct error **err)
{
	return error_set(err, ERR_UNSUPPORTED,
			 "%s; a running daemon takes over added slots only: restart it for the "
			 "rest (VMs of a daemon that was killed "
			 "go on)",
			 what);
}

/* Takes the slots out of a group; borrowed by nobody any more. */
static struct json_object *take_slots(struct json_object *group)
{
	struct json_object *slots = NULL;

	if (json_object_object_get_ex(group, "slots", &slots))
		json_object_get(slots);
	json_object_object_del(group, "slots");
	return slots ? slots : json_object_new_object();
}

static int check_group(struct json_object *before, struct json_object *now, struct error **err)
{
	cleanup_json struct json_object *old = take_slots(before), *new = take_slots(now);
	const char *name = NULL;

	js_get_string(before, "name", &name, NULL);
	json_object_object_foreach(old, key, value)
	{
		struct json_object *still = NULL;
		cleanup_free char *what = str_fmt("slot %s is gone or has changed", key);

		if (!json_object_object_get_ex(new, key, &still) || !json_object_equal(value, still))
			return fail(what, err);
	}
	if (!json_object_equal(before, now)) {
		cleanup_free char *what = str_fmt("host group %s has changed", name ? name : "");

		return fail(what, err);
	}
	return 0;
}

int reload_check(struct json_object *before, struct json_object *now, struct error **err)
{
	cleanup_json struct json_object *a = copy_of(before), *b = copy_of(now);
	struct json_object *old = NULL, *new = NULL;

	if (js_get_array(a, "host_groups", &old, err) < 0 || js_get_array(b, "host_groups", &new, err) < 0)
		return -1;
	if (!old || !new || json_object_array_length(old) != json_object_array_length(new))
		return fail("there are more or fewer host groups", err);
	for (size_t i = 0; i < json_object_array_length(old); i++)
		if (check_group(json_object_array_get_idx(old, i), json_object_array_get_idx(new, i), err) < 0)
			return -1;
	return json_object_equal(a, b) ? 0 : fail("something besides the host groups has changed", err);
}
