/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * harness_plain.c - runs the cases of harness.h one after another, each in a
 * child process, and prints one line for each.
 *
 *   ring_plain [--here] [--list] [PART-OF-A-NAME...]
 *
 * --here runs the cases in the process itself, for a debugger or a profiler:
 * the first failure is then the last. The last line is `N passed, N failed`,
 * and the exit status is 0 only if cases ran and none failed (77: all skipped).
 */
#include "harness.h"
#include "harness_driver.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum verdict {
	PASSED = 0,
	FAILED = 1,
	SKIPPED = 77
};

static struct harness_case *first_case;
static struct harness_case **last_link = &first_case;

void harness_add(struct harness_case *self)
{
	*last_link = self;
	last_link = &self->next;
}

void harness_driver_replay(char *command, size_t size, const char *suite, const char *name)
{
	(void)suite;
	(void)snprintf(command, size, "%s %s", program_invocation_name, name);
}

void harness_driver_fail(const char *message, bool own_thread)
{
	(void)printf("# %s\n", message);
	(void)fflush(stdout);
	if (own_thread)
		exit(FAILED);
	/* Other threads are running: leave without the exit handlers they could meet. */
	_exit(FAILED);
}

void harness_driver_skip(const char *reason)
{
	(void)printf("# skipped: %s\n", reason);
	exit(SKIPPED);
}

static double now(void)
{
	struct timespec time;

	(void)clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static unsigned int allowed_seconds(void)
{
	const char *text = getenv("WEIR_TEST_TIMEOUT");
	unsigned long seconds = text != NULL ? strtoul(text, NULL, 10) : 60;

	if (seconds == 0 || seconds > 86400)
		harness_driver_fail("WEIR_TEST_TIMEOUT is not a number of seconds", true);
	/* 1000 keeps the digits of a factor such as 2.5 through a whole number. */
	if (harness_scaled(1000) > 1000)
		seconds = seconds * harness_scaled(1000) / 1000;
	return (unsigned int)seconds;
}

static void run_here(const struct harness_case *self)
{
	harness_begin(self->suite, self->name);
	self->run();
}

/*
 * Waits for the child, and kills it when its time is over. The parent has
 * blocked SIGCHLD before the child was born, so that none is missed.
 */
static int wait_for(pid_t child, unsigned int seconds, bool *hung)
{
	const double deadline = now() + (double)seconds;
	sigset_t child_signal;
	int status;

	(void)sigemptyset(&child_signal);
	(void)sigaddset(&child_signal, SIGCHLD);
	*hung = false;
	while (waitpid(child, &status, WNOHANG) == 0) {
		const double left = deadline - now();
		const struct timespec pause = { (time_t)(left > 0.0 ? left : 0.0), 100000000 };

		if (left <= 0.0) {
			*hung = true;
			(void)kill(child, SIGKILL);
			(void)waitpid(child, &status, 0);
			break;
		}
		(void)sigtimedwait(&child_signal, NULL, &pause);
	}
	return status;
}

/* What the end of a case's process means; `hung` is 0, or the seconds it was given. */
static enum verdict verdict_of(const struct harness_case *self, int status, unsigned int hung)
{
	if (hung == 0 && WIFEXITED(status)) {
		if (WEXITSTATUS(status) == PASSED)
			return PASSED;
		if (WEXITSTATUS(status) == SKIPPED)
			return SKIPPED;
		if (WEXITSTATUS(status) == FAILED)
			return FAILED; /* it has said why */
		(void)printf("# exit status %d\n", WEXITSTATUS(status));
	} else if (hung == 0) {
		(void)printf("# crashed: %s\n", strsignal(WTERMSIG(status)));
	} else {
		(void)printf("# hung: not over after %u seconds\n", hung);
	}
	(void)printf("# replay: WEIR_SEED=%" PRIu64 " %s %s\n", harness_seed(),
		program_invocation_name, self->name);
	return FAILED;
}

static enum verdict run_in_child(const struct harness_case *self, unsigned int seconds)
{
	sigset_t child_signal, before;
	bool hung;
	pid_t child;
	int status;

	(void)sigemptyset(&child_signal);
	(void)sigaddset(&child_signal, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &child_signal, &before);
	(void)fflush(NULL);
	child = fork();
	if (child < 0) {
		(void)printf("# fork: %s\n", strerror(errno));
		return FAILED;
	}
	if (child == 0) {
		(void)sigprocmask(SIG_SETMASK, &before, NULL);
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		run_here(self);
		exit(PASSED);
	}
	status = wait_for(child, seconds, &hung);
	(void)sigprocmask(SIG_SETMASK, &before, NULL);

	return verdict_of(self, status, hung ? seconds : 0);
}

static bool selected(const struct harness_case *self, int part_count, char **parts)
{
	for (int i = 0; i < part_count; i++) {
		if (strstr(self->name, parts[i]) != NULL)
			return true;
	}
	return part_count == 0;
}

static void print_verdict(
	const struct harness_case *self, int number, enum verdict verdict, double seconds)
{
	(void)printf("%sok %d - %s: %s%s (%.3f s)\n", verdict == FAILED ? "not " : "", number,
		self->suite, self->name, verdict == SKIPPED ? " # SKIP" : "", seconds);
	(void)fflush(stdout);
}

static int run_selected(bool here, int part_count, char **parts)
{
	const unsigned int seconds = allowed_seconds();
	int passed = 0, failed = 0, skipped = 0;

	/* Asked for once before any child is born, so that all share one drawn seed. */
	(void)harness_seed();
	for (struct harness_case *self = first_case; self != NULL; self = self->next) {
		const double begin = now();
		enum verdict verdict = PASSED;

		if (!selected(self, part_count, parts))
			continue;
		if (here)
			run_here(self);
		else
			verdict = run_in_child(self, seconds);
		passed += verdict == PASSED;
		failed += verdict == FAILED;
		skipped += verdict == SKIPPED;
		print_verdict(self, passed + failed + skipped, verdict, now() - begin);
	}
	if (passed + failed + skipped == 0)
		(void)printf("# no case of this name\n");
	(void)printf("%d passed, %d failed\n", passed, failed);
	if (passed + failed == 0 && skipped > 0)
		return SKIPPED;
	return failed > 0 || passed == 0 ? FAILED : PASSED;
}

int main(int argument_count, char **arguments)
{
	bool here = false;
	int first = 1;

	for (; first < argument_count && strncmp(arguments[first], "--", 2) == 0; first++) {
		if (strcmp(arguments[first], "--list") == 0) {
			for (struct harness_case *self = first_case; self != NULL;
				self = self->next)
				(void)printf("%s: %s\n", self->suite, self->name);
			return 0;
		}
		if (strcmp(arguments[first], "--here") != 0) {
			(void)fprintf(stderr, "usage: %s [--here] [--list] [PART-OF-A-NAME...]\n",
				program_invocation_name);
			return 2;
		}
		here = true;
	}
	return run_selected(here, argument_count - first, arguments + first);
}
