// SPDX-License-Identifier: BSD-2-Clause

//! Rust's peers of weir-bench, by the name given as argument:
//! - crossbeam: crossbeam_channel::bounded, one channel for each subscriber, on threads;
//! - tokio: tokio::sync::broadcast, one channel for all, on tasks of a runtime with two
//!   workers. It overwrites what a slow subscriber has not read, so its publisher yields
//!   until the window (the capacity) lets it go on.
//! Messages are addresses in a preallocated pool. bench/external.h has the protocol.
mod crossbeam;
mod tokio_broadcast;

use std::io::{BufRead, Write};

pub struct Job {
    pub kind: String,
    pub publishers: usize,
    pub subscribers: usize,
    pub size: usize,
    pub capacity: usize,
    pub is_spinning: bool,
    pub is_loaned: bool,
    pub is_pinned: bool,
    pub messages: u64,
    pub interval: u64,
}

impl Job {
    fn read(line: &str) -> Option<Job> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |i: usize| -> Option<u64> { words.get(i)?.parse().ok() };
        Some(Job {
            kind: words.first()?.to_string(),
            publishers: number(1)? as usize,
            subscribers: number(2)? as usize,
            size: number(3)? as usize,
            capacity: number(4)? as usize,
            is_spinning: *words.get(5)? == "spin",
            is_loaned: number(7)? == 1,
            is_pinned: number(8)? == 1,
            messages: number(9)?,
            interval: number(10)?,
        })
    }
}

pub fn fail(words: &str) -> ! {
    println!("fail {words}");
    std::process::exit(1);
}

extern "C" {
    fn sched_setaffinity(pid: i32, size: usize, mask: *const u64) -> i32;
}

/// Puts the calling thread on a CPU.
pub fn pin(cpu: Option<usize>) {
    let mask = [cpu.map_or(!0u64, |c| 1 << c), 0];
    unsafe { sched_setaffinity(0, 16, mask.as_ptr()) };
}

/// The address of a message in a pool that outlives all who have it.
#[derive(Clone, Copy)]
pub struct Message(pub *mut u8);
unsafe impl Send for Message {}

impl Message {
    pub fn word(self, offset: usize) -> u64 {
        unsafe { (self.0.add(offset) as *const u64).read_unaligned() }
    }
    pub fn set_word(self, offset: usize, word: u64) {
        unsafe { (self.0.add(offset) as *mut u64).write_unaligned(word) }
    }
    fn stamp(self, size: usize, publisher: usize, sequence: u64) {
        self.set_word(0, (publisher as u64) << 56 | sequence);
        if size >= 16 {
            self.set_word(size - 8, sequence);
        }
    }
}

/// 4 x capacity slots in turn, and the bytes that are copied into them.
pub struct Pool {
    memory: Vec<u8>,
    source: Vec<u8>,
    first: usize,
    stride: usize,
    mask: u64,
    next: u64,
}

impl Pool {
    pub fn new(job: &Job) -> Pool {
        let stride = (job.size + 63) & !63;
        let memory = vec![1; job.capacity * 4 * stride + 64];
        let first = memory.as_ptr().align_offset(64);
        Pool { memory, source: vec![7; job.size], first, stride, mask: job.capacity as u64 * 4 - 1, next: 0 }
    }
    pub fn take(&mut self) -> Message {
        let at = self.first + (self.next & self.mask) as usize * self.stride;
        self.next += 1;
        Message(unsafe { self.memory.as_mut_ptr().add(at) })
    }
    pub fn message(&mut self, job: &Job, publisher: usize, sequence: u64) -> Message {
        let message = self.take();
        if job.is_loaned {
            message.stamp(job.size, publisher, sequence);
        } else {
            Message(self.source.as_mut_ptr()).stamp(job.size, publisher, sequence);
            unsafe { std::ptr::copy_nonoverlapping(self.source.as_ptr(), message.0, job.size) };
        }
        message
    }
}

/// What a subscriber expects next of each publisher; returns the publisher.
pub fn check(message: Message, size: usize, next: &mut [u64; 8]) -> usize {
    let head = message.word(0);
    let (publisher, sequence) = ((head >> 56) as usize, head & ((1 << 56) - 1));
    if publisher > 7 || sequence != next[publisher] || (size >= 16 && message.word(size - 8) != sequence) {
        fail("lost, doubled, damaged or out of order");
    }
    next[publisher] += 1;
    publisher
}

pub fn percentiles(times: &mut [u64]) -> Vec<f64> {
    times.sort_unstable();
    let n = times.len();
    vec![times[n / 2] as f64, times[n * 99 / 100] as f64, times[n * 999 / 1000] as f64]
}

fn main() {
    let name = std::env::args().nth(1).unwrap_or_default();
    let mut tokio = tokio_broadcast::Peer::new();
    for line in std::io::stdin().lock().lines() {
        let line = line.unwrap_or_default();
        let job = Job::read(&line).unwrap_or_else(|| fail("not a job"));
        let figures = if name == "tokio" { tokio.run(&job) } else { crossbeam::run(&job) };
        let words: Vec<String> = figures.iter().map(|f| format!("{f:.0}")).collect();
        println!("ok {}", words.join(" "));
        std::io::stdout().flush().unwrap_or_default();
    }
}
