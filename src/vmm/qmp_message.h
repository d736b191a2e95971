/* SPDX-License-Identifier: MIT */
/* One line of QMP, parsed. The VMM is hostile input: it runs the guest. */
#ifndef SLICER_VMM_QMP_MESSAGE_H
#define SLICER_VMM_QMP_MESSAGE_H

#include "base/json.h"

enum qmp_kind { QMP_GREETING, QMP_RETURN, QMP_ERROR, QMP_EVENT };
struct qmp_message {
	enum qmp_kind kind;
	uint64_t id;		   /* RETURN, ERROR: of the command; 0 when it has none */
	const char *text;	   /* EVENT: its name; ERROR: the description; borrowed from `json` */
	struct json_object *value; /* RETURN: what it returned; borrowed from `json` */
	struct json_object *json;  /* owned */
};
/* ERR_PROTOCOL for anything else than the four kinds. */
int qmp_message_parse(const char *line, size_t n, struct qmp_message *ret, struct error **err);
void qmp_message_clear(struct qmp_message *m);

#endif
