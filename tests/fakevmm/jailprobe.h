/* SPDX-License-Identifier: MIT */
#ifndef SLICER_TESTS_JAILPROBE_H
#define SLICER_TESTS_JAILPROBE_H

struct targets {
	const char *words; /* of -append */
	int console, memory, root, data, kernel, initrd, config, tap, qmp;
};

/* Attempts: 0, or -1 with errno.
 * jailprobe_tap.c */
int tap_persists(const struct targets *t);
int tap_persists_by_more_bits(const struct targets *t);
int tap_owner(const struct targets *t);
int tap_group(const struct targets *t);
int tap_type(const struct targets *t);
int tap_mac(const struct targets *t);
int tap_filter(const struct targets *t);
int tap_addresses(const struct targets *t);
int tap_another(const struct targets *t);
int tap_network(const struct targets *t);
int host_interfaces(const struct targets *t);
int host_network(const struct targets *t);

#endif
