/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Subscription: a filter, a bounded queue, an overflow policy.
 *
 * Filters: a topic's name, in which a token may be '*' (exactly one token) and
 * the last token may be '>' (one token or more).  A '*' or '>' that is not a
 * whole token, and a '>' that is not the last one, is refused.
 */
#ifndef WEIR_SUBSCRIPTION_H
#define WEIR_SUBSCRIPTION_H

#include <weir/group.h>
#include <weir/publisher.h>

WEIR_BEGIN_DECLS

#define WEIR_CAPACITY_MAX ((size_t)1 << 20)

/* Messages that one receive takes at most. */
#define WEIR_BATCH_MAX 4096

/* What a message counts for besides its payload, where bytes are limited. */
#define WEIR_MESSAGE_OVERHEAD 64

/* Classes of priority that have a lock-free queue. */
#define WEIR_PRIORITY_CLASSES_MAX 32

typedef struct weir_subscription weir_subscription;

/* Whether it is a correct filter, and whether a correct filter matches a correct
 * topic name (false if either is none).  NULL is none.  Threads: any. */
WEIR_API bool weir_filter_is_valid(const char *filter);
WEIR_API bool weir_filter_matches(const char *filter, const char *name);

/* What a full queue does with a message that comes. */
typedef enum weir_overflow {
	/* Holds the publisher until there is room or its deadline passes. */
	WEIR_OVERFLOW_BLOCK = 0,
	/* Refuses the new message. */
	WEIR_OVERFLOW_DROP_NEWEST = 1,
	/* Throws out the message that has been in the queue longest. */
	WEIR_OVERFLOW_DROP_OLDEST = 2,
	/* Throws out the least urgent message, the youngest among equals, or
	 * refuses the new one if it is that. */
	WEIR_OVERFLOW_DROP_LOWEST = 3,
	/* Keeps one message per key, the latest, also when not full; a message
	 * without a key counts by its topic.  The later one takes the place of
	 * the earlier, so a key that changes all the time is not delivered later
	 * than one that does not; by priority, it counts with its own.  Full of
	 * other keys: as DROP_OLDEST.  A protected message (see below) is not
	 * replaced, and waits beside the later one. */
	WEIR_OVERFLOW_CONFLATE = 4,
	/* Grows; limited by capacity_bytes, if given, and by the broker's.  Past
	 * the limit the message is refused and the publish returns WEIR_ENOMEM. */
	WEIR_OVERFLOW_UNBOUNDED = 5,
} weir_overflow;

/* The order in which messages are handed out. */
typedef enum weir_order {
	WEIR_ORDER_ARRIVAL = 0,
	/* The most urgent first (the lowest number), equals in order of arrival. */
	WEIR_ORDER_PRIORITY = 1,
} weir_order;

/*
 * Told when a queue reaches its high watermark and when it has come down to the
 * low one.  on_slow is called by the thread whose publish filled the queue,
 * after the publish has done its work; on_recovered by the receiver, at the end
 * of the receive that emptied it so far, or, if that was while on_slow ran, by the
 * thread of on_slow right after it.  For one subscription they alternate
 * and never run at the same time, and an on_slow comes at most once per
 * hook_interval.  No lock is held: they may call weir, also weir_unsubscribe on
 * this subscription.
 */
typedef void weir_watermark_function(
	void *context, weir_subscription *subscription, uint64_t queued);

/* What settles a message. */
typedef enum weir_ack_mode {
	/* Handing it over: delivered at most once. */
	WEIR_ACK_NONE = 0,
	/* weir_ack and its kin: delivered at least once (promise P4). */
	WEIR_ACK_MANUAL = 1,
	/* The next receive acknowledges what the last one handed out. */
	WEIR_ACK_AUTO = 2,
} weir_ack_mode;

