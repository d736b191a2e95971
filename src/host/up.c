/* SPDX-License-Identifier: MIT */
/* slicer up: everything that can be wrong is found before anything is created; then the loop. */
#include "host/up.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "api/api.h"
#include "api/forwards.h"
#include "base/fs.h"
#include "base/helper.h"
#include "base/json.h"
#include "base/kept.h"
#include "base/log.h"
#include "base/str.h"
#include "host/boot_images.h"
#include "host/github_keys.h"
#include "host/networks.h"
#include "host/listen.h"
#include "host/paths.h"
#include "host/reloader.h"
#include "host/rights.h"
#include "host/route.h"
#include "host/token.h"
#include "host/uids.h"
#include "host/up_check.h"
#include "io/worker.h"
#include "vmm/vmm.h"

enum { WORKERS = 4, DOWNLOADERS = 2 };

struct daemon {
	struct config *config;
	struct daemon_paths paths;
	int lock_fd, claim_fd, listen_fd;
	char *listening, *token, *monitor_exe;
	const struct vmm_ops *ops;
	struct kept *kept; /* what the last start found out */
	struct vmm_probe probe;
	uid_t uid_base;
	struct boot_images images;
	struct manager_options manager_options;
	struct api_options api_options;
	struct loop *loop;
	struct worker_pool *pool, *downloads;
	struct manager *manager;
	struct api *api;
	struct forwards *forwards;
	struct http1_server *server;
	struct loop_signal *sigint, *sigterm, *sighup;
	const char *file;
	struct json_object *loaded; /* the configuration as the file has it, until the reloader has it */
	struct reloader *reloader;
	bool ends_on_hangup;
	unsigned stop_signals;
	sigset_t signals; /* that were blocked before it began */
};

/* What is made at the start is not to be left by a signal in the middle: until there are handlers, it waits. */
static void up_block_signals(struct daemon *d)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &set, &d->signals);
}

/* After teardown the signal that waits ends the process, as it would have at once. */
static void up_unblock_signals(struct daemon *d)
{
	pthread_sigmask(SIG_SETMASK, &d->signals, NULL);
}

/* Between steps that take their time. */
static int up_goes_on(struct error **err)
{
	sigset_t set;

	if (sigpending(&set) == 0 && (sigismember(&set, SIGINT) > 0 || sigismember(&set, SIGTERM) > 0))
		return error_set(err, ERR_CANCELLED, "stopped by a signal before it was up");
	return 0;
}

static void up_load_kept(struct daemon *d)
{
	cleanup_free char *path = fs_join(d->paths.state, "kept.json");

	d->kept = kept_load(path);
}

/* Without it the next start only takes longer. */
static void up_save_kept(struct daemon *d)
{
	cleanup_error struct error *error = NULL;

	if (kept_save(d->kept, &error))
		log_debug("%s", error_message(error));
}

static int up_probe(struct daemon *d, struct error **err)
{
	static const enum vmm_accel accels[] = {
		[ACCEL_AUTO] = VMM_ACCEL_AUTO, [ACCEL_KVM] = VMM_ACCEL_KVM, [ACCEL_TCG] = VMM_ACCEL_TCG};

	d->ops = vmm_by_name(config_hypervisor_name(d->config->hypervisor), err);
	if (!d->ops || vmm_probe(d->ops, accels[d->config->accel], d->kept, &d->probe, err))
		return -1;
	log_info("Hypervisor: %s %s, %s: %s", d->ops->name, d->probe.version ? d->probe.version : "",
		 vmm_accel_name(d->probe.accel), d->probe.reason ? d->probe.reason : "");
	return 0;
}

static int up_authentication(struct daemon *d, struct error **err)
{
	const struct config_api *api = &d->config->api;

	if (!api->auth.enabled)
		return 0;
	d->token = api->auth.token ? str_dup(api->auth.token) : token_load(d->paths.token, err);
	return d->token ? 0 : -1;
}

