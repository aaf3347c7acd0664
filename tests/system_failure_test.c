/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * system_failure_test.c - the operating system refuses: a mutex, a condition, a
 * thread, a page. Each refusal of each script is one call that says WEIR_ESYSTEM, has
 * done nothing, and works when it is made again. What the library can do without
 * (wiped pages, random numbers, membarrier) it does without.
 *
 * The functions of the system stand here with the names of its own, so that the
 * program calls these. Sanitizers do the same, so they do not get on with it.
 */
#include <dlfcn.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/broker.h"
#include "fail_allocator.h"
#include "fixture.h"

#if defined(WEIRI_SANITIZE_ADDRESS) || defined(WEIRI_SANITIZE_THREAD) || \
	defined(WEIRI_SANITIZE_MEMORY)
#define CAN_REFUSE 0
#else
#define CAN_REFUSE 1
#endif

/* ---- The system, that refuses the Nth call of one kind ---- */

enum service {
	NOTHING,
	MUTEX,
	CONDITION,
	THREAD,
	PAGE,
	WIPING,
	RANDOM,
};

static struct {
	enum service service;
	unsigned int refuse_at; /* counted from 1; 0: every one */
	unsigned int calls;
	bool is_on; /* the library is running, and nobody else */
} refusal;

#if CAN_REFUSE

static bool refuses(enum service service)
{
	if (!refusal.is_on || refusal.service != service)
		return false;
	refusal.calls++;
	return refusal.refuse_at == 0 || refusal.calls == refusal.refuse_at;
}

/* The function of the system itself. */
#define SYSTEM(function) ((__typeof__(&function))(uintptr_t)dlsym(RTLD_NEXT, #function))

int pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attributes)
{
	return refuses(MUTEX) ? ENOMEM : SYSTEM(pthread_mutex_init)(mutex, attributes);
}

int pthread_cond_init(pthread_cond_t *condition, const pthread_condattr_t *attributes)
{
	return refuses(CONDITION) ? ENOMEM : SYSTEM(pthread_cond_init)(condition, attributes);
}

int pthread_create(
	pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *argument)
{
	return refuses(THREAD) ? EAGAIN : SYSTEM(pthread_create)(thread, attributes, run, argument);
}

void *mmap(void *address, size_t length, int protection, int flags, int file, off_t offset)
{
	if (refuses(PAGE)) {
		errno = ENOMEM;
		return MAP_FAILED;
	}
	return SYSTEM(mmap)(address, length, protection, flags, file, offset);
}

int madvise(void *address, size_t length, int advice)
{
	if (refuses(WIPING)) {
		errno = EINVAL;
		return -1;
	}
	return SYSTEM(madvise)(address, length, advice);
}

ssize_t getrandom(void *buffer, size_t size, unsigned int flags)
{
	if (refuses(RANDOM)) {
		errno = EAGAIN;
		return -1;
	}
	return SYSTEM(getrandom)(buffer, size, flags);
}

#endif

static void refuse(enum service service, unsigned int at)
{
	refusal.service = service;
	refusal.refuse_at = at;
	refusal.calls = 0;
}

/* Makes the call; again, with a willing system, if it said WEIR_ESYSTEM. */
#define WITH_SYSTEM(call)                          \
	do {                                       \
		int result_;                       \
		refusal.is_on = true;              \
		result_ = (call);                  \
		refusal.is_on = false;             \
		if (result_ == WEIR_ESYSTEM) {     \
			CHECK(refusal.calls > 0);  \
			refused++;                 \
			refusal.service = NOTHING; \
			result_ = (call);          \
		}                                  \
		CHECK_EQ(result_, 0);              \
	} while (0)

/* ---- A script that asks for everything that the library asks the system for ---- */

static unsigned int script_run(void)
{
	static const weir_subscription_options kinds[] = {
		{ .capacity = 2 },
		{ .capacity = 2, .overflow = WEIR_OVERFLOW_DROP_OLDEST },
		{ .capacity = 2, .overflow = WEIR_OVERFLOW_CONFLATE },
		{ .capacity = 2, .order = WEIR_ORDER_PRIORITY, .priority_classes = 2 },
		{ .capacity = 2, .ack = WEIR_ACK_MANUAL, .ack_timeout = 1000 },
	};
	enum {
		COUNT = sizeof(kinds) / sizeof(kinds[0])
	};
	struct fail_allocator memory = { 0 };
	const weir_broker_options options = { .allocator = fail_allocator_hook(&memory) };
	weir_subscription *subscriptions[COUNT] = { NULL };
	weir_publisher *publisher = NULL;
	weir_broker *broker = NULL;
	unsigned int refused = 0;

	WITH_SYSTEM(weir_broker_open(&broker, &options));
	WITH_SYSTEM(weir_publisher_open(&publisher, broker, "t", NULL));
	for (int i = 0; i < COUNT; i++)
		WITH_SYSTEM(weir_subscribe(&subscriptions[i], broker, "t", &kinds[i]));
	CHECK_EQ(fixture_publish(publisher, 1), COUNT);
	for (int i = 0; i < COUNT; i++) {
		weir_delivery delivery;

		WITH_SYSTEM(weir_receive(subscriptions[i], &delivery, 0));
		CHECK_EQ(weir_unsubscribe(subscriptions[i], NULL), 0);
	}
	weir_publisher_close(publisher);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
	fail_allocator_check_empty(&memory);
	return refused;
}

