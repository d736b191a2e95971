/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>
#include <sys/eventfd.h>

#include "io/worker.h"

struct job {
	struct job *next;
	job_work_fn *work;
	job_done_fn *done;
	void *arg;
	struct error *error;
};

struct queue {
	struct job *first, **last;
};

struct worker_pool {
	pthread_mutex_t lock; /* guards todo, finished, stop and the numbers */
	pthread_cond_t wake;
	struct queue todo, finished;
	bool stop;
	int eventfd; /* readable: jobs have finished */
	struct watch *watch;
	bool *freed;	       /* set when a done callback frees the pool */
	unsigned queued, idle; /* jobs in todo; threads that wait for one */
	unsigned nthreads, max;
	pthread_t threads[];
};

static void queue_init(struct queue *q)
{
	q->first = NULL;
	q->last = &q->first;
}

static void queue_push(struct queue *q, struct job *job)
{
	job->next = NULL;
	*q->last = job;
	q->last = &job->next;
}

static struct job *queue_pop(struct queue *q)
{
	struct job *job = q->first;

	if (!job)
		return NULL;
	q->first = job->next;
	if (!q->first)
		q->last = &q->first;
	return job;
}

static void job_free(struct job *job)
{
	error_free(&job->error);
	free(job);
}

static void queue_clear(struct queue *q)
{
	struct job *job;

	while ((job = queue_pop(q)))
		job_free(job);
}

static void *worker_main(void *arg)
{
	struct worker_pool *pool = arg;
	const uint64_t one = 1;

	pthread_mutex_lock(&pool->lock);
	for (;;) {
		struct job *job;

		pool->idle++;
		while (!pool->stop && !pool->todo.first)
			pthread_cond_wait(&pool->wake, &pool->lock);
		pool->idle--;
		if (pool->stop)
			break;
		job = queue_pop(&pool->todo);
		pool->queued--;
		pthread_mutex_unlock(&pool->lock);

		if (job->work(job->arg, &job->error) == 0)
			error_free(&job->error);
		else if (!job->error)
			error_set(&job->error, ERR_INTERNAL, "a job failed without a reason");

		pthread_mutex_lock(&pool->lock);
		queue_push(&pool->finished, job);
		if (write(pool->eventfd, &one, sizeof(one)) < 0) {
			/* The counter is full, so it is readable already. */
		}
	}
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

static struct job *take_finished(struct worker_pool *pool)
{
	struct job *job;

	pthread_mutex_lock(&pool->lock);
	job = queue_pop(&pool->finished);
	pthread_mutex_unlock(&pool->lock);
	return job;
}

static void on_finished(void *arg, int what)
{
	struct worker_pool *pool = arg;
	struct job *job;
	uint64_t count;

	if (read(pool->eventfd, &count, sizeof(count)) < 0)
		return;
	while ((job = take_finished(pool))) {
		bool freed = false;

		pool->freed = &freed;
		job->done(job->arg, job->error);
		job_free(job);
		if (freed)
			return;
		pool->freed = NULL;
	}
}

/* Signals are the loop's; the threads block them all. */
static int start_thread(struct worker_pool *pool, struct error **err)
{
	sigset_t all, before;
	int e;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	e = pthread_create(&pool->threads[pool->nthreads], NULL, worker_main, pool);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (e)
		return error_errno(err, e, "cannot start a worker thread");
	pool->nthreads++;
	return 0;
}

struct worker_pool *worker_pool_new(struct loop *loop, unsigned threads, struct error **err)
{
	struct worker_pool *pool = mem_alloc(sizeof(*pool) + threads * sizeof(pool->threads[0]));

	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->wake, NULL);
	queue_init(&pool->todo);
	queue_init(&pool->finished);
	pool->eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (pool->eventfd < 0) {
		error_errno(err, errno, "cannot create an eventfd for the worker pool");
		worker_pool_free(&pool);
		return NULL;
	}
	pool->watch = watch_new(loop, pool->eventfd, on_finished, pool);
	watch_set(pool->watch, WATCH_IN);
	pool->max = threads;
	if (start_thread(pool, err) < 0) {
		worker_pool_free(&pool);
		return NULL;
	}
	return pool;
}

void worker_pool_free(struct worker_pool **ppool)
{
	struct worker_pool *pool = TAKE_PTR(*ppool);

	if (!pool)
		return;
	pthread_mutex_lock(&pool->lock);
	pool->stop = true;
	pthread_cond_broadcast(&pool->wake);
	pthread_mutex_unlock(&pool->lock);
	for (unsigned i = 0; i < pool->nthreads; i++)
		pthread_join(pool->threads[i], NULL);
	if (pool->freed)
		*pool->freed = true;
	watch_free(&pool->watch);
	fd_closep(&pool->eventfd);
	queue_clear(&pool->todo);
	queue_clear(&pool->finished);
	pthread_cond_destroy(&pool->wake);
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}

void worker_submit(struct worker_pool *pool, job_work_fn *work, job_done_fn *done, void *arg)
{
	struct job *job = NEW(struct job);

	job->work = work;
	job->done = done;
	job->arg = arg;
	pthread_mutex_lock(&pool->lock);
	queue_push(&pool->todo, job);
	pool->queued++;
	if (pool->queued > pool->idle && pool->nthreads < pool->max)
		start_thread(pool, NULL); /* without it the job waits for one of those that there are */
	pthread_cond_signal(&pool->wake);
	pthread_mutex_unlock(&pool->lock);
}
