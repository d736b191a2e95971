/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/str.h"
#include "base/units.h"
#include "agent/bench.h"

enum { SPAWN_DEFAULT = 100, SPAWN_MAX = 100000 };

/* fork and exec of this program's own "version", waited for. */
static int spawn_once(void)
{
	const char *const argv[] = {"slicer-agent", "bench", "nothing", NULL};
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		execv("/proc/self/exe", (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0 ? 0 : -1;
}

static int bench_spawn(uint64_t n)
{
	int64_t min = INT64_MAX, max = 0, total = 0;

	assert(n > 0);

	for (uint64_t i = 0; i < n; i++) {
		int64_t before = clock_ns(), took;

		if (spawn_once() < 0) {
			fprintf(stderr, "slicer-agent: error: cannot start a process\n");
			return 1;
		}
		took = clock_ns() - before;
		min = took < min ? took : min;
		max = took > max ? took : max;
		total += took;
	}
	printf("spawn: %llu processes, %lld us on average, %lld us at least, %lld us at most\n", (unsigned long long)n,
	       (long long)(total / (int64_t)n / 1000), (long long)(min / 1000), (long long)(max / 1000));
	return 0;
}

int bench_main(int argc, char **argv)
{
	cleanup_error struct error *error = NULL;
	uint64_t n = SPAWN_DEFAULT;

	if (argc == 2 && str_eq(argv[1], "nothing"))
		return 0;
	if (argc < 2 || argc > 3 || !str_eq(argv[1], "spawn")) {
		fprintf(stderr, "usage: slicer-agent bench spawn [N]\n");
		return 2;
	}
	if (argc == 3 && str_to_u64(argv[2], 1, SPAWN_MAX, "N", &n, &error) < 0) {
		fprintf(stderr, "slicer-agent: error: %s\n", error_message(error));
		return 2;
	}
	return bench_spawn(n);
}
