// A library for LD_PRELOAD that starts a program again and again without loading its libraries again. libtorch has 300, and
// they take a second. It waits where main would be called. For each request on standard input it forks, and the child
// goes on to main with the arguments of the request.
//
// A request is a 32-bit length and so many bytes: the path of the child's output, "stop" if the child is to stop itself
// before main, and the arguments, each ended by a zero byte. The replies, on descriptor 3, are the child's process id and,
// when it has ended, its wait status.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

typedef int (*Main)(int, char**, char**);
typedef int (*Start)(Main, int, char**, void (*)(void), void (*)(void), void (*)(void), void*);

static int read_all(void* to, size_t n) {
  for (size_t got = 0; got < n;) {
    ssize_t r = read(0, (char*)to + got, n - got);
    if (r <= 0) return 0;
    got += (size_t)r;
  }
  return 1;
}

// block returns arguments, environment and auxiliary vector as the kernel lays them out: Go's runtime reads beyond argv.
static char** block(char** was, int was_n, char** args, int n) {
  char** env = was + was_n + 1;
  size_t envs = 0, aux = 0;
  while (env[envs]) envs++;
  Elf64_auxv_t* vector = (Elf64_auxv_t*)(env + envs + 1);
  while (vector[aux].a_type != AT_NULL) aux++;
  char** all = calloc((size_t)n + 1 + envs + 1 + 2 * (aux + 1), sizeof *all);
  memcpy(all, args, (size_t)n * sizeof *all);
  memcpy(all + n + 1, env, envs * sizeof *all);
  memcpy(all + n + 1 + envs + 1, vector, (aux + 1) * sizeof *vector);
  return all;
}

int __libc_start_main(Main program, int argc, char** argv, void (*init)(void), void (*fini)(void), void (*end)(void), void* stack) {
  Start start = (Start)dlsym(RTLD_NEXT, "__libc_start_main");
  if (!getenv("LIEBM_ZYGOTE")) return start(program, argc, argv, init, fini, end, stack);
  for (;;) {
    uint32_t size;
    if (!read_all(&size, sizeof size)) _exit(0);
    char* text = malloc(size);
    if (!text || !read_all(text, size)) _exit(1);
    int n = 0;
    char *output = text, *stop = output + strlen(output) + 1, *args[256] = {argv[0]};
    for (char* a = stop + strlen(stop) + 1; a < text + size && n < 254; a += strlen(a) + 1) args[++n] = a;
    int32_t child = fork(), status = 0;
    if (child == 0) {
      int out = open(output, O_WRONLY | O_CREAT | O_TRUNC, 0666), in = open("/dev/null", O_RDONLY);
      if (out < 0 || in < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0) _exit(125);
      close(in), close(out), close(3);
      if (*stop) raise(SIGSTOP);
      return start(program, n + 1, block(argv, argc, args, n + 1), init, fini, end, stack);
    }
    if (write(3, &child, sizeof child) < 0 || waitpid(child, &status, 0) < 0 || write(3, &status, sizeof status) < 0) _exit(1);
    free(text);
  }
}
