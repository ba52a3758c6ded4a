// The four functions of cuBLAS that minigan calls, for the processor, from their documentation. A wrong argument is
// refused with the status that the real library gives.

#include <cstdint>
#include <cstring>

enum { OK = 0, NOT_INITIALIZED = 1, INVALID_VALUE = 7, NOT_SUPPORTED = 15 };

struct Handle {
    void* stream;
    void* workspace;
    std::size_t bytes;
};

static Handle* live;

extern "C" int only_check;  // whether a product is only looked at, and not computed
int only_check = 0;

extern "C" int cublasCreate_v2(void** handle) {
    *handle = live = new Handle();
    return OK;
}

extern "C" int cublasSetStream_v2(void* handle, void* stream) {
    if (!handle || handle != live) return NOT_INITIALIZED;
    *live = {stream, nullptr, 0};
    return OK;
}

extern "C" int cublasSetWorkspace_v2(void* handle, void* workspace, std::size_t bytes) {
    if (!handle || handle != live) return NOT_INITIALIZED;
    live->workspace = workspace;
    live->bytes = bytes;
    return OK;
}

static float to_tf32(float a) {  // 10 bits after the point, to nearest
    std::uint32_t bits;
    std::memcpy(&bits, &a, 4);
    bits = (bits + 0x1000) & ~0x1fffu;
    std::memcpy(&a, &bits, 4);
    return a;
}

template <typename T>
static void multiply(int turn_a, int turn_b, int m, int n, int k, T alpha, const T* a, int lda, const T* b, int ldb,
                     T beta, T* c, int ldc, bool tf32) {
    for (int j = 0; j < n; j++)
        for (int i = 0; i < m; i++) {
            double sum = 0;
            for (int l = 0; l < k; l++) {
                T u = turn_a ? a[l + (long long)i * lda] : a[i + (long long)l * lda];
                T v = turn_b ? b[j + (long long)l * ldb] : b[l + (long long)j * ldb];
                if (tf32) u = to_tf32(u), v = to_tf32(v);
                sum += double(u) * v;
            }
            T* out = c + i + (long long)j * ldc;
            *out = T(alpha * sum + (beta ? beta * *out : 0));
        }
}

extern "C" int cublasGemmStridedBatchedEx(
    void* handle, int turn_a, int turn_b, int m, int n, int k, const void* alpha, const void* a, int a_type, int lda,
    long long a_stride, const void* b, int b_type, int ldb, long long b_stride, const void* beta, void* c, int c_type,
    int ldc, long long c_stride, int count, int compute, int algorithm
) {
    if (!handle || handle != live) return NOT_INITIALIZED;
    if (!live->workspace) return NOT_INITIALIZED;  // the real one would make do, and allocate
    if (m < 0 || n < 0 || k < 0 || count < 0 || lda < (turn_a ? k : m) || ldb < (turn_b ? n : k) || ldc < m)
        return INVALID_VALUE;
    if (a_type != b_type || a_type != c_type || algorithm != -1) return NOT_SUPPORTED;
    const bool single = a_type == 0 && (compute == 68 || compute == 77), twice = a_type == 1 && compute == 70;
    if (!single && !twice) return NOT_SUPPORTED;
    if (only_check) return OK;
    for (int i = 0; i < count; i++)
        if (single)
            multiply(turn_a, turn_b, m, n, k, *(const float*)alpha, (const float*)a + i * a_stride, lda,
                     (const float*)b + i * b_stride, ldb, *(const float*)beta, (float*)c + i * c_stride, ldc,
                     compute == 77);
        else
            multiply(turn_a, turn_b, m, n, k, *(const double*)alpha, (const double*)a + i * a_stride, lda,
                     (const double*)b + i * b_stride, ldb, *(const double*)beta, (double*)c + i * c_stride, ldc, false);
    return OK;
}
