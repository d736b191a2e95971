/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/queue.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/fs.h"
#include "base/str.h"
#include "agent/task_cgroup.h"
#include "agent/task_child.h"
#include "agent/vfork.h"

enum { DETACHED_GRACE_MS = 5000 };

struct task {
	struct task_factory *factory;
	LIST_ENTRY(task) link;
	struct child *child;
	struct timer *grace;		/* detached: time left to end by itself */
	const struct task_calls *calls; /* NULL: detached */
	void *arg;
	struct task_cgroup *cgroup; /* NULL: none */
	pid_t pid;
	bool tty, beginning, ended;
	int slot; /* in the table; -1: none */
};

struct task_factory {
	struct loop *loop;
	struct worker_pool *pool;
	struct task_table *table;
	LIST_HEAD(, task) tasks;
	struct cgroup_pool *cgroups; /* NULL: tasks have none */
	sigset_t ignored;	     /* what children must not inherit */
};

static void find_ignored(sigset_t *ret)
{
	struct sigaction sa;

	sigemptyset(ret);
	for (int i = 1; i < NSIG; i++) {
		if (sigaction(i, NULL, &sa) == 0 && sa.sa_handler == SIG_IGN)
			sigaddset(ret, i);
	}
}

struct task_factory *task_factory_new(struct loop *loop, struct worker_pool *pool, struct task_table *table,
				      bool cgroups)
{
	struct task_factory *f = NEW(struct task_factory);

	f->loop = loop;
	f->pool = pool;
	f->table = table;
	f->cgroups = cgroups ? cgroup_pool_new() : NULL;
	find_ignored(&f->ignored);
	return f;
}

/* ---- the table shared with the supervisor ---- */

static int table_add(struct task_table *table, pid_t pid)
{
	for (int i = 0; table && i < TASK_TABLE_SIZE; i++) {
		if (table->pids[i] == 0) {
			table->pids[i] = pid;
			return i;
		}
	}
	return -1;
}

void task_table_kill(struct task_table *table)
{
	for (int i = 0; i < TASK_TABLE_SIZE; i++) {
		if (table->pids[i] > 0)
			task_kill_session(table->pids[i]);
		table->pids[i] = 0;
	}
}

/* ---- start and end ---- */

static void destroy(struct task *t)
{
	LIST_REMOVE(t, link);
	child_free(&t->child);
	timer_free(&t->grace);
	cgroup_release(t->factory->cgroups, &t->cgroup);
	free(t);
}

static void on_exit_of_child(void *arg, int status)
{
	struct task *t = arg;

	t->ended = true;
	if (t->slot >= 0)
		t->factory->table->pids[t->slot] = 0;
	t->slot = -1;
	if (t->calls)
		t->calls->exited(t->arg, status);
	else
		destroy(t);
}

/* Somebody removed the group, or gave it controllers for groups below it, or made it one of threads (cgroup-v2.rst, "No Internal
 * Process Constraint"). */
static bool group_is_unfit(int number)
{
	return number == ENODEV || number == EBUSY || number == EOPNOTSUPP;
}

/* The usual way of a command: it begins in its cgroup, where moving it would wait for all CPUs, longer than all the rest of a
 * start, and without a copy of our memory. When the child becomes another user, the kernel marks that memory as none that users
 * may trace (ptrace(2), "dumpable"; unless fs.suid_dumpable is 1, which opens every set-user-ID program). ENOSYS: not here, or not
 * for this task. */
static pid_t start_shared(struct task *t, struct task_start *start)
{
	pid_t pid;

	errno = ENOSYS;
	if (start->spec->work)
		return -1;
	start->ignored = &t->factory->ignored;
	pid = vfork_into(t->cgroup ? cgroup_dir(t->cgroup) : -1, task_child_run, start);
	if (pid >= 0 || !t->cgroup || !group_is_unfit(errno))
		return pid;
	cgroup_replace(t->factory->cgroups, &t->cgroup);
	return vfork_into(t->cgroup ? cgroup_dir(t->cgroup) : -1, task_child_run, start);
}

/* Everywhere, and for what goes on running in our memory. */
static pid_t start_forked(struct task *t, struct task_start *start)
{
	cleanup_free char *procs = t->cgroup ? cgroup_procs(t->cgroup) : NULL;
	int report[2];
	pid_t pid;
	ssize_t n;

	if (pipe2(report, O_CLOEXEC) < 0)
		return -1;
	start->procs = procs;
	start->ignored = NULL;
	start->report = report[1];
	pid = fork();
	if (pid == 0)
		task_child_run(start);
	close(report[1]);
	if (pid > 0) {
		do {
			n = read(report[0], &start->failure, sizeof(start->failure));
		} while (n < 0 && errno == EINTR);
	}
	close(report[0]);
	return pid;
}

static pid_t start_child(struct task *t, const struct task_spec *spec, struct error **err)
{
	struct task_start start = {.spec = spec, .report = -1};
	pid_t pid = start_shared(t, &start);

	if (pid < 0 && errno == ENOSYS)
		pid = start_forked(t, &start);
	task_start_clear(&start);
	if (pid < 0)
		return error_errno(err, errno, "cannot fork");
	if (start.failure.number == 0)
		return pid;
	waitpid(pid, NULL, 0);
	return error_errno(err, start.failure.number, "%s", task_failure_text(&start.failure, spec));
}

