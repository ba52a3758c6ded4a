// minigan's own GPU kernels. `minigan.fast.cuda.kernels` compiles this file when a kernel is needed for the first time,
// with REAL=float to train and with REAL=double to check gradients. The tests compile it for the processor as well.
//
// A small network keeps a GPU busy for microseconds at a time: the time goes into launches and walks through memory.
// Each kernel here therefore does in one pass what NumPy does in several. Three rules hold for all of them:
//
// * Channels come last in memory, so neighbouring threads take neighbouring channels: a warp reads one line.
// * Nothing is added with atomics. Every output has one thread, and the order of a sum depends on shapes alone, so that
//   a run repeats bit for bit.
// * In an adjoint, one thread computes one pixel: it collects all numbers that belong to it, and scatters none.
//
// Legend: `minigan.nn.conv`. Where the transforms come from, with a derivation: `minigan/fast/cpu/winograd.py`.

typedef REAL real;

#define CHANNELS 32  // channels per block: one warp
#define LANES 8      // rows that a block of a reduction reads at a time

// ------------------------------------------------------------------------------------- convolution as matrix products
// k4 s2 p1 = four interleaved 2x2 convolutions of stride 1 (the phases), each by Winograd's F(2,2), in both directions:
//
//     v0 = d0 - d1    v1 = d1    v2 = d2 - d1          u0 = g0    u1 = g0 + g1    u2 = g1
//     y0 = v0*u0 + v1*u1         y1 = v1*u1 + v2*u2
//
// A tile is 2x2 outputs. With k = (phase, channel) running over 4C, the middle is nine matrix products:
// V (9, tiles, 4C) @ U (9, 4C, O) = M (9, tiles, O). A bias b is added on the way out; it is null where there is none.

// U from w (4, 4, C, O). One thread per (k, o).
extern "C" __global__ void winograd_kernel(const real* w, real* u, int C, int O) {
    const int e = blockIdx.x * blockDim.x + threadIdx.x;
    if (e >= 4 * C * O) return;
    const int o = e % O, k = e / O, c = k % C, phase = k / C;
    real half[3][2];  // transformed along the rows of the kernel
    for (int b = 0; b < 2; b++) {
        const int q = 2 * b + phase % 2;
        const real g0 = w[((phase / 2 * 4 + q) * C + c) * O + o];
        const real g1 = w[(((2 + phase / 2) * 4 + q) * C + c) * O + o];
        half[0][b] = g0;
        half[1][b] = g0 + g1;
        half[2][b] = g1;
    }
    const int plane = 4 * C * O;
    for (int i = 0; i < 3; i++) {
        u[(3 * i + 0) * plane + e] = half[i][0];
        u[(3 * i + 1) * plane + e] = half[i][0] + half[i][1];
        u[(3 * i + 2) * plane + e] = half[i][1];
    }
}

// dw (4, 4, C, O) from dU: the adjoint of the above. One thread per element of dw.
extern "C" __global__ void winograd_kernel_adjoint(const real* du, real* dw, int C, int O) {
    const int e = blockIdx.x * blockDim.x + threadIdx.x;
    if (e >= 16 * C * O) return;
    const int o = e % O, c = e / O % C, q = e / O / C % 4, p = e / O / C / 4;
    const int a = p / 2, b = q / 2, phase = p % 2 * 2 + q % 2;
    const real* at = du + (phase * C + c) * O + o;
    const int plane = 4 * C * O;
    // g0 went into u0 and u1, g1 into u1 and u2.
    dw[e] = (at[(3 * a + b) * plane] + at[(3 * a + b + 1) * plane]) +
            (at[(3 * a + b + 3) * plane] + at[(3 * a + b + 4) * plane]);
}

