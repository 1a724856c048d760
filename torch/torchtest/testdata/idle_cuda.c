// The libraries of NVIDIA that libtorch's CUDA half asks for, for two GPUs that do nothing: their memory
// is the host's and copies to and from it are made, streams and events are always done, and kernels do
// not run, so what they would compute stays as it was. NCCL adds up what two processes of one machine
// hold. libtorch's own code runs: its dispatcher, caching allocator, streams, pinned memory and
// process groups. third_party/cuda.sh adds the functions that are not here: they return 0, success.
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { success = 0, outOfMemory = 2, oldDriver = 35, invalidDevice = 101, notReady = 600 };
enum { gpus = 2, host = -2, pinned = -1 }; // where memory is: on a GPU from 0 on, pinned, or elsewhere

static const size_t memory = (size_t)4 << 30; // of each GPU

// What happened, for torchtest.OnIdleGPUs to read; IDLE_COUNTS names the file.
static int64_t unread[16], *counts = unread;
enum { toGPU, toGPUFromPageable, toHost, syncs, launches, uses0, uses1 };

__attribute__((constructor)) static void begin(void) {
  const char *name = getenv("IDLE_COUNTS");
  int f = name ? open(name, O_RDWR | O_CREAT, 0600) : -1;
  if (f < 0 || ftruncate(f, sizeof unread)) return;
  void *shared = mmap(0, sizeof unread, PROT_READ | PROT_WRITE, MAP_SHARED, f, 0);
  if (shared != MAP_FAILED) counts = shared;
}

static void count(int what) { __sync_fetch_and_add(&counts[what], 1); }

// Memory.

struct block {
  char *p;
  size_t n;
  int at;
  struct block *next;
};
static struct block *blocks;
static size_t used[gpus];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static __thread int current, last; // GPU, error

static void use(int gpu) { count(uses0 + gpu); }

static int take(void **p, size_t n, int at) {
  struct block *b = malloc(sizeof *b);
  pthread_mutex_lock(&lock);
  if ((at >= 0 && used[at] + n > memory) || posix_memalign((void **)&b->p, 512, n)) {
    pthread_mutex_unlock(&lock);
    free(b);
    return last = outOfMemory;
  }
  if (at >= 0) used[at] += n;
  b->n = n, b->at = at, b->next = blocks, blocks = b;
  pthread_mutex_unlock(&lock);
  memset(b->p, 0, n);
  *p = b->p;
  return success;
}

static int drop(void *p) {
  pthread_mutex_lock(&lock);
  for (struct block **at = &blocks; *at; at = &(*at)->next) {
    struct block *b = *at;
    if (b->p != p) continue;
    if (b->at >= 0) used[b->at] -= b->n;
    *at = b->next;
    free(b->p);
    free(b);
    break;
  }
  pthread_mutex_unlock(&lock);
  return success;
}

static int where(const char *p) {
  int at = host;
  pthread_mutex_lock(&lock);
  for (struct block *b = blocks; b && at == host; b = b->next)
    if (p >= b->p && p < b->p + b->n) at = b->at;
  pthread_mutex_unlock(&lock);
  return at;
}

int cudaMalloc(void **p, size_t n) { use(current); return take(p, n, current); }
int cudaFree(void *p) { return drop(p); }
int cudaHostAlloc(void **p, size_t n, unsigned flags) { use(current); return take(p, n, pinned); }
int cudaFreeHost(void *p) { return drop(p); }
int cudaHostGetDevicePointer(void **gpu, void *p, unsigned flags) { *gpu = p; return success; }

int cudaMemGetInfo(size_t *unused, size_t *total) {
  use(current);
  *unused = memory - used[current], *total = memory;
  return success;
}

struct attributes {
  int type, gpu; // 0 unregistered, 1 host, 2 device
  void *onGPU, *onHost;
};
int cudaPointerGetAttributes(struct attributes *a, void *p) {
  int at = where(p);
  *a = (struct attributes){at == host ? 0 : at == pinned ? 1 : 2, at < 0 ? current : at, at == host ? 0 : p, at == pinned ? p : 0};
  return success;
}

