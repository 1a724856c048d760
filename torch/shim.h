// The C boundary of package torch. Values cross as flat 64-bit words, so that one call carries
// all arguments, all results, the scope and the error text, and C never sees a Go pointer that
// outlives the call. Every function that can fail returns NULL, or an error text that the caller
// frees: "shapes\nmessage".
#ifndef LIEBM_TORCH_SHIM_H
#define LIEBM_TORCH_SHIM_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// A value is a header word, tag | n<<8, and its payload.
enum {
  LT_NONE = 0,       //
  LT_TENSOR = 1,     // handle
  LT_INT = 2,        // int64; also dtypes, layouts and memory formats
  LT_FLOAT = 3,      // IEEE bits
  LT_BOOL = 4,       // 0 or 1
  LT_STRING = 5,     // n bytes, padded to words
  LT_DEVICE = 6,     // type<<32 | uint32(index)
  LT_SEED = 7,       // a generator freshly seeded with this word
  LT_TENSORS = 8,    // n handles
  LT_INTS = 9,       // n int64
  LT_FLOATS = 10,    // n IEEE bits
  LT_BOOLS = 11,     // n words
  LT_STRINGS = 12,   // n string values
  LT_NAMED = 13,     // n bytes of argument name, padded, then a value
  LT_COMPLEX = 14,   // two IEEE words
  LT_LIST = 15,      // n values (results only)
};

// A handle is generation<<32 | slot; 0 is "no tensor". Live slots have odd generations, so a
// handle whose scope has closed never matches again.

// Operators. lt_call writes its results to out: out[0] is their length in words. When that is
// more than cap-1, out[1] holds a malloc-ed block with them instead.
char* lt_find_op(const char* name, uint64_t* op);
char* lt_call(uint64_t op, const uint64_t* args, int64_t nwords, uint64_t* out, int64_t cap);

// Autograd. grads may be NULL (ones); results are handles, 0 where an input was not reached.
char* lt_grad(const uint64_t* outputs, int64_t nout, const uint64_t* grads, const uint64_t* inputs,
              int64_t nin, int retain_graph, int create_graph, uint64_t* results);
char* lt_backward(uint64_t loss, int retain_graph);
char* lt_leaf(uint64_t t, int requires_grad, uint64_t* out); // detached alias
char* lt_grad_of(uint64_t t, uint64_t* out);
char* lt_clear_grad(uint64_t t);
int lt_grad_mode(int enabled); // returns the previous mode

// Data. Sizes are in elements; data is host memory in row-major order.
char* lt_from_data(const void* data, int dtype, const int64_t* sizes, int64_t dim, uint64_t* out);
char* lt_to_data(uint64_t t, void* data, int64_t nbytes);
// info: dtype, device word, requires_grad, numel, element size, channels_last, dim, then sizes.
char* lt_info(uint64_t t, int64_t info[7 + 64]);
char* lt_string(uint64_t t, char** text);

// Lifetime. Scopes are per thread; lt_scope_close frees every tensor made since lt_scope_open
// returned depth, except moved, which passes to the enclosing scope.
int64_t lt_scope_open(void); // 0 where memory is short
void lt_scope_close(int64_t depth, uint64_t moved);
char* lt_keep(uint64_t t);
void lt_free(uint64_t t);
int64_t lt_live(void);

// Tensors of other libraries. A pointer is an at::Tensor*; each side holds its own reference to the
// one TensorImpl. lt_from_pointer leaves the pointer its owner's, lt_new_pointer makes one for the caller.
char* lt_from_pointer(const void* tensor, uint64_t* out);
char* lt_new_pointer(uint64_t t, void** tensor);
void lt_free_pointer(void* tensor);

// For error messages.
char* lt_shapes(const uint64_t* args, int64_t nwords); // the shapes of the tensors among them
int lt_dtypes(void); // how many element types there are

// The process.
void lt_tune_malloc(void); // keep freed memory instead of giving it back page by page
char* lt_set_threads(int n); // n from 1
int lt_threads(void);
int lt_has_cuda(void);
int lt_cuda_devices(void);
char* lt_cuda_refusal(void); // why the CUDA runtime has no device, never NULL
char* lt_load_cuda(const char* path); // libtorch_cuda.so registers itself when it is loaded
char* lt_cuda_memory(int device, uint64_t* free_bytes, uint64_t* total_bytes);
char* lt_synchronize(int device);
char* lt_allow_tf32(int allow);
char* lt_check_onednn(int* wrong); // switches oneDNN off where its convolutions are wrong
char* lt_autocast(int device, int enabled, int dtype, int* before, int* dtype_before);
char* lt_ops(char** text); // the schema of every operator, a line each
char* lt_config(char** text); // libtorch's build settings and parallel set-up
const char* lt_header_version(void);
int lt_blas_threads(int n); // sets the size of OpenBLAS's own pool; -1 where it has none
const char* lt_blas_name(void);
const char* lt_library_path(void);

#ifdef __cplusplus
}
#endif
#endif