// V from x (N, H, W, C), padded by one pixel of zeros all round. One thread per (tile, k).
extern "C" __global__ void winograd_gather(
    const real* x, real* v, int N, int H, int W, int C, int tall, int wide
) {
    const int e = blockIdx.x * blockDim.x + threadIdx.x;
    const int plane = N * tall * wide * 4 * C;
    if (e >= plane) return;
    const int k = e % (4 * C), tile = e / (4 * C), c = k % C, phase = k / C;
    const int tj = tile % wide, ti = tile / wide % tall, n = tile / wide / tall;
    real half[3][3];
    for (int j = 0; j < 3; j++) {
        const int s = 2 * (2 * tj + j) + phase % 2 - 1;
        real d[3];
        for (int i = 0; i < 3; i++) {
            const int r = 2 * (2 * ti + i) + phase / 2 - 1;
            d[i] = r >= 0 && r < H && s >= 0 && s < W ? x[((n * H + r) * W + s) * C + c] : real(0);
        }
        half[0][j] = d[0] - d[1];
        half[1][j] = d[1];
        half[2][j] = d[2] - d[1];
    }
    for (int i = 0; i < 3; i++) {
        v[(3 * i + 0) * plane + e] = half[i][0] - half[i][1];
        v[(3 * i + 1) * plane + e] = half[i][1];
        v[(3 * i + 2) * plane + e] = half[i][2] - half[i][1];
    }
}

// Along one axis: if m is even, place m of a phase image is d0 of tile m/2 and d2 of the tile before; if m is odd, it
// is d1 of tile m/2. Returns the sign with which it went into product i, and the tile (if the sign is not 0).
__device__ int winograd_path(int m, int i, int tiles, int* tile) {
    *tile = m / 2 - (m % 2 == 0 && i == 2);
    if (m % 2) return i == 1 ? 1 : -1;  // v0 = .. - d1, v1 = d1, v2 = .. - d1
    return i == 1 || *tile < 0 || *tile >= tiles ? 0 : 1;
}

// dx (N, H, W, C) from dV: the adjoint of the gather. One thread per element of dx.
extern "C" __global__ void winograd_gather_adjoint(
    const real* dv, const real* b, real* dx, int N, int H, int W, int C, int tall, int wide
) {
    const int e = blockIdx.x * blockDim.x + threadIdx.x;
    if (e >= N * H * W * C) return;
    const int c = e % C, s = e / C % W, r = e / C / W % H, n = e / C / W / H;
    const int k = ((r + 1) % 2 * 2 + (s + 1) % 2) * C + c, plane = N * tall * wide * 4 * C;
    real sum = 0;
    for (int i = 0; i < 3; i++) {
        int ti, tj;
        const int up = winograd_path((r + 1) / 2, i, tall, &ti);
        for (int j = 0; j < 3; j++) {
            const int sign = up * winograd_path((s + 1) / 2, j, wide, &tj);
            if (sign) sum += sign * dv[(3 * i + j) * plane + ((n * tall + ti) * wide + tj) * 4 * C + k];
        }
    }
    dx[e] = b ? sum + b[c] : sum;
}

// y (N, Ho, Wo, O) from M. One thread per (tile, o).
extern "C" __global__ void winograd_output(
    const real* m, const real* b, real* y, int N, int Ho, int Wo, int O, int tall, int wide
) {
    const int e = blockIdx.x * blockDim.x + threadIdx.x;
    const int plane = N * tall * wide * O;
    if (e >= plane) return;
    const int o = e % O, tj = e / O % wide, ti = e / O / wide % tall, n = e / O / wide / tall;
    real half[2][3];
    for (int j = 0; j < 3; j++) {
        const real m1 = m[(3 + j) * plane + e] + (b && j == 1 ? b[o] : real(0));  // the middle one goes into all four
        half[0][j] = m[j * plane + e] + m1;
        half[1][j] = m1 + m[(6 + j) * plane + e];
    }
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 2; j++)
            if (2 * ti + i < Ho && 2 * tj + j < Wo)
                y[((n * Ho + 2 * ti + i) * Wo + 2 * tj + j) * O + o] = half[i][j] + half[i][j + 1];
}

