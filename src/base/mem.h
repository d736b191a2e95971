/* SPDX-License-Identifier: MIT */
/* Memory and fd ownership: cleanup attributes and the TAKE macros. Running out of memory ends the process: VMs do not
 * depend on the daemon, and code that runs without memory is never tested. */
#ifndef SLICER_BASE_MEM_H
#define SLICER_BASE_MEM_H

#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/types.h>

void *mem_alloc(size_t size);		      /* zeroed; never NULL; the caller owns it */
void *mem_alloc_array(size_t n, size_t size); /* zeroed; ends the process on overflow */
void *mem_realloc(void *p, size_t size);
void mem_freep(void *p);	  /* for cleanup_free: p points to the pointer */
void mem_wipe(void *p, size_t n); /* not optimised away: for secrets */

void fd_closep(int *fd); /* for cleanup_close: closes when >= 0, sets -1, keeps errno */

#define NEW(type) ((type *)mem_alloc(sizeof(type)))
#define cleanup_free __attribute__((cleanup(mem_freep)))
#define cleanup_close __attribute__((cleanup(fd_closep)))
/* Hands ownership on: yields the value and leaves the variable empty. */
#define TAKE_PTR(p)                                                                                                    \
	({                                                                                                             \
		__typeof__(p) take_ = (p);                                                                             \
		(p) = NULL;                                                                                            \
		take_;                                                                                                 \
	})
#define TAKE_FD(fd)                                                                                                    \
	({                                                                                                             \
		int take_ = (fd);                                                                                      \
		(fd) = -1;                                                                                             \
		take_;                                                                                                 \
	})
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#endif
