// What the tests put before minigan/fast/cuda/kernels.cu to run it on the processor: CUDA's words, and a scheduler.
//
// The threads of a block run one after the other, each until it ends or meets __syncthreads(), where it is set aside as
// a ucontext until all have come that far. They can be run first to last or last to first: a missing barrier shows,
// because one of the two orders reads what has not been written yet.

#define _XOPEN_SOURCE 700
#include <ucontext.h>

#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <functional>
#include <vector>

#define __global__
#define __device__ static inline
#define __shared__ static

using std::exp, std::fabs, std::fma, std::log1p, std::pow, std::sqrt, std::tanh;

struct dim3 {
    unsigned x, y, z;
};
static dim3 threadIdx, blockIdx, blockDim, gridDim;

static inline int min(int a, int b) { return a < b ? a : b; }

struct Fiber {
    ucontext_t context;
    std::vector<char> stack;
    bool done;
};
static std::vector<Fiber> fibers;
static ucontext_t scheduler;
static unsigned running;
static std::function<void()> body;

static bool has_barriers;

static void __syncthreads() {
    if (!has_barriers) abort();  // the caller has not seen this one in the source
    swapcontext(&fibers[running].context, &scheduler);
}

static void fiber_main() {
    body();
    fibers[running].done = true;
}

static void select_thread(unsigned t) {
    threadIdx = {t % blockDim.x, t / blockDim.x % blockDim.y, t / blockDim.x / blockDim.y};
}

// False if some threads of the block wait at a barrier that others never reach.
static bool run_block_with_barriers(unsigned threads, bool backwards) {
    while (fibers.size() < threads) fibers.emplace_back();
    for (unsigned t = 0; t < threads; t++) {
        Fiber& fiber = fibers[t];
        fiber.stack.resize(32768);
        fiber.done = false;
        getcontext(&fiber.context);
        fiber.context.uc_stack.ss_sp = fiber.stack.data();
        fiber.context.uc_stack.ss_size = fiber.stack.size();
        fiber.context.uc_link = &scheduler;
        makecontext(&fiber.context, fiber_main, 0);
    }
    for (unsigned ended = 0; ended < threads;) {
        if (ended) return false;
        for (unsigned n = 0; n < threads; n++) {
            running = backwards ? threads - 1 - n : n;
            select_thread(running);
            swapcontext(&scheduler, &fibers[running].context);
            ended += fibers[running].done;
        }
    }
    return true;
}

static int launch(const unsigned* dims, int barriers, int backwards, std::function<void()> kernel) {
    has_barriers = barriers;
    gridDim = {dims[0], dims[1], dims[2]};
    blockDim = {dims[3], dims[4], dims[5]};
    body = kernel;
    const unsigned threads = blockDim.x * blockDim.y * blockDim.z;
    for (blockIdx.z = 0; blockIdx.z < gridDim.z; blockIdx.z++)
        for (blockIdx.y = 0; blockIdx.y < gridDim.y; blockIdx.y++)
            for (blockIdx.x = 0; blockIdx.x < gridDim.x; blockIdx.x++) {
                if (has_barriers) {
                    if (!run_block_with_barriers(threads, backwards)) return 1;
                    continue;
                }
                for (unsigned n = 0; n < threads; n++) {
                    select_thread(backwards ? threads - 1 - n : n);
                    body();
                }
            }
    return 0;
}