// dM from dy (N, Ho, Wo, O): the adjoint of the above. One thread per (tile, o).
extern "C" __global__ void winograd_output_adjoint(
    const real* dy, real* dm, int N, int Ho, int Wo, int O, int tall, int wide
) {
    const int e = blockIdx.x * blockDim.x + threadIdx.x;
    const int plane = N * tall * wide * O;
    if (e >= plane) return;
    const int o = e % O, tj = e / O % wide, ti = e / O / wide % tall, n = e / O / wide / tall;
    real half[3][2];
    for (int b = 0; b < 2; b++) {
        const int i = 2 * ti, j = 2 * tj + b;
        const real* at = dy + ((n * Ho + i) * Wo + j) * O + o;
        const real y0 = j < Wo ? at[0] : real(0);
        const real y1 = j < Wo && i + 1 < Ho ? at[Wo * O] : real(0);
        half[0][b] = y0;
        half[1][b] = y0 + y1;
        half[2][b] = y1;
    }
    for (int i = 0; i < 3; i++) {
        dm[(3 * i + 0) * plane + e] = half[i][0];
        dm[(3 * i + 1) * plane + e] = half[i][0] + half[i][1];
        dm[(3 * i + 2) * plane + e] = half[i][1];
    }
}

// Every patch of x (N, H, W, C) as one row: cols (N*Ho*Wo, Kh*Kw*C). One thread per element of cols.
extern "C" __global__ void im2col(
    const real* x, real* cols, int N, int H, int W, int C, int Ho, int Wo, int Kh, int Kw, int S, int top, int left
) {
    const int e = blockIdx.x * blockDim.x + threadIdx.x;
    if (e >= N * Ho * Wo * Kh * Kw * C) return;
    const int c = e % C, q = e / C % Kw, p = e / C / Kw % Kh, row = e / C / Kw / Kh;
    const int j = row % Wo, i = row / Wo % Ho, n = row / Wo / Ho;
    const int r = S * i + p - top, s = S * j + q - left;
    cols[e] = r >= 0 && r < H && s >= 0 && s < W ? x[((n * H + r) * W + s) * C + c] : real(0);
}

// dx (N, H, W, C) from cols (N, Ho, Wo, Kh, Kw, C): the adjoint of the above. One thread per element of dx.
extern "C" __global__ void col2im(
    const real* cols, const real* b, real* dx,
    int N, int H, int W, int C, int Ho, int Wo, int Kh, int Kw, int S, int top, int left
) {
    const int e = blockIdx.x * blockDim.x + threadIdx.x;
    if (e >= N * H * W * C) return;
    const int c = e % C, s = e / C % W, r = e / C / W % H, n = e / C / W / H;
    real sum = 0;
    for (int p = (r + top) % S; p < Kh; p += S) {
        const int i = (r + top - p) / S;
        if (p > r + top || i >= Ho) continue;
        for (int q = (s + left) % S; q < Kw; q += S) {
            const int j = (s + left - q) / S;
            if (q > s + left || j >= Wo) continue;
            sum += cols[((((n * Ho + i) * Wo + j) * Kh + p) * Kw + q) * C + c];
        }
    }
    dx[e] = b ? sum + b[c] : sum;
}

// ------------------------------------------------------------------------------------------------ sums over the rows
// A reduction over the rows of a matrix (rows, C) has two steps. First, each block takes 32 channels and a slice of the
// rows; its 8 lanes walk down the slice side by side and are then added up as a tree. Second, one block per 32 channels
// adds up the slices. Shared memory is ordered as [lane][channel].

__device__ void add_lanes(real sums[LANES][CHANNELS]) {
    for (int half = LANES / 2; half; half /= 2) {
        __syncthreads();
        if (threadIdx.y < half) sums[threadIdx.y][threadIdx.x] += sums[threadIdx.y + half][threadIdx.x];
    }
}

