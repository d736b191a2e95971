/* SPDX-License-Identifier: MIT */
/* Reference documentation from the field tables: Markdown for docs/configuration.md, scdoc(5) for man/slicer.yaml.5.scd. */
#ifndef SLICER_CONFIG_DOC_H
#define SLICER_CONFIG_DOC_H

#include <stdio.h>
#include "config/field.h"

void doc_print_config(FILE *out);  /* every object of the configuration file */
void doc_print_request(FILE *out); /* the body that creates a VM */
void doc_print_man(FILE *out);	   /* the configuration file once more, as scdoc */

#endif
