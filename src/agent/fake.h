/* SPDX-License-Identifier: MIT */
/* `slicer-agent fake`: the same server behind the fake hypervisor of the tests, on the ports that it gives as Unix sockets. */
#ifndef SLICER_AGENT_FAKE_H
#define SLICER_AGENT_FAKE_H

int fake_main(int argc, char **argv); /* the exit status; argv[0] is "fake" */

#endif
