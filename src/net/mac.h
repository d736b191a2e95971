/* SPDX-License-Identifier: MIT */
/* MAC addresses of VMs: derived from the hostname, so that a VM keeps its address across daemons
 * and hosts. */
#ifndef SLICER_NET_MAC_H
#define SLICER_NET_MAC_H

enum { MAC_TEXT_SIZE = 18 };
/* The first 6 bytes of SHA-256 over "slicer-mac:" + hostname; locally administered, unicast (IEEE
 * 802: bits 1 and 0 of the first byte). */
void mac_from_hostname(const char *hostname, unsigned char ret[6]);
/* The same over "slicer-mac:" + machine id + ":" + hostname: for LANs, which several hosts share. */
void mac_from_host(const char *hostname, const char *machine_id, unsigned char ret[6]);
void mac_format(const unsigned char mac[6], char ret[MAC_TEXT_SIZE]); /* "2e:31:2a:ff:7d:45" */
int mac_parse(const char *s, unsigned char ret[6]);		      /* that form only; -1 for another */

#endif
