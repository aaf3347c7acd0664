// SPDX-License-Identifier: BSD-2-Clause

// Go channels as a peer of weir-bench: one buffered channel for each subscriber,
// carrying slices of a preallocated pool. "go" runs plain goroutines, "go_threads"
// locks each to a thread of its own; with "go_shared" all subscribers take from one
// channel, each message goes to one of them, and the channel carries it by value.
// bench/external.h has the protocol.
package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"os"
	"runtime"
	"sort"
	"sync"
	"time"
)

type job struct {
	kind                                string
	publishers, subscribers, size       int
	capacity                            int
	mode                                string
	batch, loaned, pinned               int
	messages                            int
	interval                            int64
}

var locked bool

func onThread() func() {
	if !locked {
		return func() {}
	}
	runtime.LockOSThread()
	return runtime.UnlockOSThread
}

func fail(words string) {
	fmt.Println("fail", words)
	os.Exit(1)
}

type pool struct {
	slots [][]byte
	next  int
}

func newPool(capacity, size int) *pool {
	memory := make([]byte, 4*capacity*size)
	p := &pool{slots: make([][]byte, 4*capacity)}
	for i := range p.slots {
		p.slots[i] = memory[i*size : (i+1)*size : (i+1)*size]
	}
	return p
}

func (p *pool) take() []byte {
	slot := p.slots[p.next&(len(p.slots)-1)]
	p.next++
	return slot
}

func stamp(m []byte, publisher, sequence uint64) {
	binary.LittleEndian.PutUint64(m, publisher<<56|sequence)
	if len(m) >= 16 {
		binary.LittleEndian.PutUint64(m[len(m)-8:], sequence)
	}
}

func check(m []byte, next *[8]uint64) {
	head := binary.LittleEndian.Uint64(m)
	publisher, sequence := head>>56, head&(1<<56-1)
	if publisher > 7 || sequence != next[publisher] ||
		(len(m) >= 16 && binary.LittleEndian.Uint64(m[len(m)-8:]) != sequence) {
		fail("lost, doubled, damaged or out of order")
	}
	next[publisher]++
}

func channelsOf(j *job) []chan []byte {
	channels := make([]chan []byte, j.subscribers)
	for i := range channels {
		channels[i] = make(chan []byte, j.capacity)
	}
	return channels
}

func throughput(j *job) float64 {
	channels := channelsOf(j)
	var ready, done sync.WaitGroup
	start := make(chan struct{})
	begun := make([]time.Time, j.publishers)
	ended := make([]time.Time, j.subscribers)
	ready.Add(j.publishers + j.subscribers)
	done.Add(j.subscribers)
	for i := range channels {
		go func(i int) {
			defer onThread()()
			defer done.Done()
			var next [8]uint64
			in := channels[i]
			ready.Done()
			for k := 0; k < j.messages*j.publishers; k++ {
				check(<-in, &next)
			}
			ended[i] = time.Now()
		}(i)
	}
	for p := 0; p < j.publishers; p++ {
		go func(p int) {
			defer onThread()()
			slots := newPool(j.capacity, j.size)
			source := make([]byte, j.size)
			ready.Done()
			<-start
			begun[p] = time.Now()
			for s := 0; s < j.messages; s++ {
				m := slots.take()
				if j.loaned == 1 {
					stamp(m, uint64(p), uint64(s))
				} else {
					stamp(source, uint64(p), uint64(s))
					copy(m, source)
				}
				for _, c := range channels {
					c <- m
				}
			}
		}(p)
	}
	ready.Wait()
	close(start)
	done.Wait()
	first, last := begun[0], ended[0]
	for _, t := range begun {
		if t.Before(first) {
			first = t
		}
	}
	for _, t := range ended {
		if t.After(last) {
			last = t
		}
	}
	return float64(j.messages*j.publishers*j.subscribers) / last.Sub(first).Seconds()
}

type message [64]byte

// What one subscriber of a shared channel got.
type taken struct {
	count, sum, hash, next uint64
}

func hashOf(number uint64) uint64 {
	number = (number + 1) * 0x9e3779b97f4a7c15
	return (number ^ number>>29) * 0xbf58476d1ce4e5b9
}

func (t *taken) note(m *message) {
	number := binary.LittleEndian.Uint64(m[:])
	if number < t.next {
		fail("doubled or out of order")
	}
	t.next = number + 1
	t.count++
	t.sum += number
	t.hash += hashOf(number)
}