/* For what the host lacks. Returns -1. */
static int up_hint(const char *file, struct error **err)
{
	struct error *e = *err;
	cleanup_free char *message = e->message;

	e->message = str_fmt("%s (\"slicer doctor %s\" tells more)", message, file);
	return -1;
}

/* Nothing of another daemon's has been touched when it fails. */
static int up_lock(struct daemon *d, const char *file, struct error **err)
{
	cleanup_error struct error *why = NULL;
	cleanup_close int claim = daemon_paths_claim(&d->paths, &why);
	cleanup_close int lock = claim >= 0 ? daemon_paths_lock(&d->paths, &why) : -1;

	if (why && why->code == ERR_CONFLICT)
		error_wrap(&why, "%s is up already", file);
	else if (why && claim >= 0)
		daemon_paths_leave(&d->paths);
	else if (lock >= 0 && daemon_paths_check_elsewhere(&d->paths, &why))
		error_wrap(&why, "%s", file);
	if (why)
		return error_move(err, &why);
	d->claim_fd = TAKE_FD(claim);
	d->lock_fd = TAKE_FD(lock);
	return 0;
}

/* In the order of what costs least and says most; the lock before anything that a second daemon could disturb. */
static int up_prepare(struct daemon *d, const char *file, struct error **err)
{
	if (config_load_file(file, &d->config, err) || up_check(d->config, err))
		return -1;
	d->file = file;
	d->loaded = config_to_json(d->config);
	if (daemon_paths_find(file, &d->paths, err))
		return -1;
	up_load_kept(d);
	if (up_probe(d, err))
		return up_hint(file, err);
	d->monitor_exe = helper_path("slicer-monitor", err);
	if (!d->monitor_exe)
		return up_hint(file, err);
	if (daemon_paths_create(&d->paths, err))
		return -1;
	if (up_lock(d, file, err))
		return -1;
	if (daemon_paths_announce(&d->paths, NULL, err))
		return -1;
	if (geteuid() == 0 && uids_claim(d->paths.run, d->config->uid_first, d->config->uid_last, &d->uid_base, err))
		return -1;
	if (d->config->api.enabled) {
		cleanup_free char *url = NULL, *cwd = getcwd(NULL, 0);

		d->listen_fd = listen_api(d->config, &d->listening, err);
		if (d->listen_fd < 0 || up_authentication(d, err))
			return -1;
		url = listen_url(d->config, cwd ? cwd : ".");
		if (daemon_paths_announce(&d->paths, url, err))
			return -1;
	}
	if (github_keys_add(d->config, d->paths.state, err) || up_goes_on(err))
		return -1;
	if (boot_images_prepare(d->config, &d->paths, d->kept, &d->images, err) || up_goes_on(err))
		return -1;
	up_save_kept(d);
	return networks_up(d->config, d->paths.id, err) ? up_hint(file, err) : up_goes_on(err);
}

static void up_stopped(void *arg)
{
	struct daemon *d = arg;

	loop_stop(d->loop);
}

static void up_on_signal(void *arg)
{
	struct daemon *d = arg;
	bool graceful = d->config->graceful_shutdown && d->stop_signals++ == 0;

	log_info("Stopping%s", graceful ? " (once more: at once)" : " at once");
	reloader_stop(d->reloader);
	manager_stop(d->manager, graceful, up_stopped, d);
}

/* ---- what was added to the configuration is taken over, on SIGHUP and by POST /reload ---- */

static void up_reloaded(void *arg, char *const *added, char *const *notes, const struct error *error)
{
	struct daemon *d = arg;

	api_reloaded(d->api, added, notes, error);
}

static int up_reload(void *arg, const char *file, struct error **err)
{
	struct daemon *d = arg;

	if (file && !str_eq(file, d->paths.config))
		return error_set(err, ERR_CONFLICT, "the daemon here is of %s, not of %s", d->paths.config, file);
	return reloader_begin(d->reloader, up_reloaded, d, err);
}

/* With a terminal it is that which went, and nobody is left who could end the daemon. Two come then, of the kernel and of
 * the shell: only the first counts. */
