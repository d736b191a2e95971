/* SPDX-License-Identifier: MIT */
/* cppcheck reads no system header; these are the macros of theirs that change the syntax. */
#define LIST_HEAD(name, type)                                                                      \
	struct name {                                                                              \
		struct type *lh_first;                                                             \
	}
#define LIST_ENTRY(type)                                                                           \
	struct {                                                                                   \
		struct type *le_next;                                                              \
	}
#define json_object_object_foreach(object, key, value)                                             \
	const char *key = "";                                                                      \
	struct json_object *value = object;                                                        \
	while (value)
#define LIST_FOREACH(each, head, link)                                                             \
	for ((each) = (head)->lh_first; (each); (each) = (each)->link.le_next)
