/* SPDX-License-Identifier: MIT */
/* Clocks and RFC 3339 timestamps. Own calendar arithmetic: gmtime_r() and timegm() read the time
 * zone files. */
#include "base/units.h"

#include "base/str.h"

#define NS_PER_S 1000000000

static int64_t clock_read(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

int64_t clock_ns(void)
{
	return clock_read(CLOCK_MONOTONIC);
}

int64_t clock_ms(void)
{
	return clock_ns() / 1000000;
}

int64_t clock_realtime_ns(void)
{
	return clock_read(CLOCK_REALTIME);
}

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

/* Days since 1970-01-01 in the proleptic Gregorian calendar; years begin in March, so that leap
 * days come last. */
static int64_t days_of_date(int64_t year, int64_t month, int64_t day)
{
	int64_t y = month > 2 ? year : year - 1;
	int64_t era = floor_div(y, 400), yoe = y - era * 400;
	int64_t doy = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;

	return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

static void date_of_days(int64_t days, int64_t *year, int64_t *month, int64_t *day)
{
	int64_t z = days + 719468, era = floor_div(z, 146097), doe = z - era * 146097;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), m = (5 * doy + 2) / 153;

	*day = doy - (153 * m + 2) / 5 + 1;
	*month = m < 10 ? m + 3 : m - 9;
	*year = yoe + era * 400 + (*month <= 2);
}

char *time_rfc3339(int64_t realtime_ns)
{
	int64_t seconds = floor_div(realtime_ns, NS_PER_S);
	int64_t ns = (realtime_ns % NS_PER_S + NS_PER_S) % NS_PER_S;
	int64_t days = floor_div(seconds, 86400), rest = seconds - days * 86400;
	int64_t year, month, day;

	date_of_days(days, &year, &month, &day);
	return str_fmt("%04lld-%02lld-%02lldT%02lld:%02lld:%02lld.%09lldZ", (long long)year, (long long)month,
		       (long long)day, (long long)(rest / 3600), (long long)(rest / 60 % 60), (long long)(rest % 60),
		       (long long)ns);
}

/* Reads exactly `digits` digits, and then the character `then` unless that is 0. */
static bool read_field(const char **s, int digits, int64_t max, char then, int64_t *ret)
{
	int64_t v = 0;

	for (int i = 0; i < digits; i++, (*s)++) {
		if (**s < '0' || **s > '9')
			return false;
		v = v * 10 + (**s - '0');
	}
	if (v > max || (then && *(*s)++ != then))
		return false;
	*ret = v;
	return true;
}

static bool read_fraction(const char **s, int64_t *ret_ns)
{
	int64_t scale = NS_PER_S / 10;

	*ret_ns = 0;
	if (**s != '.')
		return true;
	(*s)++;
	if (**s < '0' || **s > '9')
		return false;
	for (; **s >= '0' && **s <= '9'; (*s)++, scale /= 10)
		*ret_ns += (**s - '0') * scale; /* beyond nanoseconds: cut off, as Go does */
	return true;
}

static bool read_zone(const char **s, int64_t *ret_seconds)
{
	int64_t hour, minute, sign;

	*ret_seconds = 0;
	if (**s == 'Z' || **s == 'z') {
		(*s)++;
		return true;
	}
	if (**s != '+' && **s != '-')
		return false;
	sign = *(*s)++ == '-' ? -1 : 1;
	if (!read_field(s, 2, 23, ':', &hour) || !read_field(s, 2, 59, 0, &minute))
		return false;
	*ret_seconds = sign * (hour * 3600 + minute * 60);
	return true;
}

static int64_t days_in_month(int64_t year, int64_t month)
{
	return month == 12 ? 31 : days_of_date(year, month + 1, 1) - days_of_date(year, month, 1);
}

static bool read_date(const char **s, int64_t *ret_days)
{
	int64_t year, month, day;

	if (!read_field(s, 4, 9999, '-', &year) || !read_field(s, 2, 12, '-', &month) || !read_field(s, 2, 31, 0, &day))
		return false;
	if (month < 1 || day < 1 || day > days_in_month(year, month))
		return false;
	*ret_days = days_of_date(year, month, day);
	return **s == 'T' || **s == 't';
}

int time_parse_rfc3339(const char *s, int64_t *ret_ns, struct error **err)
{
	cleanup_free char *shown = str_escape(s, strnlen(s, 64));
	int64_t days, hour, minute, second, ns, zone, total;

	if (!read_date(&s, &days))
		goto invalid;
	s++;
	/* A leap second (:60) is refused, as in Go: no clock of ours can show it. */
	if (!read_field(&s, 2, 23, ':', &hour) || !read_field(&s, 2, 59, ':', &minute) ||
	    !read_field(&s, 2, 59, 0, &second) || !read_fraction(&s, &ns) || !read_zone(&s, &zone) || *s)
		goto invalid;
	total = days * 86400 + hour * 3600 + minute * 60 + second - zone;
	if (__builtin_mul_overflow(total, (int64_t)NS_PER_S, &total) || __builtin_add_overflow(total, ns, &total))
		return error_set(err, ERR_INVALID, "time \"%s\" is out of range (1678 to 2262)", shown);
	*ret_ns = total;
	return 0;
invalid:
	return error_set(err, ERR_INVALID, "\"%s\" is not a time: write it like 2025-11-14T13:28:34Z (RFC 3339)",
			 shown);
}
