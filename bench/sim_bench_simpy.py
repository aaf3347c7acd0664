#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""What sim-bench measures, done by SimPy, of version 2 (python3-simpy) or 3
(python3-simpy3). Prints sleeps a second.

    sim_bench_simpy.py PROCESSES SLEEPS
"""
import sys
import time

try:
    from SimPy.Simulation import Process, activate, hold, initialize, simulate

    class Sleeper(Process):
        def run(self, duration, sleeps):
            for _ in range(sleeps):
                yield hold, self, duration

    def prepare(count, sleeps):
        initialize()
        for i in range(count):
            sleeper = Sleeper()
            activate(sleeper, sleeper.run(1.0 + i / count, sleeps // count))
        return lambda: simulate(until=1e18)

except ImportError:
    import simpy

    def sleeper(env, duration, sleeps):
        for _ in range(sleeps):
            yield env.timeout(duration)

    def prepare(count, sleeps):
        env = simpy.Environment()
        for i in range(count):
            env.process(sleeper(env, 1.0 + i / count, sleeps // count))
        return env.run


count, sleeps = int(sys.argv[1]), int(sys.argv[2])
run = prepare(count, sleeps)
begin = time.perf_counter()
run()
print(sleeps // count * count / (time.perf_counter() - begin))
