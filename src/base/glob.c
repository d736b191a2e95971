/* SPDX-License-Identifier: MIT */
#include "base/glob.h"

#include "base/str.h"

/* Matches the set behind '[' against c. Returns the first byte behind the set, NULL when it is not closed. */
static const char *match_set(const char *p, const char *end, unsigned char c, bool *ret_hit)
{
	bool negate = p < end && (*p == '!' || *p == '^');
	bool hit = false, first = true;

	for (p += negate; p < end && (*p != ']' || first); first = false) {
		unsigned char low, high;

		if (*p == '\\' && p + 1 < end)
			p++;
		low = high = (unsigned char)*p++;
		if (p + 1 < end && *p == '-' && p[1] != ']') {
			p++;
			if (*p == '\\' && p + 1 < end)
				p++;
			high = (unsigned char)*p++;
		}
		hit = hit || (low <= c && c <= high);
	}
	if (p >= end)
		return NULL;
	*ret_hit = hit != negate;
	return p + 1;
}

/* Matches one byte c with the pattern element at p; returns what follows the element, or NULL. `unclosed` is where the first set
 * was seen that is not closed, NULL at first: those behind it are not either, and need not be read to their end again. */
static const char *match_one(const char *p, const char *end, char c, const char **unclosed)
{
	bool hit = false;
	const char *next = NULL;

	if (p >= end)
		return NULL;
	switch (*p) {
	case '?':
		return p + 1;
	case '[':
		if (!*unclosed || p < *unclosed)
			next = match_set(p + 1, end, (unsigned char)c, &hit);
		if (next)
			return hit ? next : NULL;
		if (!*unclosed || p < *unclosed)
			*unclosed = p;
		return c == '[' ? p + 1 : NULL; /* not closed: an ordinary character */
	case '\\':
		if (p + 1 < end)
			p++;
		return *p == c ? p + 1 : NULL;
	default:
		return *p == c ? p + 1 : NULL;
	}
}

/* Iterative, with one point to go back to: only the last star can need another try. */
static bool match_span(const char *p, const char *p_end, const char *s, const char *s_end)
{
	const char *star = NULL, *star_s = NULL, *unclosed = NULL;

	while (s < s_end) {
		const char *next;

		if (p < p_end && *p == '*') {
			star = ++p;
			star_s = s;
			continue;
		}
		next = match_one(p, p_end, *s, &unclosed);
		if (next) {
			p = next;
			s++;
		} else if (star) {
			p = star;
			s = ++star_s;
		} else {
			return false;
		}
	}
	while (p < p_end && *p == '*')
		p++;
	return p == p_end;
}

bool glob_match(const char *pattern, const char *name)
{
	return match_span(pattern, pattern + strlen(pattern), name, name + strlen(name));
}

static bool is_double_star(const char *p, size_t n)
{
	return n == 2 && p[0] == '*' && p[1] == '*';
}

/* The same walk one level up: segments for bytes, "**" for the star. */
bool glob_match_path(const char *pattern, const char *path)
{
	const char *p = pattern, *s = path;
	const char *star = NULL, *star_s = NULL;

	while (s) {
		size_t pn = p ? strcspn(p, "/") : 0;
		size_t sn = strcspn(s, "/");

		if (p && is_double_star(p, pn)) {
			star = p = p[pn] ? p + pn + 1 : NULL;
			star_s = s;
			if (!p)
				return true;
		} else if (p && match_span(p, p + pn, s, s + sn)) {
			p = p[pn] ? p + pn + 1 : NULL;
			s = s[sn] ? s + sn + 1 : NULL;
		} else if (star) {
			star_s += strcspn(star_s, "/");
			star_s = *star_s ? star_s + 1 : NULL;
			s = star_s;
			p = star;
		} else {
			return false;
		}
	}
	while (p && is_double_star(p, strcspn(p, "/")))
		p = p[2] ? p + 3 : NULL;
	return p == NULL;
}

bool glob_excludes(const char *pattern, const char *path)
{
	cleanup_free char *copy = str_dup(pattern);
	char *p = str_trim(copy);
	const char *base = strrchr(path, '/');
	size_t n;

	if (str_starts(p, "./"))
		p += 2;
	else if (*p == '/')
		p++;
	n = strlen(p);
	if (n && p[n - 1] == '/')
		p[n - 1] = 0;
	if (!*p)
		return false;
	if (glob_match_path(p, path))
		return true;
	return !strchr(p, '/') && base && glob_match(p, base + 1);
}

bool glob_excludes_any(char *const *patterns, const char *path)
{
	for (; patterns && *patterns; patterns++)
		if (glob_excludes(*patterns, path))
			return true;
	return false;
}
