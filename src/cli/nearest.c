/* SPDX-License-Identifier: MIT */
/* "Did you mean": the nearest word by Levenshtein distance. */
#include "cli/options.h"

enum { WORD_MAX = 32 }; /* longer words get no suggestion */

static size_t min3(size_t a, size_t b, size_t c)
{
	size_t m = a < b ? a : b;

	return m < c ? m : c;
}

static size_t distance(const char *a, const char *b)
{
	size_t row[WORD_MAX + 1];
	size_t nb = strlen(b);

	for (size_t j = 0; j <= nb; j++)
		row[j] = j;
	for (size_t i = 0; a[i]; i++) {
		size_t diagonal = row[0];

		row[0] = i + 1;
		for (size_t j = 0; j < nb; j++) {
			size_t above = row[j + 1];

			row[j + 1] = min3(row[j] + 1, above + 1, diagonal + (a[i] != b[j]));
			diagonal = above;
		}
	}
	return row[nb];
}

const char *nearest_word(const char *word, char *const *candidates)
{
	const char *best = NULL;
	size_t best_distance = 3; /* more edits than that is another word */
	size_t n = strlen(word);

	if (n > WORD_MAX)
		return NULL;
	for (; candidates && *candidates; candidates++) {
		size_t d;

		if (strlen(*candidates) > WORD_MAX)
			continue;
		d = distance(word, *candidates);
		if (d < best_distance && d < n) {
			best = *candidates;
			best_distance = d;
		}
	}
	return best;
}
