#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""lesson_model.py - the lesson's simulations by their rules alone, without weir.

It takes the options of examples/lesson and prints what that should print. The
rules, of which nothing here is an optimization:

1. Time is a float. A sleep ends at now + delay.
2. Events run in the order of (time, serial number of their scheduling). Those at
   the end of the run still do.
3. A process starts through an event, and runs until it sleeps or has to wait.
4. A receive that finds a message takes it, and its process continues through a new
   event at the same time.
5. A receive that finds none waits in line. A message that is published then goes
   to the first in line, whose process continues through a new event at the same
   time; it never enters the queue.
6. A publish runs to its end within its process's event.

    lesson_model.py NAME [OPTION]...
    lesson_model.py compare PROGRAM SEED COUNT NAME...

The second plays the runs NAME COUNT times with options drawn from SEED, by these rules
and by the program, and tells what differs.
"""

import argparse
import contextlib
import heapq
import io
import random
import subprocess
import sys


class Simulation:
    """Processes are generators. Each yields what it waits for: a float is a sleep,
    an object is asked to begin the wait, with the process as an argument."""

    def __init__(self):
        self.now = 0.0
        self.heap = []
        self.serial = 0
        self.queues = []

    def schedule(self, process, delay=0.0, value=None):
        self.serial += 1
        heapq.heappush(self.heap, (self.now + delay, self.serial, process, value))

    def run(self, until):
        while self.heap and self.heap[0][0] <= until:
            self.now, _, process, value = heapq.heappop(self.heap)
            try:
                wanted = process.send(value)
            except StopIteration:
                continue
            if isinstance(wanted, float):
                self.schedule(process, delay=wanted)
            else:
                wanted.wait(process)

    def say(self, text):
        print(f"[{self.now:.1f}] {text}")


class Queue:
    """Of at most `capacity` messages, None: any number. A full one refuses, or, with
    `evicts`, takes by priority and lets the last fall out."""

    def __init__(self, simulation, capacity=None, evicts=False):
        self.simulation = simulation
        self.capacity = capacity
        self.evicts = evicts
        self.messages = []
        self.line = []
        simulation.queues.append(self)

    def wait(self, process):
        if self.messages:
            self.simulation.schedule(process, value=self.messages.pop(0))
        else:
            self.line.append(process)

    def put(self, message):
        """Returns whether the message was taken."""
        if self.line:
            process = self.line[0]
            self.simulation.schedule(process, value=message)
            # One that selects stands in other lines as well.
            for queue in self.simulation.queues:
                queue.line = [other for other in queue.line if other is not process]
            return True
        if self.evicts:
            place = sum(1 for other in self.messages if other.priority <= message.priority)
            self.messages.insert(place, message)
            return len(self.messages) <= self.capacity or self.messages.pop() is not message
        if self.capacity is not None and len(self.messages) >= self.capacity:
            return False
        self.messages.append(message)
        return True


class FirstOf:
    """A receive on each queue, each a process of its own; the first to complete
    wins. The others are not withdrawn, and what they get is lost."""

    def __init__(self, simulation, queues):
        self.simulation = simulation
        self.queues = queues
        self.is_won = False

    def wait(self, process):
        for queue in self.queues:
            self.simulation.schedule(self.receive(process, queue))

    def receive(self, process, queue):
        message = yield queue
        if not self.is_won:
            self.is_won = True
            self.simulation.schedule(process, value=message)


class Select:
    """A receive on all queues at once, which takes from one: the first that has a
    message, else the first that gets one."""

    def __init__(self, queues):
        self.queues = queues

    def wait(self, process):
        for queue in self.queues:
            if queue.messages:
                queue.wait(process)
                return
        for queue in self.queues:
            queue.line.append(process)


class Message:
    def __init__(self, topic, text, time, priority=0):
        self.topic = topic
        self.text = text
        self.time = time
        self.priority = priority


# ---- simple ----


def simple(options):
    simulation = Simulation()
    topics = {"orders": [], "user-activity": []}
    counts = {"published": 0, "delivered": 0}
    received = {}

    def publisher(name, topic, interval):
        number = 0
        while True:
            number += 1
            message = Message(topic, f"Message {number} from {name}", simulation.now)
            simulation.say(f"{name} publishing: {message.text}")
            counts["published"] += 1
            for queue in topics[topic]:
                counts["delivered"] += queue.put(message)
            yield interval * options.interval

    def subscriber(name, queues, service):
        while True:
            if options.select:
                message = yield Select(queues)
            else:
                message = yield FirstOf(simulation, queues)
            received[name] += 1
            simulation.say(
                f"{name} received from '{message.topic}': {message.text} "
                f"(latency: {simulation.now - message.time:.1f})"
            )
            yield service * options.service

    simulation.schedule(publisher("OrderService", "orders", 2.0))
    simulation.schedule(publisher("UserService", "user-activity", 1.5))
    for name, names, service in (
        ("Inventory", ["orders"], 0.5),
        ("Email", ["orders"], 3.0),
        ("Analytics", ["orders", "user-activity"], 1.0),
    ):
        queues = [Queue(simulation) for _ in names]
        for topic, queue in zip(names, queues):
            topics[topic].append(queue)
        received[name] = 0
        simulation.schedule(subscriber(name, queues, service))
    simulation.run(options.until)
    print("\n=== Statistics ===")
    print(f"Messages published: {counts['published']}")
    print(f"Messages delivered: {counts['delivered']}")
    for name, count in received.items():
        print(f"{name} received: {count}")


# ---- backpressure ----


def backpressure(options):
    simulation = Simulation()
    queue = Queue(simulation, options.capacity)
    counts = {"published": 0, "dropped": 0, "received": 0}
    interval = options.interval

    def publisher():
        nonlocal interval
        while True:
            counts["published"] += 1
            text = f"Message {counts['published']} from FastPublisher"
            if queue.put(Message("events", text, simulation.now)):
                simulation.say(f"FastPublisher published: {text} (interval: {interval:.1f}s)")
                interval = max(options.interval, interval / 1.5)
            else:
                counts["dropped"] += 1
                interval *= options.multiplier
                simulation.say(f"FastPublisher BACKPRESSURE - slowing to {interval:.1f}s interval")
            yield interval

    def subscriber():
        while True:
            message = yield queue
            counts["received"] += 1
            simulation.say(
                f"SlowSubscriber received from '{message.topic}': {message.text} "
                f"(latency: {simulation.now - message.time:.1f})"
            )
            yield options.service

    simulation.schedule(publisher())
    simulation.schedule(subscriber())
    simulation.run(options.until)
    print("\n=== Backpressure Statistics ===")
    print(f"Messages published: {counts['published']}")
    print(f"Messages delivered: {counts['published'] - counts['dropped']}")
    print(f"Messages dropped: {counts['dropped']}")
    print(f"Backpressure events: {counts['dropped']}")
    print(f"Final interval: {interval:.1f}s")
    print(f"Messages received: {counts['received']}")


# ---- priority ----


def priority(options):
    simulation = Simulation()
    queue = Queue(simulation, options.capacity, evicts=True)
    counts = {"published": 0, "delivered": 0}
    received = [0] * 10
    generator = random.Random(options.seed)

    def publisher():
        while True:
            counts["published"] += 1
            if generator.random() < 0.3:
                level = generator.randint(0, 4)
            else:
                level = generator.randint(5, 9)
            text = f"Msg{counts['published']}"
            counts["delivered"] += queue.put(Message("events", text, simulation.now, level))
            simulation.say(f"EventGen: Published priority {level} {text}")
            yield options.interval

    def subscriber():
        while True:
            message = yield queue
            received[message.priority] += 1
            simulation.say(f"Processor: Processing priority {message.priority} {message.text}")
            yield options.service

    simulation.schedule(publisher())
    simulation.schedule(subscriber())
    simulation.run(options.until)
    print("\n=== Priority Queue Statistics ===")
    print(f"Messages published: {counts['published']}")
    print(f"Messages delivered: {counts['delivered']}")
    print(f"Messages received: {sum(received)}")
    print("\nReceived by priority:")
    for level, count in enumerate(received):
        if count > 0:
            print(f"  Priority {level}: {count}")


# ---- ack ----


def ack(options):
    simulation = Simulation()
    queue = Queue(simulation)
    counts = {"published": 0, "received": 0, "acknowledged": 0}
    pending = set()
    generator = random.Random(options.seed)

    def check(message):
        """Once, 5 seconds after the publish."""
        if message.ack_id in pending:
            queue.put(message)
        return
        yield

    def publisher():
        while True:
            message = Message("orders", None, simulation.now)
            message.ack_id = counts["published"]
            counts["published"] += 1
            message.text = f"Message {counts['published']} from OrderService"
            simulation.say(f"OrderService: Publishing {message.text}")
            pending.add(message.ack_id)
            queue.put(message)
            simulation.schedule(check(message), delay=5.0)
            yield options.interval

    def subscriber():
        while True:
            message = yield queue
            counts["received"] += 1
            simulation.say(f"Processor: Received {message.text} (ack_id {message.ack_id})")
            yield options.service
            if generator.random() > 0.3:
                if message.ack_id in pending:
                    pending.remove(message.ack_id)
                    counts["acknowledged"] += 1
                simulation.say(f"Processor: Acknowledged {message.text}")
            else:
                simulation.say(
                    f"Processor: FAILED to process {message.text} (will be redelivered)"
                )

    simulation.schedule(publisher())
    simulation.schedule(subscriber())
    simulation.run(options.until)
    print("\n=== Acknowledgment Statistics ===")
    print(f"Messages published: {counts['published']}")
    print(f"Messages received: {counts['received']}")
    print(f"Messages acknowledged: {counts['acknowledged']}")
    print(f"Pending acks: {len(pending)}")


# ---- Options ----

RUNS = {
    "simple": (simple, {"until": 20.0, "interval": 1.0, "service": 1.0}),
    "backpressure": (
        backpressure,
        {"until": 30.0, "interval": 0.5, "service": 2.0, "capacity": 5, "multiplier": 2.0},
    ),
    "priority": (priority, {"until": 20.0, "interval": 0.3, "service": 1.5, "capacity": 5}),
    "ack": (ack, {"until": 25.0, "interval": 3.0, "service": 1.0}),
}


def time_like(generator, low, high):
    """On a grid that gives many events the same instant, or on none."""
    kind = generator.randrange(5)
    if kind == 0:
        return generator.uniform(low, high)
    if kind == 1:
        return round(generator.uniform(low, high), 1)
    if kind == 2:
        return round(generator.uniform(low, high), 2)
    return max(low, round(generator.uniform(low, high) * 4) / 4)


def variation(generator, name):
    options = {
        "until": time_like(generator, 1, 60),
        "interval": time_like(generator, 0.1, 4),
        "service": time_like(generator, 0.1, 4),
    }
    if generator.random() < 0.2:
        options["service"] = options["interval"]
    elif generator.random() < 0.2:
        options["service"] = options["interval"] * generator.randint(2, 6)
    elif generator.random() < 0.05:
        options["service"] = 0.0
    if name == "ack":
        # No message may wait for 5 seconds: then the lesson queues it twice, and weir
        # does not.
        options["service"] = min(options["service"], options["interval"] / 3, 1.0)
    if name == "simple":
        if generator.random() < 0.3:
            options["select"] = None
    elif name != "ack":
        options["capacity"] = generator.choice([1, 1, 2, 3, 5, 10, 50])
    if name == "backpressure":
        options["multiplier"] = generator.choice([1, 1.1, 1.5, 2, 3, time_like(generator, 1, 4)])
    if name in ("priority", "ack"):
        options["seed"] = generator.getrandbits(generator.choice([1, 8, 31, 32, 33, 64, 65, 200, 2000]))
    if name == "ack":
        return options
    # An option left out is the run's default.
    return {key: value for key, value in options.items() if generator.random() < 0.8}


def play(words):
    run, defaults = RUNS[words[0]]
    parser = argparse.ArgumentParser()
    for key, value in defaults.items():
        parser.add_argument(f"--{key}", type=type(value), default=value)
    parser.add_argument("--seed", type=int, default=192837)
    parser.add_argument("--select", action="store_true")
    run(parser.parse_args(words[1:]))


def compare(program, seed, count, names):
    """Returns how many runs differ."""
    generator = random.Random(seed)
    differ = 0
    for name in names:
        for _ in range(count):
            words = [name]
            for key, value in variation(generator, name).items():
                words.append(f"--{key}" if value is None else f"--{key}={value!r}")
            expected = io.StringIO()
            with contextlib.redirect_stdout(expected):
                play(words)
            found = subprocess.run(
                [program, *words], stdout=subprocess.PIPE, timeout=60, check=False
            )
            if found.returncode != 0 or found.stdout != expected.getvalue().encode():
                differ += 1
                print("differs:", *words)
    return differ


if __name__ == "__main__":
    if sys.argv[1] == "compare":
        _, _, PROGRAM, SEED, COUNT, *NAMES = sys.argv
        sys.exit(compare(PROGRAM, int(SEED), int(COUNT), NAMES) > 0)
    play(sys.argv[1:])