static void up_on_hangup(void *arg)
{
	struct daemon *d = arg;
	cleanup_error struct error *logged = NULL;

	if (!d->ends_on_hangup)
		up_reload(d, NULL, &logged);
	else if (!d->stop_signals)
		up_on_signal(d);
}

/* nohup(1) leaves the terminal, and SIGHUP ignored: who is started so means to go on. */
static bool up_has_terminal(void)
{
	cleanup_close int fd = open("/dev/tty", O_RDONLY | O_NOCTTY | O_CLOEXEC);
	struct sigaction now = {0};

	sigaction(SIGHUP, NULL, &now);
	return fd >= 0 && now.sa_handler != SIG_IGN;
}

static int up_get_keys(void *arg, const char *user, char ***ret, struct error **err)
{
	const struct daemon *d = arg;

	return github_keys_get(d->paths.state, user, ret, err);
}

static int up_build(struct daemon *d, struct error **err)
{
	d->manager_options = (struct manager_options){
		.config = d->config,
		.daemon_id = d->paths.id,
		.state_dir = d->paths.state,
		.run_dir = d->paths.run,
		.log_dir = d->paths.log,
		.templates_dir = d->images.templates,
		.images = d->images.images,
		.nimages = d->images.n,
		.ops = d->ops,
		.probe = &d->probe,
		.monitor_exe = d->monitor_exe,
		.uid_base = d->uid_base,
	};
	d->loop = loop_new(err);
	if (!d->loop)
		return -1;
	d->pool = worker_pool_new(d->loop, WORKERS, err);
	d->downloads = d->pool ? worker_pool_new(d->loop, DOWNLOADERS, err) : NULL;
	if (!d->downloads)
		return -1;
	d->api_options = (struct api_options){.token = d->token,
					      .get_keys = up_get_keys,
					      .get_keys_arg = d,
					      .reload = up_reload,
					      .reload_arg = d,
					      .pool = d->downloads};
	d->manager = manager_new(d->loop, d->pool, &d->manager_options, err);
	if (!d->manager)
		return -1;
	d->reloader = reloader_new(&(struct reloader_options){.file = d->file,
							      .daemon_id = d->paths.id,
							      .config = &d->config,
							      .manager_options = &d->manager_options,
							      .manager = d->manager,
							      .pool = d->pool},
				   TAKE_PTR(d->loaded));
	d->api = api_new(d->loop, d->manager, &d->api_options);
	d->forwards = forwards_new(d->loop, d->manager, d->config, err);
	if (!d->forwards)
		return -1;
	if (d->listen_fd >= 0)
		d->server = http1_server_new(d->loop, TAKE_FD(d->listen_fd), NULL, api_handle, d->api);
	d->sigint = loop_signal_new(d->loop, SIGINT, up_on_signal, d);
	d->sigterm = loop_signal_new(d->loop, SIGTERM, up_on_signal, d);
	d->ends_on_hangup = up_has_terminal();
	d->sighup = loop_signal_new(d->loop, SIGHUP, up_on_hangup, d);
	up_unblock_signals(d);
	return 0;
}

/* How to ask it by hand, where it listens. */
static void up_greet_token(const struct daemon *d)
{
	const char *socket_path = config_api_socket(d->config);
	cleanup_free char *url = socket_path ? str_dup("http://localhost") : listen_url(d->config, ".");

	fprintf(stderr,
		"API authentication is on; the token is in %s\n"
		"  curl -H \"Authorization: Bearer $(sudo cat %s)\" %s%s%s%s/nodes\n",
		d->paths.token, d->paths.token, socket_path ? "--unix-socket " : "", socket_path ? socket_path : "",
		socket_path ? " " : "", url);
}

static void up_greet(const struct daemon *d)
{
	cleanup_free char *routes = route_text(d->config, NET_ROUTE_ALL);

	/* For people, in lines of its own: the log escapes what is in one line. */
	if (routes)
		fprintf(stderr, "%s\n", routes);
	if (d->listening)
		log_info("%s", d->listening);
	if (d->token && !d->config->api.auth.token)
		up_greet_token(d);
}