int cudaMemcpyAsync(void *to, const void *from, size_t n, int kind, void *stream) {
  int a = where(to), b = where(from);
  if (a >= 0 && b < 0) count(toGPU);
  if (a >= 0 && b == host) count(toGPUFromPageable);
  if (a < 0 && b >= 0) count(toHost);
  memmove(to, from, n);
  return success;
}
int cudaMemcpy(void *to, const void *from, size_t n, int kind) { return cudaMemcpyAsync(to, from, n, kind, 0); }
int cudaMemcpyPeerAsync(void *to, int a, const void *from, int b, size_t n, void *stream) { return cudaMemcpyAsync(to, from, n, 0, stream); }
int cudaMemset(void *p, int v, size_t n) { memset(p, v, n); return success; }
int cudaMemsetAsync(void *p, int v, size_t n, void *stream) { return cudaMemset(p, v, n); }

// Devices: two A100, by what libtorch asks of them.

int cudaGetDeviceCount(int *n) {
  *n = gpus;
  return last = getenv("IDLE_OLD_DRIVER") ? oldDriver : success;
}
int cudaGetDevice(int *gpu) { *gpu = current; return success; }
int cudaSetDevice(int gpu) {
  if (gpu < 0 || gpu >= gpus) return last = invalidDevice;
  use(current = gpu);
  return success;
}
int cudaDriverGetVersion(int *v) { *v = 12040; return success; }
int cudaRuntimeGetVersion(int *v) { return cudaDriverGetVersion(v); }
int cudaGetLastError(void) { int e = last; last = success; return e; }
int cudaPeekAtLastError(void) { return last; }
const char *cudaGetErrorString(int e) {
  switch (e) {
  case outOfMemory: return "out of memory";
  case oldDriver: return "CUDA driver version is insufficient for CUDA runtime version";
  case invalidDevice: return "invalid device ordinal";
  }
  return "some error";
}
const char *cudaGetErrorName(int e) { return cudaGetErrorString(e); }

struct properties {
  char name[256], uuid[16], luid[8];
  unsigned luidMask;
  size_t totalGlobalMem, sharedMemPerBlock;
  int regsPerBlock, warpSize;
  size_t memPitch;
  int maxThreadsPerBlock, maxThreadsDim[3], maxGridSize[3], clockRate;
  size_t totalConstMem;
  int major, minor;
  size_t textures[2];
  int deviceOverlap, multiProcessorCount, unused[44];
  size_t surfaceAlignment;
  int more[12], maxThreadsPerMultiProcessor, rest[98];
};
_Static_assert(offsetof(struct properties, maxThreadsPerMultiProcessor) == 624 && sizeof(struct properties) >= 1016, "CUDA 12's cudaDeviceProp");

int cudaGetDeviceProperties_v2(struct properties *p, int gpu) {
  memset(p, 0, 1024);
  strcpy(p->name, "idle GPU");
  p->totalGlobalMem = memory, p->sharedMemPerBlock = 48 << 10, p->regsPerBlock = 65536, p->warpSize = 32;
  p->maxThreadsPerBlock = p->maxThreadsDim[0] = p->maxThreadsDim[1] = 1024, p->maxThreadsDim[2] = 64;
  p->maxGridSize[0] = INT32_MAX, p->maxGridSize[1] = p->maxGridSize[2] = 65535;
  p->major = 8, p->multiProcessorCount = 108, p->maxThreadsPerMultiProcessor = 2048;
  return success;
}
int cudaDeviceGetAttribute(int *v, int attribute, int gpu) {
  static const int known[128] = {[1] = 1024, [8] = 48 << 10, [10] = 32, [16] = 108, [39] = 2048, [75] = 8, [97] = 163 << 10, [106] = 32};
  *v = known[attribute & 127];
  return success;
}
int cuDevicePrimaryCtxGetState(int gpu, unsigned *flags, int *active) {
  *flags = 0, *active = counts[uses0 + gpu] > 0;
  return success;
}
int cuCtxGetCurrent(void **context) { *context = blocks; return success; }

// Streams, events, kernels.

static volatile int stuck; // what was begun does not end: a peer of NCCL is gone

