/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pause: between two looks at something that others are about to do, and that
 * they do not tell.  First yields, which is enough unless they are not running;
 * then sleeps a little, so that they can, whatever the threads' priorities are.
 */
#ifndef WEIRI_PAUSE_H
#define WEIRI_PAUSE_H

/* `looks` counts the looks so far.  Not a cancellation point. */
void weiri_pause(unsigned int looks);

#endif
