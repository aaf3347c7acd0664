// SPDX-License-Identifier: BSD-2-Clause

//! tokio::sync::broadcast: one channel for all subscribers, on tasks.
use crate::{check, fail, percentiles, Job, Message, Pool};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::Instant;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::broadcast::{self, Receiver};

pub struct Peer {
    runtime: Option<Runtime>,
}

/// What one subscriber has taken of one publisher, on a line of its own.
#[repr(align(64))]
struct Passed(AtomicU64);

/// The job as tasks need it: owned.
#[derive(Clone)]
struct Shared {
    job: Arc<Job>,
    passed: Arc<Vec<Passed>>,
}

impl Shared {
    fn new(job: &Job) -> Shared {
        let job = Job { kind: job.kind.clone(), ..*job };
        let passed = (0..job.subscribers * job.publishers).map(|_| Passed(AtomicU64::new(0))).collect();
        Shared { job: Arc::new(job), passed: Arc::new(passed) }
    }
    fn pass(&self, subscriber: usize, publisher: usize, count: u64) {
        self.passed[subscriber * self.job.publishers + publisher].0.store(count, Ordering::Release);
    }
    fn passed_least(&self, publisher: usize) -> u64 {
        let counts = (0..self.job.subscribers).map(|s| &self.passed[s * self.job.publishers + publisher].0);
        counts.map(|c| c.load(Ordering::Acquire)).min().unwrap_or(0)
    }
    async fn window_wait(&self, publisher: usize, sequence: u64, seen: &mut u64) {
        let window = (self.job.capacity / self.job.publishers) as u64;
        while sequence - *seen >= window {
            *seen = self.passed_least(publisher);
            if sequence - *seen >= window {
                tokio::task::yield_now().await;
            }
        }
    }
}

async fn receive(from: &mut Receiver<Message>) -> Message {
    match from.recv().await {
        Ok(message) => message,
        Err(error) => fail(&error.to_string()),
    }
}

async fn joined<T>(handle: tokio::task::JoinHandle<T>) -> T {
    match handle.await {
        Ok(result) => result,
        Err(error) => fail(&error.to_string()),
    }
}

fn throughput(runtime: &Runtime, job: &Job) -> f64 {
    let (to, first) = broadcast::channel::<Message>(job.capacity);
    let shared = Shared::new(job);
    let mut takers = vec![];
    for subscriber in 0..job.subscribers {
        let (mut from, shared) = (to.subscribe(), shared.clone());
        takers.push(runtime.spawn(async move {
            let mut next = [0u64; 8];
            for _ in 0..shared.job.messages * shared.job.publishers as u64 {
                let message = receive(&mut from).await;
                let publisher = check(message, shared.job.size, &mut next);
                shared.pass(subscriber, publisher, next[publisher]);
            }
            Instant::now()
        }));
    }
    drop(first);
    let mut publishers = vec![];
    for index in 0..job.publishers {
        let (to, shared) = (to.clone(), shared.clone());
        publishers.push(runtime.spawn(async move {
            let mut pool = Pool::new(&shared.job);
            let mut seen = 0;
            let begun = Instant::now();
            for sequence in 0..shared.job.messages {
                shared.window_wait(index, sequence, &mut seen).await;
                let _ = to.send(pool.message(&shared.job, index, sequence));
            }
            (begun, pool)
        }));
    }
    let time = runtime.block_on(async move {
        let (mut ended, mut begun, mut pools) = (vec![], vec![], vec![]);
        for taker in takers {
            ended.push(joined(taker).await);
        }
        for publisher in publishers {
            let (at, pool) = joined(publisher).await;
            begun.push(at);
            pools.push(pool);
        }
        ended.into_iter().max().zip(begun.into_iter().min()).map_or(1.0, |(e, b)| (e - b).as_secs_f64())
    });
    (job.messages as usize * job.publishers * job.subscribers) as f64 / time
}

fn round_trip(runtime: &Runtime, job: &Job) -> Vec<f64> {
    let (out_to, mut out_from) = broadcast::channel::<Message>(job.capacity);
    let (back_to, mut back_from) = broadcast::channel::<Message>(job.capacity);
    let (near, far) = (Shared::new(job), Shared::new(job));
    let echo = runtime.spawn(async move {
        let mut pool = Pool::new(&far.job);
        for _ in 0..far.job.messages {
            let word = receive(&mut out_from).await.word(0);
            let back = pool.message(&far.job, 0, 0);
            back.set_word(0, word);
            let _ = back_to.send(back);
        }
        pool
    });
    let ping = runtime.spawn(async move {
        let mut pool = Pool::new(&near.job);
        let mut times = Vec::with_capacity(near.job.messages as usize);
        for i in 0..near.job.messages {
            let begun = Instant::now();
            let _ = out_to.send(pool.message(&near.job, 0, i));
            let got = receive(&mut back_from).await.word(0);
            times.push(begun.elapsed().as_nanos() as u64);
            if got != i {
                fail("round trip out of order");
            }
        }
        (times, pool)
    });
    runtime.block_on(async move {
        let (mut times, _pool) = joined(ping).await;
        let _echo_pool = joined(echo).await;
        let warm = times.len() / 20;
        percentiles(&mut times[warm..])
    })
}

fn paced(runtime: &Runtime, job: &Job) -> Vec<f64> {
    let (to, mut from) = broadcast::channel::<Message>(job.capacity);
    let shared = Shared::new(job);
    let taking = shared.clone();
    let zero = Instant::now();
    let taker = runtime.spawn(async move {
        let mut next = [0u64; 8];
        let mut times = Vec::with_capacity(taking.job.messages as usize);
        for i in 0..taking.job.messages {
            let message = receive(&mut from).await;
            times.push(zero.elapsed().as_nanos() as u64 - message.word(8));
            check(message, taking.job.size, &mut next);
            taking.pass(0, 0, i + 1);
        }
        times
    });
    let publisher = runtime.spawn(async move {
        let mut pool = Pool::new(&shared.job);
        let mut times = Vec::with_capacity(shared.job.messages as usize);
        let mut seen = 0;
        let begun = zero.elapsed().as_nanos() as u64;
        for i in 0..shared.job.messages {
            let due = begun + i * shared.job.interval;
            while (zero.elapsed().as_nanos() as u64) < due {
                std::hint::spin_loop();
            }
            shared.window_wait(0, i, &mut seen).await;
            let message = pool.message(&shared.job, 0, i);
            message.set_word(8, due);
            let _ = to.send(message);
            times.push(zero.elapsed().as_nanos() as u64 - due);
        }
        (times, pool)
    });
    runtime.block_on(async move {
        let mut delivered = joined(taker).await;
        let (mut published, _pool) = joined(publisher).await;
        [percentiles(&mut published), percentiles(&mut delivered)].concat()
    })
}

impl Peer {
    pub fn new() -> Peer {
        Peer { runtime: None }
    }
    pub fn run(&mut self, job: &Job) -> Vec<f64> {
        let runtime = self.runtime.get_or_insert_with(|| {
            let built = Builder::new_multi_thread().worker_threads(2).build();
            built.unwrap_or_else(|error| fail(&error.to_string()))
        });
        match job.kind.as_str() {
            "throughput" => vec![throughput(runtime, job)],
            "round_trip" => round_trip(runtime, job),
            _ => paced(runtime, job),
        }
    }
}