/* Every zero field means its default. */
typedef struct weir_subscription_options {
	/* Messages that wait at most, exact, 1..WEIR_CAPACITY_MAX; 0 = 1024, or
	 * none for UNBOUNDED, for which it must be 0.  Memory in real time: 16 bytes for
	 * each; and 128 more, allocated by an early receive, if messages of up to 96
	 * bytes can travel in the queue itself: with up to 4096, without a wildcard, on
	 * a topic of one or two subscriptions, and as long as a broker's queues take no
	 * more than 64 MiB for this. */
	size_t capacity;
	/* Bytes that wait at most, each message with its payload and
	 * WEIR_MESSAGE_OVERHEAD; 0 = no limit.  A message that would not fit into an
	 * empty queue is refused under every policy.  Given, the queue has a lock. */
	uint64_t capacity_bytes;
	weir_overflow overflow;
	weir_order order;
	/* For WEIR_ORDER_PRIORITY.  0: priorities are any integers.  1..32:
	 * they are 0..priority_classes - 1 (others count as the nearest), and with
	 * BLOCK or DROP_NEWEST the queue is lock-free. */
	uint32_t priority_classes;
	/* Against starvation, for WEIR_ORDER_PRIORITY with priority_classes 0: a
	 * message of priority p is handed out before any message of priority q
	 * that came into the queue more than (p - q) * ageing seconds after it.
	 * So a message waits at most for what is queued, and for what comes in
	 * (p - most urgent priority) * ageing seconds.  0 = strict. */
	double ageing;
	/* With `protect`, messages of a priority up to protect_priority are
	 * never dropped: where the policy would drop one, its publisher waits as
	 * under BLOCK.  (Only a limit in bytes of the broker can still refuse one.) */
	bool protect;
	int32_t protect_priority;
	/* Count by priority, for weir_subscription_priorities_get; it costs one
	 * shared counter for each message. */
	bool count_priorities;
	weir_wait wait; /* how a receive waits */
	/* Watermarks in messages, low < high <= capacity; both 0 = none. */
	uint64_t high_watermark;
	uint64_t low_watermark;
	weir_watermark_function *on_slow;
	weir_watermark_function *on_recovered;
	void *hook_context;
	double hook_interval; /* seconds; 0 = 1 */

	/* Acknowledgements; weir/acknowledge.h says how they work. */
	weir_ack_mode ack;
	/* Seconds until a message that was handed over and not settled is delivered
	 * again; 0 = 30; WEIR_FOREVER = never.  The n-th message of a batch has n
	 * times as long.  One of a second or more may be longer by 0.01 seconds: it
	 * counts by the system's ticks. */
	double ack_timeout;
	/* The timeout counts from the publish instead of the hand-over; a message that
	 * is handed over later than that has none.  Needs a broker with timestamps. */
	bool ack_timeout_from_publish;
	/* Only the first delivery of a message has a timeout; a later one stays in
	 * flight until it is settled. */
	bool ack_timeout_once;
	/* Messages handed over and not settled at most, exact, those included that
	 * wait for their next attempt, but not parked ones that were sent back and wait
	 * for room in this window; 1..WEIR_CAPACITY_MAX; 0 = 1024. */
	size_t max_in_flight;
	/* Hand-overs of one message at most; 0 = 5; UINT32_MAX = no limit. */
	uint32_t max_attempts;
	/* Returned messages queue behind what is queued, instead of coming first; but
	 * they come when max_in_flight leaves no room for what is queued. */
	bool redeliver_to_back;
	/* Seconds before the second attempt (0 = at once), growing by the factor (0 =
	 * 2) with each further one up to the maximum (0 = 60), less a random part of
	 * up to `redelivery_jitter`, 0..1, of it.  After timeouts and nacks alike. */
	double redelivery_delay;
	double redelivery_factor;
	double redelivery_delay_max;
	double redelivery_jitter;
	/* The topic that messages go to when they are rejected or out of attempts, and
	 * with dead_letter_expired; NULL = they are parked or dropped.  Copied.  Dead
	 * letters are published without waiting for room: a full queue loses one by its
	 * own policy and count, so give those who receive them an unbounded one.  Without
	 * acknowledgements only for dead_letter_expired. */
	const char *dead_letter_topic;

	/* A message whose time to live is over (weir_publish_options) is never handed
	 * out.  It is noticed when its turn comes, and has its place in the queue, or in
	 * the in-flight window, until then.  With this, it leaves the queue at that very
	 * instant, whatever stands before it, and what waits for room gets it.  (One
	 * that was handed out before and waits for its next attempt is noticed when that
	 * comes.)  Given, the queue has a lock. */
	bool expire_at_once;
	/* What expires goes to the dead_letter_topic, which must be given. */
	bool dead_letter_expired;
	/* Messages that are rejected or out of attempts and kept aside at most, until
	 * weir_redrive_parked sends them back; up to WEIR_CAPACITY_MAX; 0 = they are
	 * dropped, as are those for which there is no room.  Not together with a
	 * dead_letter_topic. */
	size_t park_max;

	/* A group, which subscriptions with the same name and filter are members of;
	 * weir/group.h says how they work.  NULL = none.  Copied.  The other three
	 * are 0 without one. */
	const char *group;
	weir_group_policy group_policy;
	uint32_t group_weight; /* for WEIGHTED, 1..WEIR_GROUP_WEIGHT_MAX; 0 = 1 */
	bool group_keep;       /* without members it keeps its messages */
	uint64_t reserved[8];  /* must be 0 */
} weir_subscription_options;