/* Every call for the service is refused once; returns how many there were. */
static unsigned int sweep(enum service service)
{
	unsigned int at = 0;

	if (!CAN_REFUSE)
		SKIP("sanitizers stand where the system would be made to refuse");
	do {
		refuse(service, ++at);
	} while (script_run() == 1);
	return at - 1;
}

WEIR_TEST(system_failure, each_mutex_that_is_refused_is_one_call_that_says_so)
{
	CHECK(sweep(MUTEX) >= 5);
}

WEIR_TEST(system_failure, each_condition_that_is_refused_is_one_call_that_says_so)
{
	CHECK(sweep(CONDITION) >= 1);
}

WEIR_TEST(system_failure, a_page_that_is_refused_is_one_call_that_says_so)
{
	CHECK(sweep(PAGE) >= 1);
}

WEIR_TEST(system_failure, a_thread_that_is_refused_is_one_call_that_says_so)
{
	CHECK(sweep(THREAD) >= 1);
}

WEIR_TEST(system_failure, output_of_a_refused_open_is_untouched)
{
	weir_broker *const untouched = (weir_broker *)(uintptr_t)0x10;
	weir_broker *broker = untouched;

	if (!CAN_REFUSE)
		SKIP("sanitizers stand where the system would be made to refuse");
	refuse(MUTEX, 1);
	refusal.is_on = true;
	CHECK_EQ(weir_broker_open(&broker, NULL), WEIR_ESYSTEM);
	refusal.is_on = false;
	CHECK(broker == untouched);
}

/* ---- What it can do without ---- */

WEIR_TEST(system_failure, without_wiped_pages_a_child_is_found_by_its_number)
{
	weir_broker *broker = NULL;
	int status;
	pid_t child;

	if (!CAN_REFUSE)
		SKIP("sanitizers stand where the system would be made to refuse");
	refuse(WIPING, 0);
	refusal.is_on = true;
	CHECK_EQ(weir_broker_open(&broker, NULL), 0);
	refusal.is_on = false;
	CHECK_EQ(refusal.calls, 1);
	CHECK_EQ(weir_publish_to(broker, "t", NULL, 0, NULL, NULL), 0);
	child = fork();
	CHECK(child >= 0);
	if (child == 0)
		_exit(weir_publish_to(broker, "t", NULL, 0, NULL, NULL) == WEIR_EFORK ? 0 : 1);
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(status, 0);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}

WEIR_TEST(system_failure, without_random_numbers_names_are_still_found)
{
	if (!CAN_REFUSE)
		SKIP("sanitizers stand where the system would be made to refuse");
	refuse(RANDOM, 0);
	CHECK_EQ(script_run(), 0);
	CHECK(refusal.calls > 0);
}

/* A filter that answers to membarrier as a kernel does that has none. */
static bool membarrier_forbid(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_membarrier, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = { sizeof(code) / sizeof(code[0]), code };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

struct shuttle {
	weir_subscription *subscription;
	weir_publisher *publisher;
	uint64_t rounds;
};

static void *shuttle_run(void *argument)
{
	struct shuttle *shuttle = argument;

	for (uint64_t i = 0; i < shuttle->rounds; i++)
		fixture_publish(shuttle->publisher, i);
	return NULL;
}

/* Both sides sleep often, in a queue of one. */
static void shuttle_go(struct shuttle *shuttle, weir_broker *broker)
{
	pthread_t thread = fixture_thread(shuttle_run, shuttle);

	for (uint64_t i = 0; i < shuttle->rounds; i++) {
		weir_delivery delivery;

		CHECK_EQ(weir_receive(shuttle->subscription, &delivery, WEIR_FOREVER), 0);
		CHECK_EQ(fixture_number(&delivery), i);
	}
	fixture_join(thread);
	weir_publisher_close(shuttle->publisher);
	CHECK_EQ(weir_unsubscribe(shuttle->subscription, NULL), 0);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}

static void shuttle_open(struct shuttle *shuttle, weir_broker *broker)
{
	const weir_subscription_options queue = { .capacity = 1, .wait = WEIR_WAIT_PARK };

	CHECK_EQ(weir_subscribe(&shuttle->subscription, broker, "t", &queue), 0);
	shuttle->publisher = fixture_publisher(broker, "t");
}

/* The fences that stand in must lose no wake-up. */
WEIR_TEST(system_failure, without_membarrier_no_wake_up_is_lost)
{
	struct shuttle shuttle = { .rounds = harness_scaled(5000) };
	weir_broker *broker;

	if (!membarrier_forbid())
		SKIP("this kernel filters no system calls");
	broker = fixture_broker(NULL);
	CHECK(!broker->fence_asymmetric);
	shuttle_open(&shuttle, broker);
	shuttle_go(&shuttle, broker);
}

/* Nor where the broker counted on it; the filter holds for threads that are made later. */
WEIR_TEST(system_failure, when_membarrier_is_forbidden_later_no_wake_up_is_lost)
{
	struct shuttle shuttle = { .rounds = harness_scaled(5000) };
	weir_broker *broker = fixture_broker(NULL);

	if (!broker->fence_asymmetric)
		SKIP("this kernel has no membarrier");
	shuttle_open(&shuttle, broker);
	if (!membarrier_forbid())
		SKIP("this kernel filters no system calls");
	shuttle_go(&shuttle, broker);
}
