/* SPDX-License-Identifier: MIT */
/* Inside the copy endpoint: the request (cp_request.c), the server's side (cp.c), and the worker, a forked child with the
 * target user's identity that does all file work (cp_worker.c, cp_get.c, cp_put.c). */
#ifndef SLICER_AGENT_CP_H
#define SLICER_AGENT_CP_H

#include "io/http.h"
#include "agent/exec.h"

enum { CP_MAX_EXCLUDE = 256 };
enum cp_mode { CP_BINARY, CP_TAR, CP_RECURSIVE };

struct cp_request {
	enum cp_mode mode;
	bool upload;
	bool v1;	   /* copy_semantics=cp-v1: the destination rules of cp(1) */
	char *path;	   /* as given; then of the target user, absolute */
	bool contents;	   /* the directory's contents, not the directory */
	char *source_name; /* uploads with v1 */
	bool source_directory;
	char **exclude; /* patterns of glob_excludes_any() */
	bool has_permissions;
	unsigned permissions;
	uint64_t unpacked_size; /* 0: not said */
	struct identity id;
};
/* ERR_INVALID with the texts that clients look for ("invalid mode: <mode>"). */
int cp_request_parse(const struct http_head *head, const struct http_query *q, struct cp_request *ret,
		     struct error **err);
void cp_request_clear(struct cp_request *r);
#define cleanup_cp_request __attribute__((cleanup(cp_request_clear)))

/* What the worker tells its parent, one packet on the control socket: before the body of a download, after an upload. */
struct cp_reply {
	enum error_code code; /* 0: success */
	int sys_errno;
	char message[1024];
	bool directory;
	unsigned mode;
	int64_t size;	/* -1: not known before */
	char name[256]; /* base name of the source; "" for "/" and "x/." */
};
/* What the parent tells the worker of an upload: the body is complete. Without it the end of the body is an abort. */
#define CP_COMMIT 'c'

/* In the worker: body on fd 0 or 1, control socket on TASK_CTL_FD. Returns the exit status. */
int cp_worker(void *request);
int cp_get(const struct cp_request *r, struct error **err);
int cp_put(const struct cp_request *r, struct error **err);
void cp_send_reply(const struct cp_reply *reply);
bool cp_committed(void); /* waits for the parent's word */
/* Writes a directory's tree as tar on fd 1. */
int cp_get_tree(int dir, char *const *exclude, struct error **err);
/* Reads a tar stream from fd 0 into a directory. */
int cp_put_tree(int dir, char *const *exclude, struct error **err);

#endif