// part (slices, C): the sum of every channel over every slice of x (rows, C).
extern "C" __global__ void column_sums(const real* x, real* part, int rows, int C, int rows_per_slice) {
    __shared__ real sums[LANES][CHANNELS];
    const int c = blockIdx.y * CHANNELS + threadIdx.x, first = blockIdx.x * rows_per_slice;
    const int last = min(first + rows_per_slice, rows);
    real sum = 0;
    if (c < C)
        for (int r = first + threadIdx.y; r < last; r += LANES) sum += x[(size_t)r * C + c];
    sums[threadIdx.y][threadIdx.x] = sum;
    add_lanes(sums);
    if (threadIdx.y == 0 && c < C) part[(size_t)blockIdx.x * C + c] = sums[0][threadIdx.x];
}

// Mean and summed squares around it, of two groups of values taken together (T. F. Chan et al. 1983): no large numbers
// are subtracted from each other, as they would be in E[x^2] - E[x]^2.
__device__ void merge_moments(real* n, real* mean, real* squares, real other_n, real other_mean, real other_squares) {
    if (other_n == 0) return;
    const real total = *n + other_n, apart = other_mean - *mean;
    *mean += apart * (other_n / total);
    *squares += other_squares + apart * apart * (*n * (other_n / total));
    *n = total;
}

struct Moments {
    real n[LANES][CHANNELS], mean[LANES][CHANNELS], squares[LANES][CHANNELS];
};

__device__ void merge_lanes(Moments* all) {
    const int y = threadIdx.y, x = threadIdx.x;
    for (int half = LANES / 2; half; half /= 2) {
        __syncthreads();
        if (y < half)
            merge_moments(&all->n[y][x], &all->mean[y][x], &all->squares[y][x],
                          all->n[y + half][x], all->mean[y + half][x], all->squares[y + half][x]);
    }
}

// part (2, slices, C): mean and summed squares of every channel over every slice of x (rows, C), read once.
extern "C" __global__ void moments(const real* x, real* part, int rows, int C, int rows_per_slice) {
    __shared__ Moments all;
    const int c = blockIdx.y * CHANNELS + threadIdx.x, first = blockIdx.x * rows_per_slice;
    const int last = min(first + rows_per_slice, rows);
    real n = 0, shift = 0, sum = 0, squares = 0;
    if (c < C)
        for (int r = first + threadIdx.y; r < last; r += LANES) {
            const real value = x[(size_t)r * C + c];
            if (n == 0) shift = value;  // distances from one of the values are small numbers
            const real d = value - shift;
            sum += d;
            squares += d * d;
            n += 1;
        }
    const real centre = n > 0 ? sum / n : real(0);
    squares -= sum * centre;
    all.n[threadIdx.y][threadIdx.x] = n;
    all.mean[threadIdx.y][threadIdx.x] = shift + centre;
    all.squares[threadIdx.y][threadIdx.x] = squares < 0 ? real(0) : squares;  // not max(): a NaN stays one
    merge_lanes(&all);
    if (threadIdx.y == 0 && c < C) {
        part[(size_t)blockIdx.x * C + c] = all.mean[0][threadIdx.x];
        part[(size_t)(gridDim.x + blockIdx.x) * C + c] = all.squares[0][threadIdx.x];
    }
}

// stats (3, C), mean, biased variance and 1 / sqrt(variance + eps), from the parts of `moments`.
extern "C" __global__ void moments_of_slices(
    const real* part, real* stats, int slices, int rows, int C, int rows_per_slice, real eps
) {
    __shared__ Moments all;
    const int c = blockIdx.x * CHANNELS + threadIdx.x;
    real n = 0, mean = 0, squares = 0;
    if (c < C)
        for (int slice = threadIdx.y; slice < slices; slice += LANES)
            merge_moments(&n, &mean, &squares, real(min(rows_per_slice, rows - slice * rows_per_slice)),
                          part[(size_t)slice * C + c], part[(size_t)(slices + slice) * C + c]);
    all.n[threadIdx.y][threadIdx.x] = n;
    all.mean[threadIdx.y][threadIdx.x] = mean;
    all.squares[threadIdx.y][threadIdx.x] = squares;
    merge_lanes(&all);
    if (threadIdx.y == 0 && c < C) {
        const real variance = all.squares[0][threadIdx.x] / rows;
        stats[c] = all.mean[0][threadIdx.x];
        stats[C + c] = variance;
        stats[2 * C + c] = 1 / sqrt(variance + eps);
    }
}

