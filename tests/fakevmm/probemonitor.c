/* SPDX-License-Identifier: MIT */
/* The monitor, but where it would filter frames, in the jail of that filter, jailprobe.c runs. */
#include <string.h>

int monitor_main(int argc, char **argv);
int probe_main(int argc, char **argv);

int main(int argc, char **argv)
{
	return argc > 1 && strcmp(argv[1], "--frames") == 0 ? probe_main(argc, argv) : monitor_main(argc, argv);
}
