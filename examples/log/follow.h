/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Follow: reading files that grow, as `tail -F` does, from their beginnings.
 *
 * A file that is not there is waited for; one that was renamed away is read to its
 * end, and then the new one of that name; one that has become shorter is read
 * again from its start. A line is published when it has its newline, and one
 * without it when its file is left. Told to stop, all that was written before is
 * read, and nothing more.
 */
#ifndef LOG_FOLLOW_H
#define LOG_FOLLOW_H

struct feed;

/* Publish until told to stop, or until nothing more can come of any input: of a
 * pipe on standard input that has ended, or after an error of the disk. */
void follow(struct feed *feed);

#endif