// ------------------------------------------------------------------------------ batch normalization with LeakyReLU
// y = max(alpha * z, z), z = gamma * xhat + beta, xhat = (x - mean) * inv_std; alpha = 1 is batch normalization alone.
// Backward computes xhat again from x: two operations are cheaper than one more array to store and to read.

__device__ real leaky(real slope_of, real value, real alpha) { return slope_of > 0 ? value : alpha * value; }

#define ROWS_PER_BLOCK 32  // what follows is not a reduction; a block takes 32 channels of 32 rows

// `stats` as `moments_of_slices` leaves it.
extern "C" __global__ void batch_norm_forward(
    const real* x, const real* stats, const real* gamma, const real* beta, real* y, int rows, int C, real alpha
) {
    const int c = blockIdx.y * CHANNELS + threadIdx.x, first = blockIdx.x * ROWS_PER_BLOCK;
    const int last = min(first + ROWS_PER_BLOCK, rows);
    if (c >= C) return;
    for (int r = first + threadIdx.y; r < last; r += LANES) {
        const real z = gamma[c] * ((x[(size_t)r * C + c] - stats[c]) * stats[2 * C + c]) + beta[c];
        y[(size_t)r * C + c] = leaky(z, z, alpha);
    }
}

// With given (moving) statistics.
extern "C" __global__ void batch_norm_inference(
    const real* x, const real* mean, const real* variance, const real* gamma, const real* beta, real* y,
    int rows, int C, real eps, real alpha
) {
    const int c = blockIdx.y * CHANNELS + threadIdx.x, first = blockIdx.x * ROWS_PER_BLOCK;
    const int last = min(first + ROWS_PER_BLOCK, rows);
    if (c >= C) return;
    const real inv_std = 1 / sqrt(variance[c] + eps);
    for (int r = first + threadIdx.y; r < last; r += LANES) {
        const real z = gamma[c] * ((x[(size_t)r * C + c] - mean[c]) * inv_std) + beta[c];
        y[(size_t)r * C + c] = leaky(z, z, alpha);
    }
}

// part (slices, 2, C): sums of dz and of dz * xhat; added up they are dbeta and dgamma.
extern "C" __global__ void batch_norm_backward_sums(
    const real* x, const real* y, const real* dy, const real* stats, real* part,
    int rows, int C, int rows_per_slice, real alpha
) {
    __shared__ real sums[LANES][CHANNELS], products[LANES][CHANNELS];
    const int c = blockIdx.y * CHANNELS + threadIdx.x, first = blockIdx.x * rows_per_slice;
    const int last = min(first + rows_per_slice, rows);
    real sum = 0, product = 0;
    if (c < C)
        for (int r = first + threadIdx.y; r < last; r += LANES) {
            const real dz = leaky(y[(size_t)r * C + c], dy[(size_t)r * C + c], alpha);
            sum += dz;
            product += dz * ((x[(size_t)r * C + c] - stats[c]) * stats[2 * C + c]);
        }
    sums[threadIdx.y][threadIdx.x] = sum;
    products[threadIdx.y][threadIdx.x] = product;
    add_lanes(sums);
    add_lanes(products);
    if (threadIdx.y == 0 && c < C) {
        part[(size_t)(2 * blockIdx.x) * C + c] = sums[0][threadIdx.x];
        part[(size_t)(2 * blockIdx.x + 1) * C + c] = products[0][threadIdx.x];
    }
}

