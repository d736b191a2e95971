/* SPDX-License-Identifier: MIT */
/* What daemons that are gone left behind. */
#include "host/doctor_checks.h"
#include "host/net_scan.h"

static void describe(const struct net_thing *t, char ***lines)
{
	strv_append_fmt(lines, "%s %s%s%s, of the daemon %s", t->type, t->name, t->owner ? ", of " : "",
			t->owner ? t->owner : "", t->daemon_id);
}

/* How a daemon that is down but has VMs comes back. */
static void describe_waiting(const struct net_scan *s, struct doctor_result *r)
{
	for (size_t i = 0; i < s->ndaemons; i++) {
		const struct net_daemon *d = &s->daemons[i];

		if (d->life == NET_LIFE_DOWN && d->has_vms)
			strv_append_fmt(&r->fix, "slicer up %s (takes the VMs of the daemon %s over)",
					d->config ? d->config : "FILE", d->id);
	}
}

void doctor_leftovers(const struct doctor *d, struct doctor_result *r)
{
	cleanup_net_scan struct net_scan s = {0};
	cleanup_error struct error *why = NULL;
	size_t counts[NET_USE_STALE + 1] = {0};

	if (net_scan_read(&s, &why)) {
		doctor_say(r, DOCTOR_NOTE, "What daemons left cannot be seen: %s", error_message(why));
		return;
	}
	for (size_t i = 0; i < s.nthings; i++) {
		counts[s.things[i].use]++;
		if (s.things[i].use == NET_USE_STALE)
			describe(&s.things[i], &r->detail);
	}
	r->hidden = !d->privileged;
	if (counts[NET_USE_STALE]) {
		doctor_say(r, DOCTOR_WARNING,
			   "%zu things are left of daemons that have ended: they are in the way of "
			   "other networks",
			   counts[NET_USE_STALE]);
		strv_append(&r->fix, "slicer doctor --fix removes them; so does the next \"slicer "
				     "up\" of the same configuration");
	} else if (counts[NET_USE_WAITS]) {
		doctor_say(r, DOCTOR_NOTE, "VMs run whose daemon has ended: they cannot be reached until it is back");
	} else if (!d->privileged) {
		doctor_say_hidden(r, "what other users' daemons left");
	} else {
		doctor_say(r, DOCTOR_OK, "Nothing is left of daemons that have ended");
	}
	describe_waiting(&s, r);
}

int doctor_leftovers_mend(const struct doctor *d, bool force, FILE *out, struct error **err)
{
	cleanup_net_scan struct net_scan s = {0};

	if (net_scan_read(&s, err))
		return -1;
	return net_scan_remove(&s, NULL, out, err) < 0 ? -1 : 0;
}
