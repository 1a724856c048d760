// Process groups: libtorch's c10d, Gloo for tensors on the CPU and NCCL for those on GPUs. Errors
// are texts as in shim.h; that of a peer that is gone starts its message with LT_PEER_LOST.
#ifndef LIEBM_TORCH_C10D_H
#define LIEBM_TORCH_C10D_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LT_PEER_LOST "peer lost: "

enum { LT_SUM = 0, LT_MAX = 1 };

// Waits until world processes have called it with one host, port and prefix, at most join_ms. With
// serve this one also holds the store where they meet.
char* lt_group_join(const char* host, int port, int serve, const char* prefix, int rank, int world, int64_t join_ms,
                    int64_t timeout_ms, uint64_t* group);
void lt_group_close(uint64_t group);

// Collectives: every process calls the same ones in the same order. t is overwritten.
char* lt_group_all_reduce(uint64_t group, uint64_t t, int op);
char* lt_group_broadcast(uint64_t group, uint64_t t, int root);
char* lt_group_all_gather(uint64_t group, uint64_t t, uint64_t* results); // one per process
char* lt_group_sum(uint64_t group, uint64_t t, uint64_t* out);            // differentiable

// The mean over processes of the gradient of loss: one result per parameter, 0 where none reached
// it. Buckets of about bucket_bytes are reduced while the rest of backward runs.
char* lt_group_grads(uint64_t group, uint64_t loss, const uint64_t* params, int64_t n, int64_t bucket_bytes,
                     uint64_t* results);

#ifdef __cplusplus
}
#endif
#endif
