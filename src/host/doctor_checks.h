/* SPDX-License-Identifier: MIT */
/* Inside slicer doctor: the functions that the table names. */
#ifndef SLICER_HOST_DOCTOR_CHECKS_H
#define SLICER_HOST_DOCTOR_CHECKS_H

#include "host/doctor.h"

/* doctor_host.c */
doctor_check_fn doctor_system, doctor_config, doctor_tun, doctor_cgroup, doctor_namespaces, doctor_lsm, doctor_memory,
	doctor_files;
/* doctor_vmm.c */
doctor_check_fn doctor_kvm, doctor_qemu, doctor_qemu_microvm, doctor_other_vmm, doctor_passt, doctor_image_tools,
	doctor_helpers;
/* doctor_net.c */
doctor_check_fn doctor_cni, doctor_nft, doctor_forwarding, doctor_firewall, doctor_rp_filter, doctor_routing;
/* doctor_networkd.c, doctor_network_manager.c */
doctor_check_fn doctor_networkd, doctor_network_manager;
doctor_mend_fn doctor_networkd_mend, doctor_network_manager_mend;
/* doctor_storage.c */
doctor_check_fn doctor_disk, doctor_reflink;
/* doctor_access.c */
doctor_check_fn doctor_group, doctor_token, doctor_api;
/* doctor_leftovers.c */
doctor_check_fn doctor_leftovers;
doctor_mend_fn doctor_leftovers_mend;

#endif
