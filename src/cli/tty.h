/* SPDX-License-Identifier: MIT */
#ifndef SLICER_CLI_TTY_H
#define SLICER_CLI_TTY_H

#include <stdbool.h>
#include <stdint.h>
#include <termios.h>

/* A terminal in raw mode, and how it was before. Zero: nothing to restore. */
struct tty {
	bool raw;
	struct termios before;
};
void tty_make_raw(struct tty *tty, int fd); /* does nothing when fd is no terminal */
void tty_restore(struct tty *tty, int fd);  /* idempotent */
/* Of the terminal behind any of fds 0–2; 80x24 when there is none. */
void tty_size(uint32_t *ret_columns, uint32_t *ret_rows);

#endif
