/* SPDX-License-Identifier: MIT */
/* The process above the server: starts it again when it dies, ends what it left running, reaps orphans as PID 1. */
#ifndef SLICER_AGENT_SUPERVISOR_H
#define SLICER_AGENT_SUPERVISOR_H

#include "agent/server.h"

/* Returns once the system is to go down: SERVER_EXIT_POWEROFF or SERVER_EXIT_REBOOT; with an init of the image never. */
int supervisor_run(const struct server_options *options);
/* PID 1 only: ends all processes, writes what is left to the disks, powers off or reboots. Does not return. */
void system_down(bool reboot) __attribute__((noreturn));

#endif
