// Time, operations and memory traffic of every operator that one thread calls, through libtorch's own
// observers. Errors are texts as in shim.h.
#ifndef LIEBM_TORCH_PROFILE_H
#define LIEBM_TORCH_PROFILE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
  const char* op; // lives as long as the process
  int64_t part, calls, nanoseconds;
  double flops, bytes;
} lt_op_time;

char* lt_profile_start(void);
void lt_profile_part(int64_t part); // what is called from here on belongs to it
char* lt_profile_stop(lt_op_time** rows, int64_t* n); // rows: to free

#ifdef __cplusplus
}

namespace liebm {

// The work of an operator of ours, from its construction to its destruction, in the profile of this thread if there is one.
struct Profiled {
  Profiled(const char* op, double flops, double bytes);
  ~Profiled();
  Profiled(const Profiled&) = delete;

private:
  double bytes;
  bool on;
};

} // namespace liebm
#endif
#endif