static void up_teardown(struct daemon *d)
{
	const char *socket_path = d->config && d->listening ? config_api_socket(d->config) : NULL;

	/* The calls of open connections hang on VMs: connections go first. */
	http1_server_free(&d->server);
	forwards_free(&d->forwards);
	worker_pool_free(&d->downloads);
	worker_pool_free(&d->pool);
	manager_free(&d->manager);
	api_free(&d->api);
	loop_signal_free(&d->sigint);
	loop_signal_free(&d->sigterm);
	loop_signal_free(&d->sighup);
	loop_free(&d->loop);
	if (socket_path)
		unlink(socket_path);
	if (d->lock_fd >= 0)
		networks_down(d->config, d->paths.id);
	boot_images_clear(&d->images);
	vmm_probe_clear(&d->probe);
	kept_free(&d->kept);
	free(d->monitor_exe);
	free(d->listening);
	if (d->token)
		mem_wipe(d->token, strlen(d->token));
	free(d->token);
	fd_closep(&d->listen_fd);
	if (d->lock_fd >= 0) {
		daemon_paths_leave(&d->paths);
		if (!fs_exists(d->paths.run)) /* no VM runs on */
			uids_release(d->paths.run);
	}
	fd_closep(&d->claim_fd);
	fd_closep(&d->lock_fd);
	daemon_paths_clear(&d->paths);
	reloader_free(&d->reloader);
	js_put(&d->loaded);
	config_free(&d->config);
}

static int up_serve(struct daemon *d, const char *file, struct error **err)
{
	if (rights_drop(err) || up_prepare(d, file, err) || up_build(d, err) || manager_start(d->manager, err))
		return -1;
	up_greet(d);
	return loop_run(d->loop, err);
}

/* A VM takes four descriptors and a client one: a shell's limit of 1,024 would end at some 250 VMs. */
static void up_raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur >= UP_OPEN_FILES)
		return;
	limit.rlim_cur = limit.rlim_max < UP_OPEN_FILES ? limit.rlim_max : UP_OPEN_FILES;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static int up_run(struct cli *cli, const struct parsed *args, struct error **err)
{
	const char *given = parsed_string(args, "file");
	const char *file = args->nargs ? args->args[0] : given ? given : CONFIG_DEFAULT_FILE;
	struct daemon d = {.lock_fd = -1, .claim_fd = -1, .listen_fd = -1};
	int r;

	if (args->nargs && given)
		return error_set(err, ERR_INVALID, "the configuration is given twice: %s and -f %s", file, given);
	if (parsed_bool(args, "suspend-on-shutdown", false))
		return error_set(err, ERR_UNSUPPORTED, SUSPEND_ON_SHUTDOWN_LATER);
	umask(077);
	up_raise_limit();
	up_block_signals(&d);
	r = up_serve(&d, file, err);
	up_teardown(&d);
	up_unblock_signals(&d);
	return r ? -1 : 0;
}

static const struct option_spec up_options[] = {
	{.name = "file",
	 .letter = 'f',
	 .type = OPTION_STRING,
	 .metavar = "FILE",
	 .help = "The configuration (default " CONFIG_DEFAULT_FILE ")"},
	{.name = "license-file",
	 .type = OPTION_STRING,
	 .metavar = "FILE",
	 .help = "Ignored: no license is needed; for scripts written for Slicer"},
	{.name = "suspend-on-shutdown", .type = OPTION_BOOL, .help = "Not in this version yet"},
	{0},
};

const struct command command_up = {
	.name = "up",
	.summary = "Start the VMs of a configuration and serve the API",
	.usage = "[FILE]",
	.details = "Runs in the foreground until it gets SIGINT or SIGTERM; a second signal stops the VMs at once.\n"
		   "VMs that a killed daemon left running are taken over by the next one.\n",
	.options = up_options,
	.run = up_run,
	.reads_file = true,
	.max_args = 1,
	.local = true,
};
