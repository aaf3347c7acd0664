// SPDX-License-Identifier: BSD-2-Clause

//! crossbeam_channel::bounded: one channel for each subscriber, on threads.
use crate::{check, fail, percentiles, pin, Job, Message, Pool};
use crossbeam_channel::{bounded, Receiver, Sender, TryRecvError, TrySendError};
use std::sync::{Arc, Barrier};
use std::thread::{scope, ScopedJoinHandle};
use std::time::Instant;

fn send(to: &Sender<Message>, mut message: Message, is_spinning: bool) {
    if !is_spinning {
        if to.send(message).is_err() {
            fail("disconnected");
        }
        return;
    }
    while let Err(TrySendError::Full(back)) = to.try_send(message) {
        message = back;
        std::hint::spin_loop();
    }
}

fn receive(from: &Receiver<Message>, is_spinning: bool) -> Message {
    if !is_spinning {
        return from.recv().unwrap_or_else(|_| fail("disconnected"));
    }
    loop {
        match from.try_recv() {
            Ok(message) => return message,
            Err(TryRecvError::Empty) => std::hint::spin_loop(),
            Err(TryRecvError::Disconnected) => fail("disconnected"),
        }
    }
}

fn join<T>(handle: ScopedJoinHandle<T>) -> T {
    handle.join().unwrap_or_else(|_| fail("a thread died"))
}

fn throughput(job: &Job) -> f64 {
    let channels: Vec<_> = (0..job.subscribers).map(|_| bounded::<Message>(job.capacity)).collect();
    let barrier = Arc::new(Barrier::new(job.publishers + job.subscribers));
    let total = job.messages * job.publishers as u64;
    scope(|threads| {
        let mut takers = vec![];
        for (_, from) in &channels {
            let barrier = barrier.clone();
            takers.push(threads.spawn(move || {
                pin(job.is_pinned.then_some(1));
                let mut next = [0; 8];
                barrier.wait();
                for _ in 0..total {
                    check(receive(from, job.is_spinning), job.size, &mut next);
                }
                Instant::now()
            }));
        }
        let mut publishers = vec![];
        for index in 0..job.publishers {
            let to: Vec<_> = channels.iter().map(|c| c.0.clone()).collect();
            let barrier = barrier.clone();
            publishers.push(threads.spawn(move || {
                pin(job.is_pinned.then_some(0));
                let mut pool = Pool::new(job);
                barrier.wait();
                let begun = Instant::now();
                for sequence in 0..job.messages {
                    let message = pool.message(job, index, sequence);
                    for one in &to {
                        send(one, message, job.is_spinning);
                    }
                }
                (begun, pool)
            }));
        }
        let ended = takers.into_iter().map(join).max();
        let pools: Vec<_> = publishers.into_iter().map(join).collect();
        let begun = pools.iter().map(|p| p.0).min();
        let time = ended.zip(begun).map_or(1.0, |(e, b)| (e - b).as_secs_f64());
        (total * job.subscribers as u64) as f64 / time
    })
}

fn round_trip(job: &Job) -> Vec<f64> {
    let (out_to, out_from) = bounded::<Message>(job.capacity);
    let (back_to, back_from) = bounded::<Message>(job.capacity);
    let barrier = Barrier::new(2);
    scope(|threads| {
        let echo = threads.spawn(|| {
            pin(Some(1));
            let mut pool = Pool::new(job);
            barrier.wait();
            for _ in 0..job.messages {
                let message = receive(&out_from, job.is_spinning);
                let back = pool.take();
                unsafe { std::ptr::copy_nonoverlapping(message.0, back.0, job.size) };
                send(&back_to, back, job.is_spinning);
            }
            pool
        });
        let ping = threads.spawn(|| {
            pin(Some(0));
            let mut pool = Pool::new(job);
            let mut times = Vec::with_capacity(job.messages as usize);
            barrier.wait();
            for i in 0..job.messages {
                let begun = Instant::now();
                let message = pool.message(job, 0, i);
                send(&out_to, message, job.is_spinning);
                let got = receive(&back_from, job.is_spinning).word(0);
                times.push(begun.elapsed().as_nanos() as u64);
                if got != i {
                    fail("round trip out of order");
                }
            }
            (times, pool)
        });
        let (mut times, _pool) = join(ping);
        let _echo_pool = join(echo);
        let warm = times.len() / 20;
        percentiles(&mut times[warm..])
    })
}

fn paced(job: &Job) -> Vec<f64> {
    let (to, from) = bounded::<Message>(job.capacity);
    let barrier = Barrier::new(2);
    let zero = Instant::now();
    let now = || zero.elapsed().as_nanos() as u64;
    scope(|threads| {
        let taker = threads.spawn(|| {
            pin(Some(1));
            let mut next = [0; 8];
            let mut times = Vec::with_capacity(job.messages as usize);
            barrier.wait();
            for _ in 0..job.messages {
                let message = receive(&from, job.is_spinning);
                times.push(now() - message.word(8));
                check(message, job.size, &mut next);
            }
            times
        });
        let publisher = threads.spawn(|| {
            pin(Some(0));
            let mut pool = Pool::new(job);
            let mut times = Vec::with_capacity(job.messages as usize);
            barrier.wait();
            let begun = now();
            for i in 0..job.messages {
                let due = begun + i * job.interval;
                while now() < due {
                    std::hint::spin_loop();
                }
                let message = pool.message(job, 0, i);
                message.set_word(8, due);
                send(&to, message, job.is_spinning);
                times.push(now() - due);
            }
            (times, pool)
        });
        let mut delivered = join(taker);
        let (mut published, _pool) = join(publisher);
        [percentiles(&mut published), percentiles(&mut delivered)].concat()
    })
}

pub fn run(job: &Job) -> Vec<f64> {
    match job.kind.as_str() {
        "throughput" => vec![throughput(job)],
        "round_trip" => round_trip(job),
        _ => paced(job),
    }
}
