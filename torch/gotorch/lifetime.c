//go:build gotorch

// Two functions of libcgotorch.so are replaced here: the dynamic linker, and the static one before it,
// prefer the program's own symbols to those of a library.
#define _GNU_SOURCE
#include "lifetime.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#ifdef __GLIBC__
#include <malloc.h>
#if __GLIBC_PREREQ(2, 33)
#define HAVE_MALLINFO2
#endif
#endif

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

// Calls into gotorch that are running, and tensors to free, by epoch. There are two: a tensor waits
// until every call of its own epoch and of the one before has returned, which are all those that can
// have seen it. Unlike a single list this empties even when calls on several threads always overlap.
static struct epoch {
  int running;
  void **waiting;
  size_t n, cap;
} epochs[2];
static int now;

static void *original(const char *name) { return dlsym(RTLD_NEXT, name); }

static void close_now(void *tensor) {
  static void (*close)(void *);
  if (!close) close = (void (*)(void *))original("Tensor_Close"); // a race here writes the same value
  close(tensor);
}

static int wait_for_calls(struct epoch *e, void *tensor) {
  if (e->n == e->cap) {
    size_t cap = e->cap ? 2 * e->cap : 64;
    void **more = realloc(e->waiting, cap * sizeof *more);
    if (!more) return 0;
    e->waiting = more;
    e->cap = cap;
  }
  e->waiting[e->n++] = tensor;
  return 1;
}

// Tensor_Close is what gotorch's finalizers call, on a thread of their own.
void Tensor_Close(void *tensor) {
  pthread_mutex_lock(&mutex);
  int idle = !epochs[0].running && !epochs[1].running;
  if (!idle) wait_for_calls(&epochs[now], tensor); // without memory for the list it leaks
  pthread_mutex_unlock(&mutex);
  if (idle) close_now(tensor); // no call can have seen it: a finalizer runs once nothing refers to it
}

// SetNumThreads is called by gotorch's init with half the number of CPUs; at::set_num_threads(0) throws.
void SetNumThreads(int32_t n) {
  void (*set)(int32_t) = (void (*)(int32_t))original("SetNumThreads");
  set(n > 0 ? n : 1);
}

int gt_enter(void) {
  pthread_mutex_lock(&mutex);
  int epoch = now;
  epochs[epoch].running++;
  pthread_mutex_unlock(&mutex);
  return epoch;
}

static int grown(void);

int gt_leave(int epoch) {
  struct epoch done[2] = {{0}, {0}};
  pthread_mutex_lock(&mutex);
  epochs[epoch].running--;
  for (int i = 0; i < 2 && !epochs[!now].running; i++) {
    done[i] = epochs[!now];
    epochs[!now] = (struct epoch){0};
    now = !now;
  }
  pthread_mutex_unlock(&mutex);
  for (int i = 0; i < 2; i++) {
    for (size_t j = 0; j < done[i].n; j++) close_now(done[i].waiting[j]);
    free(done[i].waiting);
  }
  return grown();
}

#ifdef HAVE_MALLINFO2
static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + 1e-9 * t.tv_nsec;
}

// grown compares with the least that was held since the last collection, for finalizers run some time
// after it. mallinfo2 visits every free block, which takes microseconds, or milliseconds where there
// are many: it gets a fiftieth of the time.
static int grown(void) {
  static size_t least = SIZE_MAX;
  static double next = 0;
  double start = seconds();
  pthread_mutex_lock(&mutex);
  int collect = 0;
  if (start >= next) {
    struct mallinfo2 m = mallinfo2();
    size_t held = m.uordblks + m.hblkhd;
    if (held < least) least = held;
    collect = held - least > least && held - least > 64 << 20;
    if (collect) least = SIZE_MAX;
    next = start + 50 * (seconds() - start);
  }
  pthread_mutex_unlock(&mutex);
  return collect;
}
#else
static int grown(void) { return 0; }
#endif
