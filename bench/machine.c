/* SPDX-License-Identifier: BSD-2-Clause */
/* The probe of distance, the meter of load, and the description of the machine. */
#include "machine.h"

#include <stdlib.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <weir/version.h>

#include "bench.h"

#define BOUNCES      20000
#define BOUNCES_WARM 1000

/* The two CPUs that pinned ends run on; the same one if there is but one. */
static size_t cpus[2];
static unsigned int cpus_count;
static cpu_set_t cpus_all;

static struct {
	_Alignas(2 * BENCH_LINE) uint64_t turn;
	unsigned char apart[2 * BENCH_LINE - sizeof(uint64_t)];
} line;

void bench_machine_open(void)
{
	if (sched_getaffinity(0, sizeof(cpus_all), &cpus_all) != 0)
		bench_fail("sched_getaffinity");
	for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &cpus_all))
			continue;
		if (cpus_count < 2)
			cpus[cpus_count] = cpu;
		cpus_count++;
	}
	if (cpus_count < 2)
		cpus[1] = cpus[0];
}

void bench_pin(int index)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	if (index >= 0)
		CPU_SET(cpus[index % 2], &one);
	if (sched_setaffinity(0, sizeof(one), index < 0 ? &cpus_all : &one) != 0)
		bench_fail("sched_setaffinity");
}

static void turn_await(uint64_t turn)
{
	unsigned int looks = 0;

	while (__atomic_load_n(&line.turn, __ATOMIC_ACQUIRE) != turn)
		if (cpus_count < 2)
			bench_idle(BENCH_YIELD, &looks);
}

static void *bounce_back(void *unused)
{
	(void)unused;
	bench_pin(1);
	for (uint64_t i = 0; i < BOUNCES; i++) {
		turn_await(2 * i + 1);
		__atomic_store_n(&line.turn, 2 * i + 2, __ATOMIC_RELEASE);
	}
	return NULL;
}

double bench_probe(void)
{
	pthread_t other;
	uint64_t begun = 0;
	double time;

	line.turn = 0;
	bench_pin(0);
	if (pthread_create(&other, NULL, bounce_back, NULL) != 0)
		bench_fail("no thread");
	for (uint64_t i = 0; i < BOUNCES; i++) {
		if (i == BOUNCES_WARM)
			begun = bench_now();
		__atomic_store_n(&line.turn, 2 * i + 1, __ATOMIC_RELEASE);
		turn_await(2 * i + 2);
	}
	time = (double)(bench_now() - begun);
	(void)pthread_join(other, NULL);
	bench_pin(-1);
	return time / (BOUNCES - BOUNCES_WARM) / 2;
}

/* Seconds that all CPUs were busy since the machine was started, the time that
 * the host took from them included. */
static double busy_time(void)
{
	unsigned long long user, nice, system, idle, wait, irq, softirq, steal = 0;
	FILE *file = fopen("/proc/stat", "r");
	int count = 0;

	if (file == NULL)
		return 0;
	count = fscanf(file, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &user, &nice, &system,
		&idle, &wait, &irq, &softirq, &steal);
	(void)fclose(file);
	if (count < 7)
		return 0;
	return (double)(user + nice + system + irq + softirq + steal) /
	       (double)sysconf(_SC_CLK_TCK);
}

static double child_time(pid_t child)
{
	unsigned long long user = 0, system = 0;
	char path[64];
	FILE *file;

	(void)snprintf(path, sizeof(path), "/proc/%ld/stat", (long)child);
	file = fopen(path, "r");
	if (file == NULL)
		return 0;
	/* The name, in parentheses, may hold anything but ends with the last one. */
	if (fscanf(file, "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu",
		    &user, &system) != 2)
		user = system = 0;
	(void)fclose(file);
	return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

static double own_time(pid_t child)
{
	struct timespec time;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
	return (double)time.tv_sec + (double)time.tv_nsec * 1e-9 +
	       (child > 0 ? child_time(child) : 0);
}

void bench_meter_begin(struct bench_meter *meter, pid_t child)
{
	meter->own = own_time(child);
	meter->busy = busy_time();
	meter->begun = bench_now();
}

double bench_meter_end(const struct bench_meter *meter, pid_t child)
{
	double passed = (double)(bench_now() - meter->begun) * 1e-9;
	double others = busy_time() - meter->busy - (own_time(child) - meter->own);
	double share = others / (passed * (double)sysconf(_SC_NPROCESSORS_ONLN));

	return share > 0 ? share : 0;
}

void bench_quiet_await(double load, double patience)
{
	const struct timespec look = { .tv_nsec = 50000000 };
	uint64_t begun = bench_now();
	struct bench_meter meter;

	while ((double)(bench_now() - begun) * 1e-9 < patience) {
		bench_meter_begin(&meter, 0);
		(void)nanosleep(&look, NULL);
		if (bench_meter_end(&meter, 0) <= load)
			return;
	}
}

/* The value of a line "key : value" of a file in /proc; "" if there is none. */
static void proc_value(const char *path, const char *key, char *value, size_t size)
{
	char text[256];
	FILE *file = fopen(path, "r");

	value[0] = '\0';
	if (file == NULL)
		return;
	while (fgets(text, sizeof(text), file) != NULL) {
		char *colon = strchr(text, ':');

		if (strncmp(text, key, strlen(key)) != 0 || colon == NULL)
			continue;
		colon += strspn(colon, ": \t");
		colon[strcspn(colon, "\n")] = '\0';
		(void)snprintf(value, size, "%s", colon);
		break;
	}
	(void)fclose(file);
}

void bench_machine_describe(FILE *file, const char *prefix)
{
	char cpu[128], memory[64];
	struct utsname system;

	proc_value("/proc/cpuinfo", "model name", cpu, sizeof(cpu));
	proc_value("/proc/meminfo", "MemTotal", memory, sizeof(memory));
	if (uname(&system) != 0)
		memset(&system, 0, sizeof(system));
	(void)fprintf(file, "%smachine: %u CPUs (%s), memory %s, %s %s %s\n", prefix, cpus_count,
		cpu[0] != '\0' ? cpu : "unknown", memory, system.sysname, system.release,
		system.machine);
	(void)fprintf(file, "%scompiler: %s; weir %s\n", prefix, __VERSION__, weir_version());
}
