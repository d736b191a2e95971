/* SPDX-License-Identifier: MIT */
#include "base/str.h"

size_t strv_len(char *const *list)
{
	size_t n = 0;

	while (list && list[n])
		n++;
	return n;
}

void strv_append_take(char ***list, char *s)
{
	size_t n;

	if (!s)
		return;
	n = strv_len(*list);
	*list = mem_realloc(*list, (n + 2) * sizeof(char *));
	(*list)[n] = s;
	(*list)[n + 1] = NULL;
}

void strv_append(char ***list, const char *s)
{
	strv_append_take(list, str_dup(s));
}

void strv_append_fmt(char ***list, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	strv_append_take(list, str_vfmt(fmt, ap));
	va_end(ap);
}

char **strv_copy(char *const *list)
{
	size_t n = strv_len(list);
	char **copy = n ? mem_alloc_array(n + 1, sizeof(*copy)) : NULL;

	for (size_t i = 0; i < n; i++)
		copy[i] = str_dup(list[i]);
	return copy;
}

/* In linear time: what is split comes from outside. */
char **strv_split(const char *s, char sep)
{
	size_t n = 1, at = 0;
	char **list;

	for (const char *p = s; sep && (p = strchr(p, sep)); p++)
		n++;
	list = mem_alloc_array(n + 1, sizeof(*list));
	while (at < n - 1) {
		const char *end = strchr(s, sep);

		list[at++] = str_ndup(s, (size_t)(end - s));
		s = end + 1;
	}
	list[at] = str_dup(s);
	return list;
}

char *strv_join(char *const *list, const char *sep)
{
	size_t total = 1, sep_len = strlen(sep);
	char *out, *p;

	for (size_t i = 0; list && list[i]; i++)
		total += strlen(list[i]) + sep_len;
	out = p = mem_alloc(total);
	for (size_t i = 0; list && list[i]; i++) {
		if (i)
			p = mempcpy(p, sep, sep_len);
		p = mempcpy(p, list[i], strlen(list[i]));
	}
	return out;
}

bool strv_contains(char *const *list, const char *s)
{
	for (; list && *list; list++)
		if (str_eq(*list, s))
			return true;
	return false;
}

void strv_free(char ***list)
{
	if (!*list)
		return;
	for (char **p = *list; *p; p++)
		free(*p);
	free(*list);
	*list = NULL;
}
