/* SPDX-License-Identifier: MIT */
#include "image/download.h"

#include <curl/curl.h>

#include "base/str.h"

enum { REDIRECTS_MAX = 3 };

struct download {
	char *data;
	size_t n, limit;
	bool too_large;
};

static size_t on_data(char *data, size_t size, size_t count, void *arg)
{
	struct download *d = arg;
	size_t n = size * count;

	if (n > d->limit - d->n) {
		d->too_large = true;
		return 0; /* ends the transfer */
	}
	d->data = mem_realloc(d->data, d->n + n + 1);
	memcpy(d->data + d->n, data, n);
	d->n += n;
	d->data[d->n] = '\0';
	return n;
}

static void configure(CURL *curl, const char *url, int64_t timeout_ms, struct download *d, char *why)
{
	const char *protocols = str_starts(url, "https://") ? "https" : "http,https";

	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, protocols);
	curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, protocols);
	curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
	curl_easy_setopt(curl, CURLOPT_MAXREDIRS, (long)REDIRECTS_MAX);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "slicer");
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, d);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, why);
}

static int check(CURLcode code, long status, const char *url, const struct download *d, const char *why,
		 struct error **err)
{
	if (d->too_large)
		return error_set(err, ERR_TOO_LARGE, "%s: more than %zu bytes came", url, d->limit);
	if (code == CURLE_OPERATION_TIMEDOUT)
		return error_set(err, ERR_TIMEOUT, "%s: no whole answer in time", url);
	if (code != CURLE_OK)
		return error_set(err, ERR_UNAVAILABLE, "%s: %s", url, *why ? why : curl_easy_strerror(code));
	if (status == 404)
		return error_set(err, ERR_NOT_FOUND, "%s: not found", url);
	if (status != 200)
		return error_set(err, ERR_PROTOCOL, "%s: answered %ld", url, status);
	if (d->n && strlen(d->data) != d->n)
		return error_set(err, ERR_PROTOCOL, "%s: what came is no text", url);
	return 0;
}

int download_text(const char *url, size_t limit, int64_t timeout_ms, char **ret, struct error **err)
{
	char why[CURL_ERROR_SIZE] = "";
	struct download d = {.data = str_dup(""), .limit = limit};
	CURL *curl = curl_easy_init();
	CURLcode code = CURLE_FAILED_INIT;
	long status = 0;
	int rc;

	if (curl) {
		configure(curl, url, timeout_ms, &d, why);
		code = curl_easy_perform(curl);
		curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
		curl_easy_cleanup(curl);
	}
	rc = check(code, status, url, &d, why, err);
	if (rc == 0)
		*ret = TAKE_PTR(d.data);
	free(d.data);
	return rc;
}
