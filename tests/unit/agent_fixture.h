/* SPDX-License-Identifier: MIT */
/* The agent's whole server in this process, and the host's side of its ports. */
#ifndef SLICER_TESTS_AGENT_FIXTURE_H
#define SLICER_TESTS_AGENT_FIXTURE_H

#include "agent_host.h"
#include "agent/server.h"
#include "base/fs.h"
#include "base/str.h"

struct agent_fixture {
	struct loop *loop;
	struct agent_host host;
	struct guest_config config;
	struct server_options options;
	struct server *server;
	size_t fds;
	char dir[64]; /* for files */
};

static inline void agent_fixture_init(struct agent_fixture *f)
{
	f->fds = fd_count_open();
	f->loop = loop_new(NULL);
	agent_host_listen(&f->host, f->loop);
	strcpy(f->dir, "/tmp/slicer-agent-files-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->config.hostname = (char *)(uintptr_t) "vm-1";
	f->options = (struct server_options){
		.control = {.path = f->host.control_path, .socket = true},
		.agent = {.path = f->host.agent_path, .socket = true},
		.config = &f->config,
		.fake = true,
	};
	f->server = server_new(f->loop, &f->options, NULL);
	assert_non_null(f->server);
	agent_host_accept(&f->host);
	agent_host_session(&f->host);
}

static inline void agent_fixture_clear(struct agent_fixture *f)
{
	server_free(&f->server);
	agent_host_free(&f->host);
	fs_remove_tree(f->dir, NULL);
	loop_free(&f->loop);
	assert_int_equal(fd_count_open(), f->fds);
}

#endif
