/* SPDX-License-Identifier: MIT */
/* The daemon's side: runs slicer-netns with a command, a plan on its input, and a socket on which a tap may come back. */
#include "net/netns.h"

#include <errno.h>
#include <linux/magic.h>
#include <sys/socket.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#include "base/fs.h"
#include "base/helper.h"
#include "base/json.h"
#include "base/proc.h"
#include "base/str.h"
#include "net/netns_protocol.h"

/* Its status says which kind of error, its last line the rest. */
static int call_failed(const struct proc_result *r, struct error **why, struct error **err)
{
	int code = WIFEXITED(r->status) ? WEXITSTATUS(r->status) - NETNS_EXIT_BASE : 0;
	char *text = r->errout ? str_trim(r->errout) : NULL, *line = text ? strrchr(text, '\n') : NULL;

	if (code <= 0 || !text || !*text)
		return error_move(err, why);
	error_free(why);
	return error_set(err, (enum error_code)code, "%s", line ? line + 1 : text);
}

/* Words that are not needed are NULL; `input` and `ret_out` may be. */
static int call(const char *const words[5], const char *input, int socket, char **ret_out, struct error **err)
{
	cleanup_free char *program = helper_path("slicer-netns", err);
	char *const argv[] = {
		program, (char *)words[0], (char *)words[1], (char *)words[2], (char *)words[3], (char *)words[4],
		NULL};
	const struct proc_fd fd = {.from = socket, .to = NETNS_SOCKET};
	const struct proc_call run = {.argv = argv,
				      .input = input,
				      .fds = &fd,
				      .nfds = socket >= 0,
				      .out_limit = NETNS_ANSWER_MAX,
				      .timeout_ms = NETNS_DEADLINE_MS};
	struct proc_result r = {0};
	struct error *why = NULL;
	int result;

	if (!program)
		return -1;
	result = proc_call(&run, &r, &why);
	if (result < 0)
		call_failed(&r, &why, err);
	else if (ret_out)
		*ret_out = TAKE_PTR(r.out);
	proc_result_clear(&r);
	return result;
}

static int call_with_plan(const char *const words[5], const struct net_plan *p, int socket, char **ret_out,
			  struct error **err)
{
	cleanup_json struct json_object *obj = net_plan_to_json(p);
	cleanup_free char *text = js_to_string(obj);

	return call(words, text, socket, ret_out, err);
}

/* What was sent stays in the socket when its sender is gone. */
static int receive_fd(int socket, struct error **err)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	char byte;
	struct iovec iov = {&byte, 1};
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(socket, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	struct cmsghdr *head = n == 1 ? CMSG_FIRSTHDR(&msg) : NULL;
	int fd;

	if (n < 0)
		return error_errno(err, errno, "slicer-netns gave no tap");
	if (!head || head->cmsg_type != SCM_RIGHTS || head->cmsg_len != CMSG_LEN(sizeof(fd)))
		return error_set(err, ERR_PROTOCOL, "slicer-netns gave no tap");
	memcpy(&fd, CMSG_DATA(head), sizeof(fd));
	return fd;
}

/* A command that answers with a tap. */
static int call_for_tap(const char *const words[5], const struct net_plan *p, int *ret_tap, char **ret_out,
			struct error **err)
{
	cleanup_close int own = -1, other = -1;
	int pair[2];

	if (fd_socketpair(pair, err) < 0)
		return -1;
	own = pair[0];
	other = pair[1];
	if (call_with_plan(words, p, other, ret_out, err) < 0)
		return -1;
	*ret_tap = receive_fd(own, err);
	return *ret_tap < 0 ? -1 : 0;
}

int netns_up(const struct net_plan *p, int *ret_tap, struct error **err)
{
	return call_for_tap((const char *const[5]){"up"}, p, ret_tap, NULL, err);
}

int netns_create(const char *name, const char *alias, struct error **err)
{
	return call((const char *const[5]){"create", name, alias}, NULL, -1, NULL, err);
}

int netns_stand_in(const char *name, const char *alias, const char *ifname, const char *addresses, struct error **err)
{
	return call((const char *const[5]){"stand-in", name, alias, ifname, addresses}, NULL, -1, NULL, err);
}

int netns_attach(const struct net_plan *p, const char *ifname, struct netns_attached *ret, struct error **err)
{
	cleanup_free char *out = NULL;
	int connected = 0;

	*ret = (struct netns_attached){.tap_fd = -1};
	if (call_for_tap((const char *const[5]){"attach", ifname}, p, &ret->tap_fd, &out, err) < 0)
		return -1;
	if (sscanf(out, "%u %d", &ret->mtu, &connected) == 2) {
		ret->connected = connected != 0;
		return 0;
	}
	fd_closep(&ret->tap_fd);
	return error_set(err, ERR_PROTOCOL, "slicer-netns did not say what it attached to");
}

int netns_mend(const struct net_plan *p, struct error **err)
{
	return call_with_plan((const char *const[5]){"mend"}, p, -1, NULL, err);
}

bool net_space_exists(const char *name)
{
	cleanup_free char *path = str_fmt(NETNS_DIR "/%s", name);

	return fs_exists(path);
}

bool netns_is_mounted(const char *name)
{
	cleanup_free char *path = str_fmt(NETNS_DIR "/%s", name);
	struct statfs fs;

	return statfs(path, &fs) == 0 && fs.f_type == NSFS_MAGIC;
}

int netns_down(const char *name, const char *alias, struct error **err)
{
	return net_space_exists(name) ? call((const char *const[5]){"down", name, alias}, NULL, -1, NULL, err) : 0;
}

/* Is there a name that is not known? Only then is it worth a look inside. */
static int unknown_names(char *const *known, struct error **err)
{
	cleanup_strv char **names = NULL;

	if (fs_list_files(NETNS_DIR, &names, err) < 0)
		return -1;
	for (char **name = names; name && *name; name++)
		if (!strv_contains(known, *name))
			return 1;
	return 0;
}

int netns_strays(const char *daemon_id, char *const *known, char ***ret, struct error **err)
{
	cleanup_strv char **names = NULL;
	cleanup_free char *out = NULL;
	int r = unknown_names(known, err);

	*ret = NULL;
	if (r <= 0)
		return r;
	if (call((const char *const[5]){"list", daemon_id}, NULL, -1, &out, err) < 0)
		return -1;
	names = *out ? strv_split(str_trim(out), '\n') : NULL;
	for (char **name = names; name && *name; name++)
		if (!strv_contains(known, *name))
			strv_append(ret, *name);
	return 0;
}