// dx = gamma / std * (dz - mean(dz) - xhat * mean(dz * xhat)); `sums` (2, C) are dbeta and dgamma.
extern "C" __global__ void batch_norm_backward(
    const real* x, const real* y, const real* dy, const real* stats, const real* gamma, const real* sums, real* dx,
    int rows, int C, real alpha
) {
    const int c = blockIdx.y * CHANNELS + threadIdx.x, first = blockIdx.x * ROWS_PER_BLOCK;
    const int last = min(first + ROWS_PER_BLOCK, rows);
    if (c >= C) return;
    const real mean_dz = sums[c] / rows, mean_product = sums[C + c] / rows;
    for (int r = first + threadIdx.y; r < last; r += LANES) {
        const real xhat = (x[(size_t)r * C + c] - stats[c]) * stats[2 * C + c];
        const real dz = leaky(y[(size_t)r * C + c], dy[(size_t)r * C + c], alpha);
        dx[(size_t)r * C + c] = gamma[c] * stats[2 * C + c] * (dz - mean_dz - xhat * mean_product);
    }
}

// Both zero-debiased moving averages of a layer, in place; one block, because all channels share the count of updates.
extern "C" __global__ void moving_averages(
    const real* mean, const real* variance, real* moving_mean, real* biased_mean, real* moving_variance,
    real* biased_variance, real* updates, int C, real correction, real momentum
) {
    const real t = *updates + 1, debias = 1 - pow(momentum, t);
    __syncthreads();  // all threads have read the count
    if (threadIdx.x == 0) *updates = t;
    for (int c = threadIdx.x; c < C; c += blockDim.x) {
        biased_mean[c] = momentum * biased_mean[c] + (1 - momentum) * mean[c];
        moving_mean[c] = biased_mean[c] / debias;
        biased_variance[c] = momentum * biased_variance[c] + (1 - momentum) * (correction * variance[c]);
        moving_variance[c] = biased_variance[c] / debias;
    }
}

// ---------------------------------------------------------------------------------------- activations and the loss
extern "C" __global__ void leaky_relu_forward(const real* x, real* y, long long count, real alpha) {
    const long long e = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (e < count) y[e] = leaky(x[e], x[e], alpha);
}

extern "C" __global__ void leaky_relu_backward(const real* dy, const real* y, real* dx, long long count, real alpha) {
    const long long e = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (e < count) dx[e] = leaky(y[e], dy[e], alpha);
}

extern "C" __global__ void tanh_backward(const real* dy, const real* y, real* dx, long long count) {
    const long long e = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (e < count) dx[e] = dy[e] * (1 - y[e] * y[e]);
}

// Each image moved by its own whole number of pixels times `sign`, down and to the right; pixels that come in from
// outside are 0. `move` has two numbers per image.
extern "C" __global__ void translate(
    const real* x, const long long* move, real* y, int H, int W, int C, int sign, long long count
) {
    const long long e = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (e >= count) return;
    const long long n = e / C / W / H;
    const long long h = e / C / W % H - sign * move[2 * n], w = e / C % W - sign * move[2 * n + 1];  // where it was
    const bool inside = 0 <= h && h < H && 0 <= w && w < W;
    y[e] = inside ? x[((n * H + h) * W + w) * C + e % C] : real(0);
}

__device__ real sigmoid(real z) { return real(0.5) * tanh(real(0.5) * z) + real(0.5); }

// Sum over one block of 256 threads; only the first thread has the result.
__device__ real sum_of_block(real value, real* room) {
    room[threadIdx.x] = value;
    for (int half = blockDim.x / 2; half; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half) room[threadIdx.x] += room[threadIdx.x + half];
    }
    __syncthreads();  // before any thread writes to shared memory again
    return room[0];
}

