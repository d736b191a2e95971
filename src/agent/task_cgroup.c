/* SPDX-License-Identifier: MIT */
/* Files and semantics: the kernel's Documentation/admin-guide/cgroup-v2.rst. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <linux/magic.h>
#include "base/fs.h"
#include "base/str.h"
#include "agent/task_cgroup.h"

#define CGROUP_ROOT "/sys/fs/cgroup"
#define CGROUP_BASE CGROUP_ROOT "/slicer"

enum { IDLE_MAX = 8, SWEEP_EVERY = 64 };

struct task_cgroup {
	LIST_ENTRY(task_cgroup) link; /* idle */
	char *path;
	int dir, events; /* the directory; cgroup.events */
	bool killed;	 /* who is in it may still be dying */
};

struct cgroup_pool {
	pthread_mutex_t lock; /* guards all of it: tasks begin in threads */
	LIST_HEAD(, task_cgroup) idle;
	unsigned idle_count;
	unsigned made; /* names */
	bool moved;    /* the agent is in a group of its own */
};

struct cgroup_pool *cgroup_pool_new(void)
{
	struct cgroup_pool *pool = NEW(struct cgroup_pool);

	pthread_mutex_init(&pool->lock, NULL);
	return pool;
}

static void cgroup_free(struct task_cgroup *cgroup)
{
	fd_closep(&cgroup->dir);
	fd_closep(&cgroup->events);
	rmdir(cgroup->path); /* it stays while somebody is in it, for the sweep */
	free(cgroup->path);
	free(cgroup);
}

static struct task_cgroup *pop_idle(struct cgroup_pool *pool)
{
	struct task_cgroup *cgroup = LIST_FIRST(&pool->idle);

	if (cgroup) {
		LIST_REMOVE(cgroup, link);
		pool->idle_count--;
	}
	return cgroup;
}

void cgroup_pool_free(struct cgroup_pool **pool)
{
	struct task_cgroup *cgroup;

	if (!*pool)
		return;
	while ((cgroup = pop_idle(*pool)))
		cgroup_free(cgroup);
	pthread_mutex_destroy(&(*pool)->lock);
	free(TAKE_PTR(*pool));
}

static bool cgroup2_mounted(void)
{
	struct statfs st;

	return statfs(CGROUP_ROOT, &st) == 0 && st.f_type == CGROUP2_SUPER_MAGIC;
}

static bool in_pool(const struct cgroup_pool *pool, const char *name)
{
	const struct task_cgroup *cgroup;

	LIST_FOREACH(cgroup, &pool->idle, link)
	{
		if (str_eq(cgroup->path + strlen(CGROUP_BASE "/"), name))
			return true;
	}
	return false;
}

/* Removes what earlier tasks left behind; one with survivors stays until they are gone. */
static void sweep(const struct cgroup_pool *pool)
{
	DIR *dir = opendir(CGROUP_BASE);
	struct dirent *e;

	while (dir && (e = readdir(dir))) {
		if (str_starts(e->d_name, "task-") && !in_pool(pool, e->d_name))
			unlinkat(dirfd(dir), e->d_name, AT_REMOVEDIR);
	}
	if (dir)
		closedir(dir);
}

/* Out of the init's group, so that what is done to that one spares us. PID 1 itself stays where it is. */
static void move_agent(struct cgroup_pool *pool)
{
	const pid_t pids[] = {getpid(), getppid()};

	pool->moved = true;
	if (mkdir(CGROUP_BASE "/agent", 0755) < 0 && errno != EEXIST)
		return;
	for (size_t i = 0; i < ARRAY_LEN(pids); i++) {
		cleanup_close int fd = open(CGROUP_BASE "/agent/cgroup.procs", O_WRONLY | O_CLOEXEC);

		if (pids[i] > 1 && fd >= 0)
			dprintf(fd, "%d", pids[i]);
	}
}

static struct task_cgroup *make(struct cgroup_pool *pool)
{
	struct task_cgroup *cgroup;

	if (!cgroup2_mounted() || (mkdir(CGROUP_BASE, 0755) < 0 && errno != EEXIST))
		return NULL;
	if (!pool->moved)
		move_agent(pool);
	if (pool->made % SWEEP_EVERY == 0)
		sweep(pool);
	cgroup = NEW(struct task_cgroup);
	cgroup->path = str_fmt(CGROUP_BASE "/task-%d-%u", getpid(), pool->made++);
	cgroup->dir = cgroup->events = -1;
	if (mkdir(cgroup->path, 0755) == 0)
		cgroup->dir = open(cgroup->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (cgroup->dir >= 0)
		cgroup->events = openat(cgroup->dir, "cgroup.events", O_RDONLY | O_CLOEXEC);
	if (cgroup->events < 0) {
		cgroup_free(cgroup);
		return NULL;
	}
	return cgroup;
}

/* As a new one is: with nobody in it, no group below it (a directory has a link from each), and not removed by somebody else. */
static bool is_idle(const struct task_cgroup *cgroup)
{
	char events[128];
	struct stat st;
	ssize_t n = pread(cgroup->events, events, sizeof(events) - 1, 0);

	if (n <= 0 || fstat(cgroup->dir, &st) < 0 || st.st_nlink > 2)
		return false;
	events[n] = '\0';
	return !strstr(events, "populated 1") && !strstr(events, "frozen 1");
}

static struct task_cgroup *take(struct cgroup_pool *pool)
{
	struct task_cgroup *cgroup;

	while ((cgroup = pop_idle(pool))) {
		if (is_idle(cgroup))
			return cgroup;
		cgroup_free(cgroup);
	}
	return make(pool);
}

struct task_cgroup *cgroup_take(struct cgroup_pool *pool)
{
	struct task_cgroup *cgroup;

	pthread_mutex_lock(&pool->lock);
	cgroup = take(pool);
	pthread_mutex_unlock(&pool->lock);
	return cgroup;
}

void cgroup_replace(struct cgroup_pool *pool, struct task_cgroup **cgroup)
{
	pthread_mutex_lock(&pool->lock);
	cgroup_free(*cgroup);
	*cgroup = make(pool);
	pthread_mutex_unlock(&pool->lock);
}

void cgroup_release(struct cgroup_pool *pool, struct task_cgroup **take)
{
	struct task_cgroup *cgroup = TAKE_PTR(*take);

	if (!cgroup)
		return;
	pthread_mutex_lock(&pool->lock);
	if (cgroup->killed || pool->idle_count == IDLE_MAX || !is_idle(cgroup)) {
		cgroup_free(cgroup);
	} else {
		LIST_INSERT_HEAD(&pool->idle, cgroup, link);
		pool->idle_count++;
	}
	pthread_mutex_unlock(&pool->lock);
}

int cgroup_dir(const struct task_cgroup *cgroup)
{
	return cgroup->dir;
}

char *cgroup_procs(const struct task_cgroup *cgroup)
{
	return str_fmt("%s/cgroup.procs", cgroup->path);
}

bool cgroup_kill(struct task_cgroup *cgroup)
{
	cleanup_close int fd = openat(cgroup->dir, "cgroup.kill", O_WRONLY | O_CLOEXEC);

	cgroup->killed = true;
	return fd >= 0 && write(fd, "1", 1) == 1;
}
