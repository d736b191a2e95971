/* SPDX-License-Identifier: MIT */
/* Durations in Go's syntax, and sizes. */
#include "base/units.h"

#include "base/str.h"

static const struct {
	const char *name;
	int64_t ns;
} duration_units[] = {
	{"ns", 1},
	{"us", 1000},
	{"\u00b5s", 1000}, /* micro sign */
	{"\u03bcs", 1000}, /* Greek mu */
	{"ms", 1000000},
	{"s", 1000000000},
	{"m", 60 * INT64_C(1000000000)},
	{"h", 3600 * INT64_C(1000000000)},
};

static const struct {
	char letter;
	unsigned shift;
} size_units[] = {{'T', 40}, {'G', 30}, {'M', 20}, {'K', 10}};

/* A decimal number: whole part, and the fraction as numerator / scale. */
struct decimal {
	uint64_t whole;
	uint64_t numerator;
	uint64_t scale;
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Reads digits with at most one point; false when there is no digit or the whole part overflows. */
static bool read_decimal(const char **s, struct decimal *ret)
{
	struct decimal d = {.scale = 1};
	const char *start = *s;
	bool digits = is_digit(**s);

	for (; is_digit(**s); (*s)++)
		if (__builtin_mul_overflow(d.whole, 10u, &d.whole) ||
		    __builtin_add_overflow(d.whole, (uint64_t)(**s - '0'), &d.whole))
			return false;
	if (**s == '.') {
		(*s)++;
		digits |= is_digit(**s);
		for (; is_digit(**s); (*s)++) {
			if (d.scale >= UINT64_C(1000000000000000000))
				continue; /* 18 digits are finer than any unit needs */
			d.scale *= 10;
			d.numerator = d.numerator * 10 + (uint64_t)(**s - '0');
		}
	}
	*ret = d;
	return digits && *s > start;
}

/* d * unit, its fraction cut off; false on overflow. */
static bool scale_decimal(const struct decimal *d, uint64_t unit, uint64_t *ret)
{
	uint64_t part = (uint64_t)((unsigned __int128)d->numerator * unit / d->scale);

	return !__builtin_mul_overflow(d->whole, unit, ret) && !__builtin_add_overflow(*ret, part, ret);
}

/* The unit at *s, which ends before the next digit or point; 0 when there is none of that name. */
static int64_t read_duration_unit(const char **s)
{
	size_t n = strcspn(*s, "0123456789.");

	for (size_t i = 0; i < ARRAY_LEN(duration_units); i++) {
		if (strlen(duration_units[i].name) != n || memcmp(duration_units[i].name, *s, n) != 0)
			continue;
		*s += n;
		return duration_units[i].ns;
	}
	return 0;
}

static int invalid_duration(const char *s, const char *why, struct error **err)
{
	cleanup_free char *shown = str_escape(s, strnlen(s, 64));

	return error_set(err, ERR_INVALID, "duration \"%s\" %s: write it like 30s, 1h30m, 1.5s or 500ms", shown, why);
}

int duration_parse(const char *s, int64_t *ret_ns, struct error **err)
{
	const char *p = s;
	uint64_t total = 0;

	if (str_eq(s, "0"))
		p = s + 1;
	else if (!*s)
		return invalid_duration(s, "is empty", err);
	while (*p) {
		struct decimal d;
		uint64_t part;
		int64_t unit;

		if (*p == '-' || *p == '+')
			return invalid_duration(s, "has a sign", err);
		if (!read_decimal(&p, &d))
			return invalid_duration(s, "is not a number with a unit, or is too large", err);
		unit = read_duration_unit(&p);
		if (!unit)
			return invalid_duration(s, *p ? "has an unknown unit" : "has no unit", err);
		if (!scale_decimal(&d, (uint64_t)unit, &part) || __builtin_add_overflow(total, part, &total) ||
		    total > INT64_MAX)
			return invalid_duration(s, "is too large (over 292 years)", err);
	}
	*ret_ns = (int64_t)total;
	return 0;
}

/* value / unit in decimal, without trailing zeros. */
static char *format_fraction(uint64_t value, uint64_t unit, const char *suffix)
{
	cleanup_free char *fraction = NULL;
	uint64_t scale = unit, rest = value % unit;
	size_t n;

	if (!rest)
		return str_fmt("%llu%s", (unsigned long long)(value / unit), suffix);
	fraction = str_fmt("%llu", (unsigned long long)(scale + rest)); /* "1" and the zero-padded rest */
	n = strlen(fraction);
	while (fraction[n - 1] == '0')
		fraction[--n] = '\0';
	return str_fmt("%llu.%s%s", (unsigned long long)(value / unit), fraction + 1, suffix);
}

char *duration_format(int64_t ns)
{
	uint64_t u = ns < 0 ? -(uint64_t)ns : (uint64_t)ns, minutes = u / 60000000000;
	cleanup_free char *seconds = NULL;
	const char *sign = ns < 0 ? "-" : "";

	if (!u)
		return str_dup("0s");
	if (u < 1000)
		seconds = format_fraction(u, 1, "ns");
	else if (u < 1000000)
		seconds = format_fraction(u, 1000, "\u00b5s");
	else if (u < 1000000000)
		seconds = format_fraction(u, 1000000, "ms");
	else
		seconds = format_fraction(u % 60000000000, 1000000000, "s");
	if (minutes >= 60)
		return str_fmt("%s%lluh%llum%s", sign, (unsigned long long)(minutes / 60),
			       (unsigned long long)(minutes % 60), seconds);
	if (minutes)
		return str_fmt("%s%llum%s", sign, (unsigned long long)minutes, seconds);
	return str_fmt("%s%s", sign, seconds);
}

int size_parse(const char *s, uint64_t *ret, struct error **err)
{
	cleanup_free char *shown = str_escape(s, strnlen(s, 64));
	const char *p = s;
	struct decimal d;
	unsigned shift = 0;
	uint64_t bytes;

	if (!is_digit(*s) || !read_decimal(&p, &d))
		goto invalid;
	for (size_t i = 0; i < ARRAY_LEN(size_units); i++)
		if (*p && (*p == size_units[i].letter || *p == size_units[i].letter + ('a' - 'A')))
			shift = size_units[i].shift;
	if (shift)
		p++;
	if (*p && !str_eq(p, "B") && !(shift && str_eq(p, "iB")))
		goto invalid;
	if (d.scale > 1 && !shift)
		goto invalid; /* a fraction of a byte */
	if (!scale_decimal(&d, UINT64_C(1) << shift, &bytes))
		return error_set(err, ERR_INVALID, "size \"%s\" is too large", shown);
	*ret = bytes;
	return 0;
invalid:
	return error_set(err, ERR_INVALID, "\"%s\" is not a size: write it like 512M, 25G or 64GiB", shown);
}

char *size_format(uint64_t bytes)
{
	for (size_t i = 0; i < ARRAY_LEN(size_units); i++) {
		uint64_t unit = UINT64_C(1) << size_units[i].shift;
		/* Tenths, rounded; what rounds up to 1024 of a unit is 1 of the next. */
		uint64_t tenths = bytes / unit * 10 + (bytes % unit * 10 + unit / 2) / unit;

		if (bytes < unit - unit / 20480)
			continue;
		if (tenths % 10)
			return str_fmt("%llu.%llu%ciB", (unsigned long long)(tenths / 10),
				       (unsigned long long)(tenths % 10), size_units[i].letter);
		return str_fmt("%llu%ciB", (unsigned long long)(tenths / 10), size_units[i].letter);
	}
	return str_fmt("%lluB", (unsigned long long)bytes);
}