static int fresh(void **handle) {
  static intptr_t n;
  *handle = (void *)(__sync_add_and_fetch(&n, 1) << 4);
  return success;
}
int cudaStreamCreateWithPriority(void **stream, unsigned flags, int priority) { return fresh(stream); }
int cudaDeviceGetStreamPriorityRange(int *least, int *greatest) {
  if (least) *least = 0;
  if (greatest) *greatest = -5;
  return success;
}
int cudaStreamIsCapturing(void *stream, int *capturing) { *capturing = 0; return success; }
int cudaStreamGetCaptureInfo_v2(void *stream, int *capturing, void *id, void *graph, void *nodes, void *n) { *capturing = 0; return success; }
int cudaStreamSynchronize(void *stream) { count(syncs); return success; }
int cudaDeviceSynchronize(void) { count(syncs); return success; }
int cudaEventCreateWithFlags(void **event, unsigned flags) { return fresh(event); }
int cudaEventCreate(void **event) { return fresh(event); }
int cudaEventQuery(void *event) { return stuck ? notReady : success; }
int cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *n, const void *f, int block, size_t shared, unsigned flags) { *n = 2; return success; }
struct function { size_t sizes[3]; int maxThreadsPerBlock, registers, ptx, binary, cache, maxShared; };
int cudaFuncGetAttributes(struct function *a, const void *f) {
  *a = (struct function){.maxThreadsPerBlock = 1024, .registers = 32, .ptx = 80, .binary = 80, .maxShared = 48 << 10};
  return success;
}
int cudaLaunchKernel(const void *f) { count(launches); return success; }
int cudaLaunchKernelExC(const void *config, const void *f, void **arguments) { count(launches); return success; }

struct dim3 { unsigned x, y, z; };
static __thread struct { struct dim3 grid, block; size_t shared; void *stream; } pushed;
int __cudaPushCallConfiguration(struct dim3 grid, struct dim3 block, size_t shared, void *stream) {
  pushed.grid = grid, pushed.block = block, pushed.shared = shared, pushed.stream = stream;
  return success;
}
int __cudaPopCallConfiguration(struct dim3 *grid, struct dim3 *block, size_t *shared, void **stream) {
  *grid = pushed.grid, *block = pushed.block, *shared = pushed.shared, *stream = pushed.stream;
  return success;
}
void **__cudaRegisterFatBinary(void *binary) { static void *handle; return &handle; }

// cuBLAS and cuDNN: what is asked before a product or a convolution. Set TORCH_CUDNN_V8_API_DISABLED=1.

static char handle[4096];
int cublasCreate_v2(void **h) { *h = handle; return success; }
int cublasLtCreate(void **h) { *h = handle; return success; }
int cublasLtMatmulAlgoGetHeuristic(void *h, void *d, void *a, void *b, void *c, void *e, void *p, int n, void *results, int *got) { *got = 1; return success; }
int cudnnCreate(void **h) { *h = handle; return success; }
size_t cudnnGetVersion(void) { return 90000; }
size_t cudnnGetCudartVersion(void) { return 12040; }
const char *cudnnGetErrorString(int e) { return "some error"; }
int cudnnCreateTensorDescriptor(void **d) { return cudnnCreate(d); }
int cudnnCreateFilterDescriptor(void **d) { return cudnnCreate(d); }
int cudnnCreateConvolutionDescriptor(void **d) { return cudnnCreate(d); }

struct algorithm { int algorithm, status; float time; size_t memory; int deterministic, math, reserved[3]; };
#define ALGORITHM(name) \
  int name(void *h, void *x, void *w, void *c, void *y, int n, int *got, struct algorithm *a) { \
    *got = 1, *a = (struct algorithm){.time = 1, .deterministic = 1}; \
    return success; \
  }
ALGORITHM(cudnnGetConvolutionForwardAlgorithm_v7)
ALGORITHM(cudnnGetConvolutionBackwardDataAlgorithm_v7)
ALGORITHM(cudnnGetConvolutionBackwardFilterAlgorithm_v7)
#define WORKSPACE(name) int name(void *h, void *x, void *w, void *c, void *y, int a, size_t *n) { *n = 0; return success; }
WORKSPACE(cudnnGetConvolutionForwardWorkspaceSize)
WORKSPACE(cudnnGetConvolutionBackwardDataWorkspaceSize)
WORKSPACE(cudnnGetConvolutionBackwardFilterWorkspaceSize)
int cudnnGetBatchNormalizationForwardTrainingExWorkspaceSize(void *h, int m, int o, void *a, void *b, void *c, void *d, void *e, size_t *n) { *n = 0; return success; }
int cudnnGetBatchNormalizationBackwardExWorkspaceSize(void *h, int m, int o, void *a, void *b, void *c, void *d, void *e, void *f, void *g, size_t *n) { *n = 0; return success; }
int cudnnGetBatchNormalizationTrainingExReserveSpaceSize(void *h, int m, int o, void *a, void *x, size_t *n) { *n = 0; return success; }

