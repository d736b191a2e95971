/* SPDX-License-Identifier: MIT */
/* Just enough of ELF-64 (System V gABI, chapter 4 and 5) to tell whether a program runs without a dynamic loader. */
#ifndef SLICER_IMAGE_STATIC_ELF_H
#define SLICER_IMAGE_STATIC_ELF_H

#include "base/error.h"

/* 0 for an executable of this machine that names no interpreter; ERR_INVALID says what is wrong. */
int elf_check_static(const void *data, size_t n, struct error **err);
int elf_check_static_file(const char *path, struct error **err);

#endif
