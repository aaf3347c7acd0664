/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * weir/weir.h - the whole interface of weir, a publish-subscribe broker for the
 * threads of one process.
 *
 * What is not declared in the headers included here is no part of the
 * interface, and may change from one version to the next.
 */
#ifndef WEIR_WEIR_H
#define WEIR_WEIR_H

#include <weir/acknowledge.h>
#include <weir/api.h>
#include <weir/broker.h>
#include <weir/clock.h>
#include <weir/confirm.h>
#include <weir/error.h>
#include <weir/group.h>
#include <weir/message.h>
#include <weir/pacer.h>
#include <weir/publisher.h>
#include <weir/sim.h>
#include <weir/statistics.h>
#include <weir/subscription.h>
#include <weir/version.h>

#endif /* WEIR_WEIR_H */