int task_exec(struct task *t, const struct task_spec *spec, struct error **err)
{
	t->tty = spec->tty;
	t->cgroup = t->factory->cgroups ? cgroup_take(t->factory->cgroups) : NULL;
	t->pid = start_child(t, spec, err);
	return t->pid < 0 ? -1 : 0;
}

static int begin(void *arg, struct error **err)
{
	struct task *t = arg;

	return t->calls->begin(t->arg, t, err);
}

/* The loop hears of its end from now on. */
static int watch(struct task *t, struct error **err)
{
	int pidfd = pidfd_open(t->pid, 0);

	if (pidfd < 0) {
		error_errno(err, errno, "cannot watch process %d", t->pid);
		kill(-t->pid, SIGKILL);
		waitpid(t->pid, NULL, 0);
		return -1;
	}
	t->slot = table_add(t->factory->table, t->pid);
	t->child = child_new(t->factory->loop, pidfd, on_exit_of_child, t);
	return 0;
}

static void begun(void *arg, const struct error *error)
{
	struct task *t = arg;
	cleanup_error struct error *failure = error_copy(error);

	t->beginning = false;
	if (failure || watch(t, &failure) < 0) {
		t->pid = -1;
		t->ended = true;
	}
	t->calls->begun(t->arg, failure);
}

struct task *task_start(struct task_factory *f, const struct task_calls *calls, void *arg)
{
	struct task *t = NEW(struct task);

	t->factory = f;
	t->calls = calls;
	t->arg = arg;
	t->slot = t->pid = -1;
	t->beginning = true;
	LIST_INSERT_HEAD(&f->tasks, t, link);
	worker_submit(f->pool, begin, begun, t);
	return t;
}

bool task_is_beginning(const struct task *t)
{
	return t && t->beginning;
}

pid_t task_pid(const struct task *t)
{
	return t->pid;
}

void task_kill(struct task *t)
{
	if (t->pid <= 0)
		return;
	if (t->cgroup && cgroup_kill(t->cgroup))
		return;
	/* A shell gives its jobs process groups of their own: the session is what they share. */
	if (t->tty)
		task_kill_session(t->pid);
	else
		kill(-t->pid, SIGKILL);
}

static void on_grace_over(void *arg)
{
	task_kill(arg);
}

void task_free(struct task **t)
{
	struct task *task = TAKE_PTR(*t);

	if (!task)
		return;
	if (task->ended) {
		destroy(task);
		return;
	}
	task->calls = NULL;
	task->grace = timer_new(task->factory->loop, on_grace_over, task);
	timer_set(task->grace, DETACHED_GRACE_MS);
}

bool task_factory_is_busy(const struct task_factory *f)
{
	const struct task *t;

	LIST_FOREACH(t, &f->tasks, link)
	{
		if (t->beginning)
			return true;
	}
	return false;
}

static void end_now(struct task *t)
{
	if (t->pid <= 0 || t->ended)
		return;
	task_kill(t);
	kill(t->pid, SIGKILL);
	waitpid(t->pid, NULL, 0);
	if (t->slot >= 0)
		t->factory->table->pids[t->slot] = 0;
}

/* Its owner, who waits for begun(), frees it. */
static void cancel(struct task *t)
{
	cleanup_error struct error *error = NULL;

	error_set(&error, ERR_CANCELLED, "the agent ends");
	t->beginning = false;
	t->ended = true;
	t->calls->begun(t->arg, error);
}

void task_factory_free(struct task_factory **f)
{
	struct task *t;

	if (!*f)
		return;
	while ((t = LIST_FIRST(&(*f)->tasks))) {
		end_now(t);
		if (t->beginning)
			cancel(t);
		else
			destroy(t);
	}
	cgroup_pool_free(&(*f)->cgroups);
	free(TAKE_PTR(*f));
}

/* The session of a process: field 6 of /proc/PID/stat, after the name in parentheses. */
static pid_t session_of(const char *pid)
{
	cleanup_free char *path = str_fmt("/proc/%s/stat", pid);
	cleanup_free char *text = NULL;
	const char *p;
	size_t n;
	int session = -1;

	if (fs_read_file(path, 4096, &text, &n, NULL) < 0)
		return -1;
	p = strrchr(text, ')');
	if (!p || sscanf(p + 1, " %*c %*d %*d %d", &session) != 1)
		return -1;
	return session;
}

void task_kill_session(pid_t leader)
{
	DIR *dir;
	struct dirent *e;
	uint64_t pid;

	kill(-leader, SIGKILL);
	dir = opendir("/proc");
	while (dir && (e = readdir(dir))) {
		if (str_to_u64(e->d_name, 1, INT_MAX, "pid", &pid, NULL) == 0 && session_of(e->d_name) == leader)
			kill((pid_t)pid, SIGKILL);
	}
	if (dir)
		closedir(dir);
}
