/* SPDX-License-Identifier: MIT */
/* What the exec and shell endpoints share: the request as parameters, the environment of processes, the frames. */
#ifndef SLICER_AGENT_EXEC_H
#define SLICER_AGENT_EXEC_H

#include "io/http.h"
#include "agent/users.h"

enum { EXEC_BUFFER_LIMIT = 16 * 1024 * 1024 }; /* per stream of a buffered exec */

struct identity {
	uint32_t uid, gid; /* USERS_DEFAULT_ID: the default */
};
/* uid and gid of a query. The default user with gid 0 (what clients send that leave it unset) has the user's own group. */
int identity_parse(const struct http_query *q, struct identity *ret, struct error **err);

struct exec_request {
	char **argv; /* the program and its arguments, the shell included */
	char **env;  /* only what the request adds */
	char *cwd;   /* as given; NULL: the home */
	struct identity id;
	bool with_stdin, base64, buffered;
};
int exec_request_parse(const struct http_query *q, struct exec_request *ret, struct error **err);
void exec_request_clear(struct exec_request *r);
#define cleanup_exec_request __attribute__((cleanup(exec_request_clear)))

/* The environment: sane defaults, /etc/environment's text (may be NULL), then `extra`. The caller's. */
char **exec_environment(const struct user *u, const char *etc_environment, char *const *extra);
char **exec_environment_of(const struct user *u, char *const *extra); /* reads /etc/environment */
/* "~", "~/x" and relative paths are of the home. The caller's. */
char *path_expand(const char *path, const char *home);
/* The same for a working directory: NULL is the home ("/" if there is none); a segment ".." is ERR_INVALID. */
char *cwd_expand(const char *cwd, const char *home, struct error **err);
char *shell_quote(const char *word); /* for sh; as it is when nothing in it is special */

/* Frames: one line of NDJSON each, the caller's. */
char *frame_started(pid_t pid, const char *now);
/* Text that is not valid UTF-8 goes as base64. `stream` is "stdout" or "stderr". */
char *frame_output(const char *stream, const void *data, size_t n, bool base64, const char *now, size_t *ret_len);
char *frame_exit(int status, const char *now); /* status as waitpid's */
char *frame_failed(const struct error *error, const char *now);
int exit_code_of(int status);			   /* 128+n for a killed process */
int exit_code_of_error(const struct error *error); /* 126 for EACCES, else 127 */
const char *signal_name(int signo);		   /* "SIGKILL" */
char *time_now(void);
/* How many of n bytes can go out as text now: not a character that is cut at the end (at most 3 bytes are kept back). */
size_t utf8_whole(const char *s, size_t n);

#endif
