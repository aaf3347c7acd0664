/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Machine: what it is, and in what state it was while something was measured.
 *
 * A virtual machine's CPUs move nearer to each other and farther apart while it
 * runs, and other programs take their share; everything that two busy threads do
 * together moves with both, by more than most peers differ.  So each repeat
 * carries a probe of the distance and the load by others, and only repeats that
 * were taken near and quiet are compared.
 */
#ifndef BENCH_MACHINE_H
#define BENCH_MACHINE_H

#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

/* Looks at the CPUs that this process may use.  First of all calls. */
void bench_machine_open(void);

/* What one cache line takes from the first CPU to the second, one way, in ns:
 * the mean of 20,000 bounces, 1 to 10 ms of work. */
double bench_probe(void);

/* Measures how much of the CPUs others used: the kernel's, the host's and other
 * programs' time count as theirs; that of `child`, if not 0, as ours. */
struct bench_meter {
	uint64_t begun;
	double busy;
	double own;
};
void bench_meter_begin(struct bench_meter *meter, pid_t child);
/* A share of all CPUs, 0 to 1; exact to about 20 ms of CPU time. */
double bench_meter_end(const struct bench_meter *meter, pid_t child);

/* Waits until others use at most `load` of the CPUs, looking for a 20th of a second
 * at a time, up to `patience` seconds; 0: does not look at all. */
void bench_quiet_await(double load, double patience);

/* One line for each: CPU, kernel, compiler, versions. `prefix` begins each. */
void bench_machine_describe(FILE *file, const char *prefix);

#endif
