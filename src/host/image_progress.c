/* SPDX-License-Identifier: MIT */
#include "host/image_progress.h"

#include <stdio.h>
#include <unistd.h>

#include "base/str.h"
#include "base/units.h"
#include "cli/progress.h"
#include "cli/tty.h"

enum {
	REMIND_MS = 10 * 1000,
	NAME_MAX_SHOWN = 20,
	BAR_AND_TIME = 48, /* columns that these take, with the spaces between */
	MESSAGE_MIN = 10,
};

static void draw(struct image_progress *p, const char *message)
{
	uint64_t seconds = (uint64_t)(clock_ms() - p->began_ms) / 1000;
	uint32_t columns, rows, taken = BAR_AND_TIME + (uint32_t)strnlen(p->name ? p->name : "", NAME_MAX_SHOWN);

	tty_size(&columns, &rows);
	fprintf(stderr, "\r\033[K%.*s", NAME_MAX_SHOWN, p->name ? p->name : "");
	progress_bar(stderr, p->percent, 100);
	fprintf(stderr, " %llu:%02llu %.*s", (unsigned long long)(seconds / 60), (unsigned long long)(seconds % 60),
		columns > taken + MESSAGE_MIN ? (int)(columns - taken) : MESSAGE_MIN, message);
	fflush(stderr);
	p->drawn = true;
}

/* A step that takes long says now and then that it goes on. */
static void print(struct image_progress *p, const struct image_update *update, const char *message)
{
	int64_t now = clock_ms();

	if (str_eq(p->said, message) && now - p->said_ms < REMIND_MS)
		return;
	fprintf(stderr, "%s%s%s", p->name ? p->name : "", p->name ? ": " : "", message);
	if (update->has_percent)
		fprintf(stderr, " (%u %%)", update->percent);
	fputc('\n', stderr);
	free(p->said);
	p->said = str_dup(message);
	p->said_ms = now;
}

void image_progress_show(void *arg, const struct image_update *update)
{
	struct image_progress *p = arg;
	cleanup_free char *message = str_escape(update->message, strlen(update->message));

	if (p->quiet)
		return;
	if (!p->began_ms)
		p->began_ms = clock_ms();
	if (update->has_percent)
		p->percent = update->percent;
	if (isatty(STDERR_FILENO))
		draw(p, message);
	else
		print(p, update, message);
}

void image_progress_end(struct image_progress *p)
{
	if (p->drawn)
		fputs("\r\033[K", stderr);
	free(p->said);
	p->said = NULL;
	p->drawn = false;
}
