/* SPDX-License-Identifier: MIT */
#ifndef SLICER_IMAGE_APT_PASSWORDS_H
#define SLICER_IMAGE_APT_PASSWORDS_H

#include "image/work.h"

/* Where apt's passwords for mirrors (apt_auth.conf(5)) are for root's eyes only, an apt-get that runs in `work` gets a copy of them
 * there: its options are appended to *argv. */
int apt_give_passwords(const struct work *work, char ***argv, struct error **err);

#endif
