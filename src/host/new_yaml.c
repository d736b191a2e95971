/* SPDX-License-Identifier: MIT */
#include "base/json.h"
#include "base/str.h"
#include "config/ip4.h"
#include "host/new_yaml.h"

/* Words that YAML 1.1 takes for something other than text. */
static bool is_reserved(const char *s)
{
	static const char *const words[] = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"};

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (strcasecmp(s, words[i]) == 0)
			return true;
	return false;
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* 25G, 512M: no number of YAML ends in one of these letters. */
static bool is_size(const char *s)
{
	size_t digits = strspn(s, "0123456789");

	return digits > 0 && s[digits] && strchr("KMGT", s[digits]) && !s[digits + 1];
}

static bool is_plain_safe(const char *s)
{
	struct ip4_range range;
	struct ip4_cidr cidr;
	size_t len = strlen(s);

	if (is_size(s) || ip4_parse_cidr_or_addr(s, &cidr, NULL) == 0 || ip4_parse_range(s, &range, NULL) == 0)
		return true;
	if (!len || s[len - 1] == ':' || is_reserved(s) || !(is_letter(s[0]) || s[0] == '/' || str_starts(s, "./")))
		return false;
	for (const char *p = s; *p; p++)
		if (!is_letter(*p) && !strchr("0123456789._/:@+-", *p))
			return false;
	return true;
}

/* JSON's strings are YAML's double-quoted ones. */
static void write_scalar(FILE *out, const char *s)
{
	if (is_plain_safe(s)) {
		fputs(s, out);
		return;
	}
	cleanup_json struct json_object *json = json_object_new_string(s);
	cleanup_free char *quoted = js_to_string(json);
	fputs(quoted, out);
}

/* A literal block keeps text as it is when it has line breaks only, and a first line that does not
 * begin with a space. */
static bool fits_block(const char *s)
{
	size_t len = strlen(s);

	if (!strchr(s, '\n') || s[0] == ' ' || s[0] == '\n' || (len > 1 && str_ends(s, "\n\n")))
		return false;
	for (const char *p = s; *p; p++)
		if ((unsigned char)*p < 0x20 ? *p != '\n' && *p != '\t' : (unsigned char)*p >= 0x7f)
			return false;
	return s[0] != '\t';
}

static void write_block(FILE *out, int indent, const char *s)
{
	fputs(str_ends(s, "\n") ? "|\n" : "|-\n", out);
	while (*s) {
		size_t n = strcspn(s, "\n");

		if (n)
			fprintf(out, "%*s%.*s", indent, "", (int)n, s);
		fputc('\n', out);
		s += n + (s[n] == '\n');
	}
}

void yaml_raw(FILE *out, int indent, const char *key, const char *value)
{
	fprintf(out, "%*s%s: %s\n", indent, "", key, value);
}

void yaml_text(FILE *out, int indent, const char *key, const char *value)
{
	fprintf(out, "%*s%s: ", indent, "", key);
	if (fits_block(value)) {
		write_block(out, indent + 2, value);
		return;
	}
	write_scalar(out, value);
	fputc('\n', out);
}

void yaml_list(FILE *out, int indent, const char *key, char *const *values)
{
	fprintf(out, "%*s%s:\n", indent, "", key);
	for (size_t i = 0; i < strv_len(values); i++) {
		fprintf(out, "%*s- ", indent, "");
		write_scalar(out, values[i]);
		fputc('\n', out);
	}
}