/* One hand-over of one message to one receiver. */
typedef struct weir_delivery {
	const void *data;
	size_t size;
	weir_message *message;
	/* Messages that this subscription lost since its previous delivery, those that
	 * expired before they were handed out included. */
	uint64_t missed;
	/* When it times out, by the broker's clock; WEIR_FOREVER: never. */
	double deadline;
	uint32_t attempt; /* 1 for the first hand-over of this message */
	/* The token: which hand-over of which message this is.  For the library. */
	uint32_t token_ledger; /* 0: it needs no acknowledgement */
	uint32_t token_index;
	uint64_t token_generation;
	weir_broker *broker;
	uint64_t reserved[4];
} weir_delivery;

/*
 * weir_subscribe - a new subscription.  When it has returned, the next publish
 * on a matching topic, from any thread, is delivered to it (promise P6).
 *
 * Threads: any.  Blocks for other calls that change topics or subscriptions, and
 * until the publishes under way on topics that match have done their hand-over.
 * Cost: O(1) for a filter without wildcards, O(topics) for one with.
 * Owner: the caller, who ends it with weir_unsubscribe.
 * Returns 0; WEIR_EINVAL: NULL, a bad filter, an option out of range; WEIR_ENOMEM;
 * WEIR_ELIMIT: subscriptions_max exist, or topics_max (a filter without
 * wildcards makes its topic); WEIR_ESHUTDOWN; WEIR_ESYSTEM: the system refused a
 * mutex or the timer thread.
 */
WEIR_API int weir_subscribe(weir_subscription **subscription, weir_broker *broker,
	const char *filter, const weir_subscription_options *options);

/*
 * weir_unsubscribe - end a subscription.  When it has returned, nothing of it
 * runs: no publisher touches it, publishers that were blocked on it have gone
 * on, a thread that was in a receive on it has left with WEIR_ECLOSED (promise
 * P7).  Deliveries of it that were not kept are gone.  What was queued is
 * discarded and counted as WEIR_DROP_CLOSED, in `last` (the subscription's final
 * statistics, may be NULL) and in the broker's sums.
 *
 * Threads: any, once, also while others publish or one is in a receive on it; but
 * no call on the handle may begin after this one has: a thread that receives in
 * a loop is ended with weir_subscription_stop first.  It may be called from
 * inside a hook of the subscription, but not from a free function.
 * Blocks as weir_subscribe, and until a receive under way has left.
 * Returns 0; WEIR_EINVAL: NULL.
 */
WEIR_API int weir_unsubscribe(weir_subscription *subscription, weir_subscription_statistics *last);

