// SPDX-License-Identifier: BSD-2-Clause

// The LMAX Disruptor as a peer of weir-bench: one ring of preallocated events for
// all subscribers, each event with its bytes; a subscriber is a BatchEventProcessor
// that the ring's publishers wait for. spin, yield and default are the
// BusySpinWaitStrategy, the YieldingWaitStrategy and the BlockingWaitStrategy (the
// library's default). Java threads cannot be pinned without a native library, so
// these are not. bench/external.h has the protocol.
import com.lmax.disruptor.*;
import com.lmax.disruptor.dsl.ProducerType;
import java.io.*;
import java.lang.invoke.*;
import java.nio.ByteOrder;
import java.util.*;
import java.util.concurrent.*;

public class Disruptor {
    static final VarHandle LONG = MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.nativeOrder());
    static final long SEQUENCE = (1L << 56) - 1;

    static final class Event {
        final byte[] bytes;

        Event(int size) {
            bytes = new byte[size];
        }
    }

    static final class Job {
        String kind, mode;
        int publishers, subscribers, size, capacity, batch, loaned;
        long messages, interval;
        int step = 1; // messages of a batch

        Job(Scanner in) {
            kind = in.next();
            publishers = in.nextInt();
            subscribers = in.nextInt();
            size = in.nextInt();
            capacity = in.nextInt();
            mode = in.next();
            batch = in.nextInt();
            loaned = in.nextInt();
            in.nextInt(); // pinned
            messages = in.nextLong();
            interval = in.nextLong();
        }
    }

    static WaitStrategy waitStrategy(Job job) {
        switch (job.mode) {
            case "spin": return new BusySpinWaitStrategy();
            case "yield": return new YieldingWaitStrategy();
            default: return new BlockingWaitStrategy();
        }
    }

    static RingBuffer<Event> ring(Job job, ProducerType type) {
        return RingBuffer.create(type, () -> new Event(job.size), job.capacity, waitStrategy(job));
    }

    static void fail(String words) {
        System.out.println("fail " + words);
        System.out.flush();
        Runtime.getRuntime().halt(1);
    }

    static void stamp(byte[] bytes, long publisher, long sequence) {
        LONG.set(bytes, 0, publisher << 56 | sequence);
        if (bytes.length >= 16) LONG.set(bytes, bytes.length - 8, sequence);
    }

    // One subscriber of a throughput or paced run.
    static final class Taker implements EventHandler<Event> {
        final long total;
        final long[] next = new long[8];
        final long[] times; // since each was due, or null
        final CountDownLatch done;
        long count, ended;

        Taker(long total, CountDownLatch done, long[] times) {
            this.total = total;
            this.done = done;
            this.times = times;
        }

        @Override public void onEvent(Event event, long at, boolean isLast) {
            byte[] bytes = event.bytes;
            long head = (long) LONG.get(bytes, 0);
            int publisher = (int) (head >>> 56);
            long sequence = head & SEQUENCE;
            if (times != null) times[(int) count] = System.nanoTime() - (long) LONG.get(bytes, 8);
            if (publisher > 7 || sequence != next[publisher]
                    || (bytes.length >= 16 && (long) LONG.get(bytes, bytes.length - 8) != sequence))
                fail("lost, doubled, damaged or out of order");
            next[publisher]++;
            if (++count == total) {
                ended = System.nanoTime();
                done.countDown();
            }
        }
    }

    // Claims the next events, which waits when the ring is full, and publishes them.
    static void publish(RingBuffer<Event> ring, Job job, byte[] source, int publisher, long from, int count) {
        long high = ring.next(count);
        long low = high - count + 1;
        for (long at = low; at <= high; at++, from++) {
            byte[] bytes = ring.get(at).bytes;
            if (job.loaned == 1) {
                stamp(bytes, publisher, from);
            } else {
                stamp(source, publisher, from);
                System.arraycopy(source, 0, bytes, 0, source.length);
            }
        }
        ring.publish(low, high);
    }

    static void publishAll(RingBuffer<Event> ring, Job job, int publisher) {
        byte[] source = new byte[job.size];
        if (job.batch == 1) {
            for (long s = 0; s < job.messages; s++) {
                long at = ring.next();
                byte[] bytes = ring.get(at).bytes;
                if (job.loaned == 1) {
                    stamp(bytes, publisher, s);
                } else {
                    stamp(source, publisher, s);
                    System.arraycopy(source, 0, bytes, 0, source.length);
                }
                ring.publish(at);
            }
            return;
        }
        for (long s = 0; s < job.messages; s += job.batch)
            publish(ring, job, source, publisher, s, (int) Math.min(job.batch, job.messages - s));
    }

    static List<BatchEventProcessor<Event>> subscribe(RingBuffer<Event> ring, List<Taker> takers, List<Thread> threads) {
        List<BatchEventProcessor<Event>> processors = new ArrayList<>();
        for (Taker taker : takers) {
            BatchEventProcessor<Event> processor = new BatchEventProcessor<>(ring, ring.newBarrier(), taker);
            ring.addGatingSequences(processor.getSequence());
            processors.add(processor);
            Thread thread = new Thread(processor);
            thread.setDaemon(true);
            threads.add(thread);
            thread.start();
        }
        for (BatchEventProcessor<Event> processor : processors)
            while (!processor.isRunning()) Thread.onSpinWait();
        return processors;
    }

    static double throughput(Job job) throws Exception {
        RingBuffer<Event> ring = ring(job, job.publishers == 1 ? ProducerType.SINGLE : ProducerType.MULTI);
        CountDownLatch done = new CountDownLatch(job.subscribers);
        List<Taker> takers = new ArrayList<>();
        List<Thread> threads = new ArrayList<>();
        for (int i = 0; i < job.subscribers; i++) takers.add(new Taker(job.messages * job.publishers, done, null));
        List<BatchEventProcessor<Event>> processors = subscribe(ring, takers, threads);
        CyclicBarrier go = new CyclicBarrier(job.publishers);
        long[] begun = new long[job.publishers];
        Thread[] publishers = new Thread[job.publishers];
        for (int p = 0; p < job.publishers; p++) {
            final int index = p;
            publishers[p] = new Thread(() -> {
                try {
                    go.await();
                } catch (Exception e) {
                    fail(e.toString());
                }
                begun[index] = System.nanoTime();
                publishAll(ring, job, index);
            });
            publishers[p].start();
        }
        done.await();
        for (Thread thread : publishers) thread.join();
        for (BatchEventProcessor<Event> processor : processors) processor.halt();
        for (Thread thread : threads) thread.join();
        long first = Arrays.stream(begun).min().getAsLong();
        long last = takers.stream().mapToLong(t -> t.ended).max().getAsLong();
        return (double) job.messages * job.publishers * job.subscribers / (last - first) * 1e9;
    }

    static double[] percentiles(long[] times) {
        Arrays.sort(times);
        int n = times.length;
        return new double[] {times[n / 2], times[(int) (n * 99L / 100)], times[(int) (n * 999L / 1000)]};
    }

    // The near side takes from the way back itself, through a SequenceBarrier; the far
    // side is a BatchEventProcessor that publishes on the way back.
    static double[] roundTrip(Job job) throws Exception {
        RingBuffer<Event> out = ring(job, ProducerType.SINGLE), back = ring(job, ProducerType.SINGLE);
        BatchEventProcessor<Event> echo = new BatchEventProcessor<>(out, out.newBarrier(), (event, at, isLast) -> {
            long to = back.next();
            System.arraycopy(event.bytes, 0, back.get(to).bytes, 0, event.bytes.length);
            back.publish(to);
        });
        out.addGatingSequences(echo.getSequence());
        Thread thread = new Thread(echo);
        thread.setDaemon(true);
        thread.start();
        Sequence taken = new Sequence();
        back.addGatingSequences(taken);
        SequenceBarrier barrier = back.newBarrier();
        int trips = (int) job.messages;
        long[] times = new long[trips];
        for (int i = 0; i < trips; i++) {
            long begun = System.nanoTime();
            long to = out.next();
            LONG.set(out.get(to).bytes, 0, (long) i);
            out.publish(to);
            barrier.waitFor(i);
            long got = (long) LONG.get(back.get(i).bytes, 0);
            taken.set(i);
            times[i] = System.nanoTime() - begun;
            if (got != i) fail("round trip out of order");
        }
        echo.halt();
        thread.join();
        return percentiles(Arrays.copyOfRange(times, trips / 20, trips));
    }

    static double[] paced(Job job) throws Exception {
        RingBuffer<Event> ring = ring(job, ProducerType.SINGLE);
        CountDownLatch done = new CountDownLatch(1);
        long[] published = new long[(int) job.messages], delivered = new long[(int) job.messages];
        List<Thread> threads = new ArrayList<>();
        List<BatchEventProcessor<Event>> processors =
            subscribe(ring, List.of(new Taker(job.messages, done, delivered)), threads);
        long begun = System.nanoTime();
        for (int i = 0; i < published.length; i++) {
            long due = begun + i * job.interval;
            while (System.nanoTime() < due) Thread.onSpinWait();
            long at = ring.next();
            byte[] bytes = ring.get(at).bytes;
            stamp(bytes, 0, i);
            LONG.set(bytes, 8, due);
            ring.publish(at);
            published[i] = System.nanoTime() - due;
        }
        done.await();
        for (BatchEventProcessor<Event> processor : processors) processor.halt();
        for (Thread thread : threads) thread.join();
        double[] first = percentiles(published), second = percentiles(delivered);
        return new double[] {first[0], first[1], first[2], second[0], second[1], second[2]};
    }

    static double[] run(Job job) throws Exception {
        switch (job.kind) {
            case "throughput": return new double[] {throughput(job)};
            case "round_trip": return roundTrip(job);
            default: return paced(job);
        }
    }

    // The first run of each kind and shape of call waits for the compiler: a second of it.
    static final Set<String> warm = new HashSet<>();

    static void warmUp(Job job) throws Exception {
        if (!warm.add(job.kind + job.mode + (job.publishers > 1) + job.batch + job.loaned)) return;
        long messages = job.messages;
        job.messages = Math.min(messages, 20000);
        for (long end = System.nanoTime() + 1_000_000_000L; System.nanoTime() < end;) run(job);
        job.messages = messages;
    }

    public static void main(String[] arguments) throws Exception {
        Scanner in = new Scanner(System.in);
        while (in.hasNext()) {
            Job job = new Job(in);
            warmUp(job);
            StringBuilder answer = new StringBuilder("ok");
            for (double figure : run(job)) answer.append(String.format(Locale.ROOT, " %.6g", figure));
            System.out.println(answer);
            System.out.flush();
        }
        System.exit(0);
    }
}
