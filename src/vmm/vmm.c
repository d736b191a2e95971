/* SPDX-License-Identifier: MIT */
/* The list of hypervisors, and the small types of vmm.h. */
#include "base/str.h"
#include "vmm/accel.h"

static const struct vmm_ops *const hypervisors[] = {&vmm_qemu, &vmm_fake};
static const char *const accel_names[] = {[VMM_ACCEL_AUTO] = "auto", [VMM_ACCEL_KVM] = "kvm", [VMM_ACCEL_TCG] = "tcg"};

const char *vmm_accel_name(enum vmm_accel accel)
{
	return accel_names[accel];
}

int vmm_accel_parse(const char *s, enum vmm_accel *ret, struct error **err)
{
	for (size_t i = 0; i < ARRAY_LEN(accel_names); i++) {
		if (str_eq(s, accel_names[i])) {
			*ret = (enum vmm_accel)i;
			return 0;
		}
	}
	return error_set(err, ERR_INVALID, "unknown acceleration '%s': use auto, kvm or tcg", s);
}

/* The fake hypervisor gives its program root's rights: it exists only where a test says so. */
static bool vmm_offered(const struct vmm_ops *ops)
{
	return ops != &vmm_fake || getenv("SLICER_FAKE_VMM");
}

const struct vmm_ops *vmm_by_name(const char *name, struct error **err)
{
	cleanup_strv char **names = NULL;
	cleanup_free char *list = NULL;

	for (size_t i = 0; i < ARRAY_LEN(hypervisors); i++) {
		if (!vmm_offered(hypervisors[i]))
			continue;
		if (str_eq(name, hypervisors[i]->name))
			return hypervisors[i];
		strv_append(&names, hypervisors[i]->name);
	}
	list = strv_join(names, ", ");
	error_set(err, ERR_INVALID, "unknown hypervisor '%s': available are %s", name, list);
	return NULL;
}

int vmm_probe(const struct vmm_ops *ops, enum vmm_accel wanted, struct kept *kept, struct vmm_probe *ret,
	      struct error **err)
{
	const char *forced = getenv("SLICER_ACCEL");

	*ret = (struct vmm_probe){0};
	if (wanted == VMM_ACCEL_AUTO && forced && *forced && vmm_accel_parse(forced, &wanted, err) < 0)
		return error_wrap(err, "environment variable SLICER_ACCEL");
	if (ops->probe(wanted, kept, ret, err) < 0) {
		vmm_probe_clear(ret);
		return error_wrap(err, "hypervisor %s", ops->name);
	}
	return 0;
}

void vmm_probe_clear(struct vmm_probe *p)
{
	mem_freep(&p->binary);
	mem_freep(&p->binary_full);
	mem_freep(&p->version);
	mem_freep(&p->reason);
	accel_clock_free(&p->clock);
}

void vmm_command_clear(struct vmm_command *c)
{
	strv_free(&c->argv);
	strv_free(&c->env);
	jail_spec_clear(&c->jail);
}