// NCCL: every process puts its part into shared memory, and each adds them up.

enum { most = 16 << 20 }; // bytes at once, of each process
enum { processes = 8 };
struct meeting { volatile int64_t arrived; volatile pid_t of[processes]; char part[][most]; };
struct comm { int rank, world; int64_t meetings; struct meeting *m; };

// meet returns 0 once every process has come, and 1 when one is gone.
static int meet(struct comm *c) {
  int64_t all = ++c->meetings * c->world;
  __sync_fetch_and_add(&c->m->arrived, 1);
  while (c->m->arrived < all && !stuck) {
    usleep(200);
    for (int r = 0; r < c->world; r++) stuck |= c->m->of[r] && kill(c->m->of[r], 0);
  }
  return stuck;
}

struct id { char name[128]; };
int ncclGetVersion(int *v) { *v = 22203; return success; }
int ncclGetUniqueId(struct id *id) {
  memset(id, 0, sizeof *id);
  return snprintf(id->name, sizeof id->name, "/idle-nccl-%d", getpid()) < 0;
}
int ncclCommInitRankConfig(struct comm **out, int world, struct id id, int rank, void *config) {
  size_t n = sizeof(struct meeting) + (size_t)world * most;
  int f = shm_open(id.name, O_RDWR | O_CREAT, 0600);
  if (f < 0 || world > processes || ftruncate(f, n)) return 2;
  struct comm *c = calloc(1, sizeof *c);
  *c = (struct comm){rank, world, 0, mmap(0, n, PROT_READ | PROT_WRITE, MAP_SHARED, f, 0)};
  close(f);
  c->m->of[rank] = getpid();
  int alone = meet(c);
  if (rank == 0) shm_unlink(id.name);
  *out = c;
  return alone;
}
int ncclCommInitRank(struct comm **out, int world, struct id id, int rank) { return ncclCommInitRankConfig(out, world, id, rank, 0); }
int ncclCommCount(struct comm *c, int *n) { *n = c->world; return success; }
int ncclCommUserRank(struct comm *c, int *rank) { *rank = c->rank; return success; }
int ncclCommGetAsyncError(struct comm *c, int *e) { *e = success; return success; }
const char *ncclGetErrorString(int e) { return "a peer is gone"; }
const char *ncclGetLastError(struct comm *c) { return ""; }

#define COMBINE(type) \
  for (size_t i = 0; i < n; i++) { \
    type *x = (type *)to + i, y = ((type *)from)[i]; \
    *x = op == 2 ? (*x > y ? *x : y) : *x + y; \
  }
static void combine(void *to, void *from, size_t n, int type, int op) {
  switch (type) {
  case 4: COMBINE(int64_t) break;
  case 7: COMBINE(float) break;
  case 8: COMBINE(double) break;
  default: fprintf(stderr, "idle NCCL: no reduction of type %d\n", type), abort();
  }
}
static size_t bytes(size_t n, int type) { return n * (size_t[]){1, 1, 4, 4, 8, 8, 2, 4, 8, 2}[type]; }

static int gather(struct comm *c, const void *in, size_t n) {
  if (n > most) fprintf(stderr, "idle NCCL: no room for %zu bytes\n", n), abort();
  memcpy(c->m->part[c->rank], in, n);
  return meet(c);
}
int ncclAllReduce(const void *in, void *out, size_t n, int type, int op, struct comm *c, void *stream) {
  if (gather(c, in, bytes(n, type))) return success; // begun, and will not end
  memcpy(out, c->m->part[0], bytes(n, type));
  for (int r = 1; r < c->world; r++) combine(out, c->m->part[r], n, type, op);
  meet(c);
  return success;
}
int ncclBroadcast(const void *in, void *out, size_t n, int type, int root, struct comm *c, void *stream) {
  if (gather(c, in, bytes(n, type))) return success;
  memcpy(out, c->m->part[root], bytes(n, type));
  meet(c);
  return success;
}
int ncclBcast(void *x, size_t n, int type, int root, struct comm *c, void *stream) { return ncclBroadcast(x, x, n, type, root, c, stream); }
int ncclAllGather(const void *in, void *out, size_t n, int type, struct comm *c, void *stream) {
  if (gather(c, in, bytes(n, type))) return success;
  for (int r = 0; r < c->world; r++) memcpy((char *)out + r * bytes(n, type), c->m->part[r], bytes(n, type));
  meet(c);
  return success;
}
