/* SPDX-License-Identifier: MIT */
/* vm forward */
#include "cli/vm_forward.h"

#include <signal.h>

#include "cli/signals.h"
#include "cli/verbs.h"

void forward_update(struct forward *f)
{
	for (size_t i = 0; i < f->nlisteners; i++)
		if (f->listeners[i].acceptor)
			acceptor_pause(f->listeners[i].acceptor, f->nconns >= FORWARD_CONNECTIONS_MAX);
}

static void forward_clear(struct forward *f)
{
	for (size_t i = 0; i < f->nlisteners; i++)
		forward_listener_close(&f->listeners[i]);
	f->nlisteners = 0;
	while (f->conns)
		forward_conn_free(f->conns);
	free(f->vm);
}

/* All of them are read before the first one listens. */
static int forward_parse_all(char *const *texts, struct forward_spec *specs, size_t *ret_n, struct error **err)
{
	for (*ret_n = 0; texts && texts[*ret_n]; (*ret_n)++) {
		if (*ret_n == FORWARD_LISTENERS_MAX)
			return error_set(err, ERR_INVALID, "at most %d ports can be forwarded at once",
					 FORWARD_LISTENERS_MAX);
		if (forward_spec_parse(texts[*ret_n], &specs[*ret_n], err) < 0)
			return -1;
	}
	if (*ret_n == 0)
		return error_set(err, ERR_INVALID,
				 "what is to be forwarded? As in: slicer vm forward vm-1 8080:127.0.0.1:80");
	return 0;
}

/* A first argument with a colon or slash is no VM: the only one is meant. */
static char **forward_texts(const struct parsed *args, const char **ret_vm)
{
	char **texts = parsed_strings(args, "local");
	size_t first = 0;

	*ret_vm = NULL;
	if (args->nargs && !strpbrk(args->args[0], ":/"))
		*ret_vm = args->args[first++];
	for (size_t i = first; i < args->nargs; i++)
		strv_append(&texts, args->args[i]);
	return texts;
}

static void forward_signalled(void *arg, int signo)
{
	loop_stop(arg); /* this is how it ends */
}

/* A VM that is not there is told at once, not at the first connection. */
static int forward_find_vm(struct forward *f, const char *given, struct error **err)
{
	f->vm = vm_or_only(f->client, given, err);
	if (!f->vm)
		return -1;
	cleanup_json struct json_object *vm = vm_json(f->client, &f->vm, "GET", "", NULL, CLIENT_TIMEOUT_MS, err);

	return vm ? 0 : -1;
}

static int forward_open_all(struct forward *f, struct forward_spec *specs, size_t n, struct error **err)
{
	for (size_t i = 0; i < n; i++) {
		if (forward_listener_open(&f->listeners[i], f, &specs[i], err) < 0)
			return -1;
		f->nlisteners++;
	}
	return 0;
}

static int forward_serve(struct forward *f, const struct parsed *args, struct forward_spec *specs, struct error **err)
{
	cleanup_strv char **texts = NULL;
	struct signals *signals;
	const char *vm;
	size_t n;
	int rc;

	texts = forward_texts(args, &vm);
	if (forward_parse_all(texts, specs, &n, err) < 0 || forward_find_vm(f, vm, err) < 0)
		return -1;
	signals = signals_new(f->client->loop, forward_signalled, f->client->loop);
	rc = forward_open_all(f, specs, n, err);
	if (rc == 0)
		rc = loop_run(f->client->loop, err);
	signals_free(&signals);
	return rc;
}

static int forward_run(struct cli *cli, const struct parsed *args, struct error **err)
{
	cleanup_client struct client c = {0};
	struct forward f = {.client = &c};
	struct forward_spec specs[FORWARD_LISTENERS_MAX] = {0};
	int rc = client_open(&c, args, err);

	if (rc == 0)
		rc = forward_serve(&f, args, specs, err);
	forward_clear(&f);
	for (size_t i = 0; i < FORWARD_LISTENERS_MAX; i++)
		forward_spec_clear(&specs[i]);
	return rc;
}

static const struct option_spec forward_options[] = {
	{"local", 'L', OPTION_STRINGS, "SPEC", "What to forward; may be repeated, and given without -L"},
	{0},
};

const struct command command_vm_forward = {
	.name = "forward",
	.aliases = "port-forward",
	.summary = "Forward ports and Unix sockets to a VM",
	.usage = "[VM] [-L] SPEC...",
	.details = "Runs until Ctrl+C. SPEC is one of\n"
		   "  HOST:PORT              the same address and port here, as in 127.0.0.1:9000\n"
		   "  PORT:PORT              both on 127.0.0.1\n"
		   "  PORT:HOST:PORT         listens on HOST's address here; port 0: any\n"
		   "  ADDR:PORT:HOST:PORT\n"
		   "  [ADDR:]PORT:/PATH      to a Unix socket; without ADDR on all addresses\n"
		   "  PATH:/PATH             from a Unix socket here to one in the VM\n"
		   "  PATH:HOST:PORT         from a Unix socket here\n"
		   "HOST is dialled by the agent in the VM, so no network to the VM is needed.\n",
	.options = forward_options,
	.run = forward_run,
	.max_args = COMMAND_ANY_ARGS,
};
