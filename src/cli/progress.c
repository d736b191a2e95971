/* SPDX-License-Identifier: MIT */
#include "cli/progress.h"

#include <unistd.h>

#include "base/units.h"

enum { BAR_WIDTH = 30, INTERVAL_MS = 150, QUIET_MS = 300 };

void progress_begin(struct progress *p, const char *what, uint64_t total)
{
	*p = (struct progress){.what = what, .total = total, .began_ms = clock_ms(), .on = isatty(STDERR_FILENO)};
}

void progress_bar(FILE *out, uint64_t done, uint64_t total)
{
	double share = done < total ? (double)done / (double)total : 1;
	int filled = (int)(share * BAR_WIDTH);

	fprintf(out, " [");
	for (int i = 0; i < BAR_WIDTH; i++)
		fputc(i < filled ? '=' : i == filled ? '>' : ' ', out);
	fprintf(out, "] %3d%%", (int)(share * 100));
}

void progress_add(struct progress *p, uint64_t n)
{
	int64_t now;

	p->done += n;
	if (!p->on)
		return;
	now = clock_ms();
	if (now - p->began_ms < QUIET_MS || now - p->shown_ms < INTERVAL_MS)
		return;
	p->shown_ms = now;
	fprintf(stderr, "\r\033[K%.40s", p->what);
	if (p->total)
		progress_bar(stderr, p->done, p->total);
	fprintf(stderr, " %.1f MiB, %.1f MiB/s", (double)p->done / 1048576,
		(double)p->done / 1048.576 / (double)(now - p->began_ms));
}

void progress_end(struct progress *p)
{
	if (p->on && p->shown_ms)
		fputs("\r\033[K", stderr);
	p->on = false;
}