// One publisher; the messages in a second.
func shared(j *job) float64 {
	channel := make(chan message, j.capacity)
	all := make([]taken, j.subscribers)
	var ready, done sync.WaitGroup
	ready.Add(j.subscribers)
	done.Add(j.subscribers)
	for i := range all {
		go func(result *taken) {
			defer done.Done()
			var got taken
			ready.Done()
			for m := range channel {
				got.note(&m)
			}
			*result = got
		}(&all[i])
	}
	ready.Wait()
	var total taken
	begun := time.Now()
	for s := 0; s < j.messages; s++ {
		var m message
		binary.LittleEndian.PutUint64(m[:], uint64(s))
		channel <- m
		total.note(&m)
	}
	close(channel)
	done.Wait()
	seconds := time.Since(begun).Seconds()
	for _, t := range all {
		total.count -= t.count
		total.sum -= t.sum
		total.hash -= t.hash
	}
	if total.count != 0 || total.sum != 0 || total.hash != 0 {
		fail("lost or doubled")
	}
	return float64(j.messages) / seconds
}

func percentiles(times []int64) []float64 {
	sort.Slice(times, func(a, b int) bool { return times[a] < times[b] })
	n := len(times)
	return []float64{float64(times[n/2]), float64(times[n*99/100]), float64(times[n*999/1000])}
}

func roundTrip(j *job) []float64 {
	out, back := make(chan []byte, j.capacity), make(chan []byte, j.capacity)
	times := make([]int64, j.messages)
	var done sync.WaitGroup
	done.Add(2)
	go func() {
		defer onThread()()
		defer done.Done()
		slots := newPool(j.capacity, j.size)
		for range times {
			m := slots.take()
			copy(m, <-out)
			back <- m
		}
	}()
	go func() {
		defer onThread()()
		defer done.Done()
		slots := newPool(j.capacity, j.size)
		for i := range times {
			begun := time.Now()
			m := slots.take()
			binary.LittleEndian.PutUint64(m, uint64(i))
			out <- m
			m = <-back
			times[i] = int64(time.Since(begun))
			if binary.LittleEndian.Uint64(m) != uint64(i) {
				fail("round trip out of order")
			}
		}
	}()
	done.Wait()
	return percentiles(times[len(times)/20:])
}

func paced(j *job) []float64 {
	channel := make(chan []byte, j.capacity)
	published, delivered := make([]int64, j.messages), make([]int64, j.messages)
	zero := time.Now()
	var done sync.WaitGroup
	done.Add(2)
	go func() {
		defer onThread()()
		defer done.Done()
		var next [8]uint64
		for i := range delivered {
			m := <-channel
			delivered[i] = int64(time.Since(zero)) - int64(binary.LittleEndian.Uint64(m[8:]))
			check(m, &next)
		}
	}()
	go func() {
		defer onThread()()
		defer done.Done()
		slots := newPool(j.capacity, j.size)
		begun := int64(time.Since(zero))
		for i := range published {
			due := begun + int64(i)*j.interval
			for int64(time.Since(zero)) < due {
			}
			m := slots.take()
			stamp(m, 0, uint64(i))
			binary.LittleEndian.PutUint64(m[8:], uint64(due))
			channel <- m
			published[i] = int64(time.Since(zero)) - due
		}
	}()
	done.Wait()
	return append(percentiles(published), percentiles(delivered)...)
}

func main() {
	locked = len(os.Args) > 1 && os.Args[1] == "go_threads"
	isShared := len(os.Args) > 1 && os.Args[1] == "go_shared"
	input := bufio.NewReader(os.Stdin)
	for {
		var j job
		if _, err := fmt.Fscan(input, &j.kind, &j.publishers, &j.subscribers, &j.size,
			&j.capacity, &j.mode, &j.batch, &j.loaned, &j.pinned, &j.messages,
			&j.interval); err != nil {
			return
		}
		var figures []float64
		switch {
		case isShared:
			figures = []float64{shared(&j)}
		case j.kind == "throughput":
			figures = []float64{throughput(&j)}
		case j.kind == "round_trip":
			figures = roundTrip(&j)
		default:
			figures = paced(&j)
		}
		fmt.Print("ok")
		for _, f := range figures {
			fmt.Printf(" %.6g", f)
		}
		fmt.Println()
	}
}
