// Ends the process that it is loaded into, as kill -9 would, when it puts something on the disk for the
// PUSH_KILL_AT-th time. A journal is written, then synced, so that is after each of its lines; with
// PUSH_KILL_TORN the line is cut to a half before, as if the end had come while it was written, and with
// PUSH_KILL_NONE it is taken away, as if it had come before. At a regular end the number of times is written
// to PUSH_KILL_COUNT.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static atomic_int times;

static int due(void)
{
	const char *at = getenv("PUSH_KILL_AT");
	int now = atomic_fetch_add(&times, 1) + 1;
	return at && now == atoi(at);
}

static void end(void)
{
	kill(getpid(), SIGKILL);
	for (;;)
		pause();
}

// Where the last line begins.
static off_t last_line(int fd, off_t size)
{
	char path[64], text[65536];
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	FILE *file = fopen(path, "r");
	if (!file)
		abort();
	size_t count = fread(text, 1, sizeof text, file);
	if (count != (size_t)size)
		abort();
	off_t at = size - 1;
	while (at > 0 && text[at - 1] != '\n')
		at--;
	return at;
}

static void spoil(int fd)
{
	struct stat meta;
	if (fstat(fd, &meta) || meta.st_size == 0)
		abort();
	off_t line = last_line(fd, meta.st_size), keep = line;
	if (getenv("PUSH_KILL_TORN"))
		keep = line + (meta.st_size - line) / 2;
	if (ftruncate(fd, keep))
		abort();
}

int fdatasync(int fd)
{
	int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
	if (!due())
		return real(fd);
	if (getenv("PUSH_KILL_TORN") || getenv("PUSH_KILL_NONE"))
		spoil(fd);
	else
		real(fd);
	end();
	return -1;
}

int fsync(int fd)
{
	int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
	if (due())
		end();
	return real(fd);
}

int unlink(const char *path)
{
	int (*real)(const char *) = (int (*)(const char *))dlsym(RTLD_NEXT, "unlink");
	if (!due())
		return real(path);
	if (!getenv("PUSH_KILL_TORN") && !getenv("PUSH_KILL_NONE"))
		real(path);
	end();
	return -1;
}

__attribute__((destructor)) static void count(void)
{
	const char *path = getenv("PUSH_KILL_COUNT");
	FILE *file = path ? fopen(path, "w") : NULL;
	if (file) {
		fprintf(file, "%d\n", atomic_load(&times));
		fclose(file);
	}
}