// Mean binary cross-entropy of `count` logits; one block. See `minigan.nn.losses`.
extern "C" __global__ void bce_forward(
    const real* z, const real* target, real* loss, int count, real low, real high
) {
    __shared__ real room[256];
    real sum = 0;
    for (int e = threadIdx.x; e < count; e += blockDim.x) {
        const real l = z[e] < low ? low : z[e] > high ? high : z[e];
        sum += (l > 0 ? l : real(0)) - l * target[e] + log1p(exp(-fabs(l)));
    }
    sum = sum_of_block(sum, room);
    if (threadIdx.x == 0) *loss = sum / count;
}

extern "C" __global__ void bce_backward(
    const real* z, const real* target, real* dz, int count, real low, real high, real scale
) {
    const int e = blockIdx.x * blockDim.x + threadIdx.x;
    if (e < count) dz[e] = (sigmoid(z[e]) - target[e]) * (z[e] < low || z[e] > high ? real(0) : scale);
}

// What a training step reports: three losses, mean D(x), mean D(G(z)), share of right answers; one block.
extern "C" __global__ void step_metrics(
    const real* d_real, const real* d_fake, const real* g, const real* z_real, const real* z_fake, real* metrics,
    int count
) {
    __shared__ real room[256];
    real on_real = 0, on_fake = 0, right = 0;
    for (int e = threadIdx.x; e < count; e += blockDim.x) {
        on_real += sigmoid(z_real[e]);
        on_fake += sigmoid(z_fake[e]);
        right += (z_real[e] > 0 ? 1 : 0) + (z_fake[e] < 0 ? 1 : 0);
    }
    on_real = sum_of_block(on_real, room);
    on_fake = sum_of_block(on_fake, room);
    right = sum_of_block(right, room);
    if (threadIdx.x == 0) {
        metrics[0] = *d_real;
        metrics[1] = *d_fake;
        metrics[2] = *g;
        metrics[3] = on_real / count;
        metrics[4] = on_fake / count;
        metrics[5] = right / (2 * count);
    }
}

// ---------------------------------------------------------------------------- all tensors of a network in one launch
// `pieces` has a row per block: where its piece of each array starts, and how many elements it has.

extern "C" __global__ void fill_zero(const long long* pieces) {
    const long long* piece = pieces + 2 * blockIdx.x;
    real* a = (real*)piece[0];
    for (int e = threadIdx.x; e < piece[1]; e += blockDim.x) a[e] = 0;
}

// average += share * (latest - average), where the share lies on the device.
extern "C" __global__ void move_average(const long long* pieces, const real* share) {
    const long long* piece = pieces + 3 * blockIdx.x;
    real* average = (real*)piece[0];
    const real* latest = (const real*)piece[1];
    for (int e = threadIdx.x; e < piece[2]; e += blockDim.x) average[e] += *share * (latest[e] - average[e]);
}

// The count of updates and this update's rate live on the device, so that a captured step can be replayed.
extern "C" __global__ void adam_rate(long long* t, real* rate, double learning_rate, double beta_1, double beta_2) {
    *t += 1;
    *rate = real(learning_rate * sqrt(1 - pow(beta_2, double(*t))) / (1 - pow(beta_1, double(*t))));
}

extern "C" __global__ void adam(
    const long long* pieces, const real* rate, real beta_1, real one_minus_beta_1, real beta_2, real one_minus_beta_2,
    real eps
) {
    const long long* piece = pieces + 5 * blockIdx.x;
    real *p = (real*)piece[0], *m = (real*)piece[2], *v = (real*)piece[3];
    const real* g = (const real*)piece[1];
    for (int e = threadIdx.x; e < piece[4]; e += blockDim.x) {
        m[e] = beta_1 * m[e] + one_minus_beta_1 * g[e];
        v[e] = beta_2 * v[e] + one_minus_beta_2 * (g[e] * g[e]);
        p[e] -= *rate * (m[e] / (sqrt(v[e]) + eps));
    }
}