/*
 * weir_subscription_stop - the first half of weir_unsubscribe: no message comes any
 * more, publishers that were blocked on it have gone on, and every receive on it
 * returns WEIR_ECLOSED, from now on and however often it is called.  The handle
 * stays valid.  To end a receiving thread: stop, join the thread, unsubscribe.
 *
 * Threads: any, at once, also while another one receives from it.  Blocks as
 * weir_subscribe.  Stopping again does nothing.
 * Returns 0; WEIR_EINVAL: NULL.
 */
WEIR_API int weir_subscription_stop(weir_subscription *subscription);

/*
 * weir_receive - take the next message, waiting for one up to `timeout` seconds
 * (0 = do not wait, WEIR_FOREVER).
 *
 * Threads: one at a time per subscription.  Two at once are a mistake, which is
 * found in most cases (WEIR_EBUSY), but not in all.
 * Owner: the bytes are valid until the next receive on this subscription or its
 * end, whether the message is settled meanwhile or not.
 * weir_message_keep(delivery->message) makes the message last longer.
 * Returns 0; WEIR_EAGAIN: none there, with a timeout of 0; WEIR_ETIMEDOUT;
 * WEIR_EINTR: weir_wake; WEIR_ESHUTDOWN: the broker is closed, or is draining
 * and nothing is left here, nor in a subscription whose dead letters come here;
 * WEIR_ECLOSED: unsubscribed meanwhile; WEIR_ENOMEM: a message is there, but no
 * memory to take it out into (many are kept); it stays; WEIR_EINVAL: NULL, a timeout
 * that is negative or not a number; WEIR_EDEADLK: virtual time, would wait outside a
 * simulated process.  `delivery` is untouched on failure.
 */
WEIR_API int weir_receive(weir_subscription *subscription, weir_delivery *delivery, double timeout);

/*
 * weir_receive_batch - take up to `count_max` messages that are there, waiting
 * for the first one only.  `count` gets how many were taken, at least 1.
 *
 * As weir_receive; all deliveries of the batch are valid until the next receive.
 * WEIR_EINVAL also: count_max is 0.
 */
WEIR_API int weir_receive_batch(weir_subscription *subscription, weir_delivery *deliveries,
	size_t count_max, double timeout, size_t *count);

/* Which subscription a select looks at first. */
typedef enum weir_select_mode {
	/* The one after the one that it took from last: each gets its turn. */
	WEIR_SELECT_FAIR = 0,
	/* The first one in the array. */
	WEIR_SELECT_PRIORITY = 1,
} weir_select_mode;

/*
 * weir_select - take the next message of any of `count` subscriptions, which are
 * of one broker, waiting for one up to `timeout` seconds.  `index` gets which one
 * it came from.  A wait that ends without a message takes none from anywhere.
 *
 * It is a receive on all of them: it ends the validity of their last deliveries,
 * and no other receive may be under way on any.  It waits in the way of the
 * first subscription (`wait`).
 *
 * Returns as weir_receive; WEIR_ESHUTDOWN when draining: nothing is left in any;
 * WEIR_EINVAL also: count is 0, subscriptions of several brokers; WEIR_EBUSY also:
 * one is there twice.
 */
WEIR_API int weir_select(weir_subscription *const *subscriptions, size_t count,
	weir_select_mode mode, double timeout, weir_delivery *delivery, size_t *index);

/*
 * weir_wake - make a receiver return WEIR_EINTR: the one that waits now, or else
 * the next that would have to wait (once, however many wakes came before it).
 * A receive that finds a message is not interrupted.
 *
 * Threads: any, at once; not after weir_unsubscribe.  Never blocks.
 * Returns 0; WEIR_EINVAL: NULL.
 */
WEIR_API int weir_wake(weir_subscription *subscription);

/* The number of the subscription within its broker, 1 for the first; never used
 * again.  NULL gives 0.  Threads: any. */
WEIR_API uint64_t weir_subscription_id(const weir_subscription *subscription);

/* The filter it was opened with; owned by the subscription.  NULL gives NULL. */
WEIR_API const char *weir_subscription_filter(const weir_subscription *subscription);

WEIR_END_DECLS

#endif
