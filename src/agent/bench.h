/* SPDX-License-Identifier: MIT */
/* `slicer-agent bench spawn [N]`: what starting a process costs in this guest. */
#ifndef SLICER_AGENT_BENCH_H
#define SLICER_AGENT_BENCH_H

int bench_main(int argc, char **argv); /* the exit status; argv[0] is "bench" */

#endif
