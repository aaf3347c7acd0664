/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Directories that are still to be read are kept as paths, last in first out: so no
 * depth of the tree is too much for the stack or for open files.
 */
#include "walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../common/complain.h"
#include "manifest.h"

struct stack {
	char **paths;
	size_t count;
	size_t size;
};

static void stack_push(struct stack *stack, char *path)
{
	if (stack->count == stack->size) {
		stack->size = stack->size > 0 ? 2 * stack->size : 16;
		stack->paths = memory_resize(stack->paths, stack->size, sizeof(char *));
	}
	stack->paths[stack->count++] = path;
}

static char *path_join(const char *directory, const char *name)
{
	size_t size = strlen(directory);
	size_t name_size = strlen(name) + 1;
	bool has_slash = size > 0 && directory[size - 1] == '/';
	char *path = memory_resize(NULL, size + 1 + name_size, 1);

	memcpy(path, directory, size);
	if (!has_slash)
		path[size++] = '/';
	memcpy(path + size, name, name_size);
	return path;
}

static void failed(struct walk *walk, const char *path, int error)
{
	char *text;

	walk->has_failed = true;
	if (walk->is_quiet)
		return;
	text = manifest_escape(path);
	complain("%s: %s", text, strerror(error));
	free(text);
}

static bool is_excluded(const struct walk *walk, const struct stat *file)
{
	return walk->exclude != NULL && walk->exclude->st_dev == file->st_dev &&
	       walk->exclude->st_ino == file->st_ino;
}

/* Takes the path. */
static void look(struct walk *walk, struct stack *stack, char *path, const struct stat *file)
{
	if (S_ISDIR(file->st_mode)) {
		stack_push(stack, path);
		return;
	}
	if (!S_ISREG(file->st_mode))
		walk->others++;
	else if (!is_excluded(walk, file) && !walk->found(walk->context, path, file))
		walk->is_stopped = true;
	free(path);
}

static void directory_read(struct walk *walk, struct stack *stack, const char *path, DIR *directory)
{
	struct dirent *entry;

	while (!walk->is_stopped && (errno = 0, entry = readdir(directory)) != NULL) {
		struct stat file;
		char *name;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		name = path_join(path, entry->d_name);
		if (fstatat(dirfd(directory), entry->d_name, &file, AT_SYMLINK_NOFOLLOW) == 0) {
			look(walk, stack, name, &file);
			continue;
		}
		/* One that is gone again was not there, for all that anybody knows. */
		if (errno != ENOENT)
			failed(walk, name, errno);
		free(name);
	}
	if (!walk->is_stopped && errno != 0)
		failed(walk, path, errno);
}

static void directory_walk(struct walk *walk, struct stack *stack, const char *path, int flags)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | flags);
	DIR *directory = fd >= 0 ? fdopendir(fd) : NULL;

	if (directory == NULL) {
		failed(walk, path, errno);
		if (fd >= 0)
			(void)close(fd);
		return;
	}
	directory_read(walk, stack, path, directory);
	(void)closedir(directory);
}

void walk(struct walk *walk, const char *root)
{
	struct stack stack = { .count = 0 };
	struct stat file;
	int flags = 0; /* the root may be a link, what is below it not */

	if (stat(root, &file) != 0) {
		failed(walk, root, errno);
		return;
	}
	look(walk, &stack, strcpy(memory_resize(NULL, strlen(root) + 1, 1), root), &file);
	while (stack.count > 0) {
		char *path = stack.paths[--stack.count];

		if (!walk->is_stopped)
			directory_walk(walk, &stack, path, flags);
		flags = O_NOFOLLOW;
		free(path);
	}
	free(stack.paths);
}
