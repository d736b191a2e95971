/* SPDX-License-Identifier: MIT */
#include "base/str.h"
#include "vmm/qmp_message.h"

static int qmp_message_error_text(struct qmp_message *m, struct error **err)
{
	struct json_object *error = NULL;

	m->text = "no reason given";
	if (js_get_object(m->json, "error", &error, err) < 0)
		return -1;
	return js_get_string(error, "desc", &m->text, err);
}

static int qmp_message_read(struct qmp_message *m, struct error **err)
{
	struct json_object *value;

	if (!json_object_is_type(m->json, json_type_object))
		return error_set(err, ERR_PROTOCOL, "not an object");
	if (json_object_object_get_ex(m->json, "QMP", &value)) {
		m->kind = QMP_GREETING;
		return 0;
	}
	if (json_object_object_get_ex(m->json, "event", &value)) {
		m->kind = QMP_EVENT;
		return js_get_string(m->json, "event", &m->text, err) < 0 || !m->text ? -1 : 0;
	}
	if (js_get_u64(m->json, "id", INT64_MAX, &m->id, err) < 0)
		return -1;
	if (json_object_object_get_ex(m->json, "return", &m->value)) {
		m->kind = QMP_RETURN;
		return 0;
	}
	if (!json_object_object_get_ex(m->json, "error", &value))
		return error_set(err, ERR_PROTOCOL, "neither greeting, event, return nor error");
	m->kind = QMP_ERROR;
	return qmp_message_error_text(m, err);
}

int qmp_message_parse(const char *line, size_t n, struct qmp_message *ret, struct error **err)
{
	cleanup_error struct error *why = NULL;

	*ret = (struct qmp_message){0};
	ret->json = js_parse(line, n, &why);
	if (ret->json && qmp_message_read(ret, &why) == 0)
		return 0;
	qmp_message_clear(ret);
	return error_set(err, ERR_PROTOCOL, "it sent what is not QMP: %s", error_message(why));
}

void qmp_message_clear(struct qmp_message *m)
{
	js_put(&m->json);
	*m = (struct qmp_message){0};
}
