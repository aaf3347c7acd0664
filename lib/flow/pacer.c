/* SPDX-License-Identifier: BSD-2-Clause */
/* The adaptive interval: backs off by a factor, returns by another. */
#include <float.h>
#include <math.h>

#include "base/random.h"
#include <weir/error.h>
#include <weir/pacer.h>

#define BASE_DEFAULT       0.001
#define MULTIPLIER_DEFAULT 2.0
#define DIVISOR_DEFAULT    1.5
/* Long enough to relieve any subscriber, short enough that one that has come
 * back is served again within a minute. */
#define MAXIMUM_DEFAULT 60.0

static double value_or(double value, double default_value)
{
	return value != 0 ? value : default_value;
}

static double base_of(const weir_pacer *pacer)
{
	return value_or(pacer->base, BASE_DEFAULT);
}

static double maximum_of(const weir_pacer *pacer)
{
	return value_or(pacer->maximum, fmax(MAXIMUM_DEFAULT, base_of(pacer)));
}

static bool is_factor(double value)
{
	return value == 0 || (value >= 1 && isfinite(value));
}

static bool is_share(double value)
{
	return value >= 0 && value <= 1;
}

static bool is_valid(const weir_pacer *pacer)
{
	return pacer != NULL && pacer->base >= 0 && isfinite(pacer->base) &&
	       is_factor(pacer->multiplier) && is_factor(pacer->divisor) &&
	       maximum_of(pacer) >= base_of(pacer) && is_share(pacer->slow_fill) &&
	       is_share(pacer->jitter) && pacer->interval >= 0 && isfinite(pacer->interval);
}

double weir_pacer_interval(const weir_pacer *pacer)
{
	return is_valid(pacer) ? value_or(pacer->interval, base_of(pacer)) : (double)NAN;
}

enum outcome {
	OUTCOME_DELIVERED,
	OUTCOME_REFUSED,
	OUTCOME_OTHER,
};

static enum outcome outcome_of(const weir_pacer *pacer, int error, const weir_receipt *receipt)
{
	switch (error) {
	case WEIR_OK:
		if (receipt == NULL)
			return OUTCOME_DELIVERED;
		if (receipt->dropped > 0 ||
			(pacer->slow_fill > 0 && receipt->fill >= pacer->slow_fill))
			return OUTCOME_REFUSED;
		return OUTCOME_DELIVERED;
	case WEIR_ETIMEDOUT:
	case WEIR_EAGAIN:
	case WEIR_EFULL:
	case WEIR_ENOMEM:
	case WEIR_EDEADLK:
		return OUTCOME_REFUSED;
	default:
		return OUTCOME_OTHER;
	}
}

/* A random number of 0 to 1, 1 excluded: the upper 53 bits of a word. */
static double share_draw(weir_pacer *pacer)
{
	struct weiri_random random = weiri_random_stream(pacer->seed, pacer->drawn++);

	return (double)(weiri_random_next(&random) >> 11) * 0x1p-53;
}

double weir_pacer_feed(weir_pacer *pacer, int error, const weir_receipt *receipt)
{
	double interval = weir_pacer_interval(pacer);

	if (isnan(interval))
		return interval;
	switch (outcome_of(pacer, error, receipt)) {
	case OUTCOME_REFUSED:
		interval *= value_or(pacer->multiplier, MULTIPLIER_DEFAULT);
		pacer->interval = fmin(maximum_of(pacer), interval);
		/* Without a maximum: the greatest number, which is as long. */
		if (!isfinite(pacer->interval))
			pacer->interval = DBL_MAX;
		break;
	case OUTCOME_DELIVERED:
		interval /= value_or(pacer->divisor, DIVISOR_DEFAULT);
		pacer->interval = fmax(base_of(pacer), interval);
		break;
	case OUTCOME_OTHER:
		break;
	}
	interval = weir_pacer_interval(pacer);
	if (pacer->jitter > 0)
		interval *= 1 - pacer->jitter + 2 * pacer->jitter * share_draw(pacer);
	return interval;
}
