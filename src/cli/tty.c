/* SPDX-License-Identifier: MIT */
#include "cli/tty.h"

#include <sys/ioctl.h>
#include <unistd.h>

void tty_make_raw(struct tty *tty, int fd)
{
	struct termios raw;

	if (tty->raw || tcgetattr(fd, &tty->before))
		return;
	raw = tty->before;
	cfmakeraw(&raw);
	tty->raw = tcsetattr(fd, TCSADRAIN, &raw) == 0;
}

void tty_restore(struct tty *tty, int fd)
{
	if (tty->raw)
		tcsetattr(fd, TCSADRAIN, &tty->before);
	tty->raw = false;
}

void tty_size(uint32_t *ret_columns, uint32_t *ret_rows)
{
	struct winsize size;

	*ret_columns = 80;
	*ret_rows = 24;
	for (int fd = 0; fd <= 2; fd++) {
		if (ioctl(fd, TIOCGWINSZ, &size) || !size.ws_col || !size.ws_row)
			continue;
		*ret_columns = size.ws_col;
		*ret_rows = size.ws_row;
		return;
	}
}
