/* SPDX-License-Identifier: MIT */
/* Debian packages by the host's apt, which checks signatures and hashes. Nothing gets installed. */
#ifndef SLICER_IMAGE_APT_H
#define SLICER_IMAGE_APT_H

#include "image/writer.h"

struct apt_package {
	char *name;
	char *hash; /* "SHA256:" and 64 hex digits: the identity of the .deb */
	uint64_t size;
};
void apt_package_clear(struct apt_package *package);

/* The version that `apt-get download` would take. ERR_NOT_FOUND says to run `apt-get update`. */
int apt_resolve(const char *name, struct apt_package *ret, struct error **err);
/* The same of a meta-package. *ret_real: the real package behind it, its first dependency whose name begins with `prefix`; the
 * caller's. */
int apt_resolve_meta(const char *name, const char *prefix, struct apt_package *ret, char **ret_real,
		     struct error **err);
/* Downloads it into the file `to`. What came is checked against the hash here, because apt receives it confined (work.h). */
int apt_download(const struct apt_package *package, const struct writer *w, const char *to, struct error **err);

/* The lines of sources.list(5) by which this host gets Debian's release `codename` with its updates: its mirrors, of the
 * component main. A strv, the caller's. ERR_NOT_FOUND when it gets it from nowhere. */
char **apt_debian_sources(const char *codename, struct error **err);
/* How this host's apt fetches (proxies, time-outs): lines of apt.conf(5), the caller's. */
char *apt_fetch_options(struct error **err);
/* Hex sha256 over names, versions and hashes of all packages that a new system with `packages` consists of, the
 * essential ones included. Cheap: nothing is downloaded. *ret_n (may be NULL): how many these are. The caller's. */
char *apt_closure(char *const *packages, size_t *ret_n, struct error **err);

/* The parsers of apt's output (apt-get(8) --print-uris and indextargets, apt-cache(8) show), for tests. */
char *apt_parse_path(const char *text, const char *name); /* of `apt-config shell`: its value NAME='…'; NULL: none */
int apt_parse_uri(const char *text, struct apt_package *ret, struct error **err);
char **apt_parse_targets(const char *text, const char *codename); /* NULL: none */
char *apt_parse_closure(const char *text, size_t *ret_n, struct error **err);
char *apt_parse_depends(const char *text, const char *prefix, struct error **err);

#endif
