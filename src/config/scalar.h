/* SPDX-License-Identifier: MIT */
/* Inside src/config only: one value on its way into one field. */
#ifndef SLICER_CONFIG_SCALAR_H
#define SLICER_CONFIG_SCALAR_H

#include "config/decode.h"

struct slot {
	const struct decode *d;
	const struct field *f;
	const char *path; /* of the field: "host_groups[0].vcpu" */
	void *dest;	  /* the member of the struct */
};

/* Every field type but OBJECT, OBJECTS and MAP. */
int slot_decode_scalar(const struct slot *s, const struct value *v, struct error **err);
int slot_decode_strv(const struct slot *s, const struct value *v, struct error **err);
/* The number of items of v against the field's min and max; `what` are they ("entries"). */
int slot_check_length(const struct slot *s, const struct value *v, const char *what, struct error **err);
int slot_fail_type(const struct slot *s, const struct value *v, const char *expected, struct error **err);

#endif
