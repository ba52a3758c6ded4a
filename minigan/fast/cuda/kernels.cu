// minigan's own GPU kernels. `minigan.fast.cuda.kernels` compiles this file when a kernel is needed for the first time,
// with REAL=float to train and with REAL=double to check gradients. The tests compile it for the processor as well.
//
// A small network keeps a GPU busy for microseconds at a time: the time goes into launches and walks through memory.
// Each kernel here therefore does in one pass what NumPy does in several. Three rules hold for all of them:
//
// * Channels come last in memory, so neighbouring threads take neighbouring channels: a warp reads one line.
// * Nothing is added with atomics. Every output has one thread, and the order of a sum depends on shapes and on the card
//   alone, so that a run repeats bit for bit.
// * In an adjoint, one thread computes one pixel: it collects all numbers that belong to it, and scatters none.
//
// Legend: `minigan.nn.conv`. Where the transforms come from, with a derivation: `minigan/fast/cpu/winograd.py`.

typedef REAL real;

#define CHANNELS 32  // channels per block: one warp
#define LANES 8      // rows that a block of a reduction reads at a time
#define ROWS_PER_BLOCK 32  // of a matrix, where nothing is reduced

// ------------------------------------------------------------------------------------- convolution as matrix products
// A block takes a line of an image or of its tiles: where it is comes from blockIdx and threadIdx, and the way from one
// number to the next is an addition. So nothing is divided by a size that is known only when the kernel runs.
//
//     blockIdx.x  image    blockIdx.y  row    threadIdx.x  channel    threadIdx.y (or z)  place in the row
//
// k4 s2 p1 = four interleaved 2x2 convolutions of stride 1 (the phases), each by Winograd's F(2,2), in both directions:
//
//     v0 = d0 - d1    v1 = d1    v2 = d2 - d1          u0 = g0    u1 = g0 + g1    u2 = g1
//     y0 = v0*u0 + v1*u1         y1 = v1*u1 + v2*u2
//
// A tile is 2x2 outputs. With k = (phase, channel) running over 4C, the middle is nine matrix products:
// V (9, tiles, 4C) @ U (9, 4C, O) = M (9, tiles, O). A bias b and LeakyReLU go with the last walk; b is null where there
// is none, and alpha is 1 where there is no LeakyReLU.

__device__ real leaky(real slope_of, real value, real alpha) { return slope_of > 0 ? value : alpha * value; }

// Whether 0 <= a < size, with one comparison: as an unsigned number, a negative one is larger than any size.
__device__ bool within(int a, int size) { return (unsigned)a < (unsigned)size; }

#define MOST_TENSORS 64

// Tensors that one launch works on; an argument that is passed by value (4096 bytes are allowed).
struct Tensors {
    real* at[MOST_TENSORS][4];
    int rows[MOST_TENSORS], columns[MOST_TENSORS];
};

// U (9, 4C, O) from w (4, 4, C, O), for several kernels: at[..][0] = w, at[..][1] = U, C rows, O columns. One thread per
// phase and c, for every 32nd o; blockIdx.y is the phase.
extern "C" __global__ void winograd_kernels(Tensors kernels) {
    const int C = kernels.rows[blockIdx.z], O = kernels.columns[blockIdx.z], phase = blockIdx.y;
    const int c = blockIdx.x * LANES + threadIdx.y;
    if (c >= C) return;
    const real* w = kernels.at[blockIdx.z][0] + ((phase / 2 * 4 + phase % 2) * C + c) * O;  // tap (0, 0) of this phase
    real* u = kernels.at[blockIdx.z][1] + (phase * C + c) * O;
    const int right = 2 * C * O, down = 8 * C * O, plane = 4 * C * O;
    for (int o = threadIdx.x; o < O; o += CHANNELS) {
        real half[3][2];  // transformed along the rows of the kernel
        for (int b = 0; b < 2; b++) {
            const real g0 = w[b * right + o], g1 = w[down + b * right + o];
            half[0][b] = g0;
            half[1][b] = g0 + g1;
            half[2][b] = g1;
        }
        for (int i = 0; i < 3; i++) {
            u[(3 * i + 0) * plane + o] = half[i][0];
            u[(3 * i + 1) * plane + o] = half[i][0] + half[i][1];
            u[(3 * i + 2) * plane + o] = half[i][1];
        }
    }
}

// dw (4, 4, C, O) from dU (9, parts, 4C, O): the adjoint of the above; the parts are added up. One thread per
// (phase, c, o).
extern "C" __global__ void winograd_kernel_adjoint(const real* du, real* dw, int C, int O, int parts) {
    const int c = blockIdx.x * LANES + threadIdx.y, phase = blockIdx.y, o = blockIdx.z * CHANNELS + threadIdx.x;
    if (c >= C || o >= O) return;
    const int from = (phase * C + c) * O + o, part = 4 * C * O, plane = parts * part;
    real sum[3][3];
    for (int i = 0; i < 9; i++) sum[i / 3][i % 3] = du[from + i * plane];
    for (int k = 1; k < parts; k++)
        for (int i = 0; i < 9; i++) sum[i / 3][i % 3] += du[from + k * part + i * plane];
    const int to = ((phase / 2 * 4 + phase % 2) * C + c) * O + o;
    for (int a = 0; a < 2; a++)  // g0 went into u0 and u1, g1 into u1 and u2
        for (int b = 0; b < 2; b++)
            dw[to + (8 * a + 2 * b) * C * O] = (sum[a][b] + sum[a][b + 1]) + (sum[a + 1][b] + sum[a + 1][b + 1]);
}

// V from x (N, H, W, C), padded by one pixel of zeros all round. One thread per (tile, phase, c); blockIdx.z counts
// phases and groups of channels.
extern "C" __global__ void winograd_gather(const real* x, real* v, int H, int W, int C, int wide) {
    const int phase = blockIdx.z % 4, c = blockIdx.z / 4 * blockDim.x + threadIdx.x;
    if (c >= C) return;
    const int n = blockIdx.x, tall = gridDim.y, ti = blockIdx.y, plane = gridDim.x * tall * wide * 4 * C;
    const int first_row = 4 * ti + phase / 2 - 1, first_column = phase % 2 - 1;
    const int from = (n * H + first_row) * W * C + c, two_rows = 2 * W * C;
    const int to = (n * tall + ti) * wide * 4 * C + phase * C + c;
    const bool top = first_row >= 0, middle = first_row + 2 < H, low = first_row + 4 < H;
    for (int tj = threadIdx.y; tj < wide; tj += blockDim.y) {
        real half[3][3];
        for (int j = 0; j < 3; j++) {
            const int s = first_column + 4 * tj + 2 * j, at = from + s * C;
            const bool inside = within(s, W);
            const real d0 = inside && top ? x[at] : real(0);
            const real d1 = inside && middle ? x[at + two_rows] : real(0);
            const real d2 = inside && low ? x[at + 2 * two_rows] : real(0);
            half[0][j] = d0 - d1;
            half[1][j] = d1;
            half[2][j] = d2 - d1;
        }
        for (int i = 0, at = to + tj * 4 * C; i < 3; i++, at += 3 * plane) {
            v[at] = half[i][0] - half[i][1];
            v[at + plane] = half[i][1];
            v[at + 2 * plane] = half[i][2] - half[i][1];
        }
    }
}

// dx (N, H, W, C) from dV: the adjoint of the gather. One thread per (tile, phase, c), for the four pixels that it has
// of that phase. Along one axis they are m = 2T+1, which is d1 of tile T alone, and one even m: d0 of one tile and d2 of
// the tile before. In phase 1 it is m = 2T, and the other tile is T-1; in phase 0 it is m = 2T+2, and the other is T+1.
extern "C" __global__ void winograd_gather_adjoint(
    const real* dv, const real* b, real* dx, int H, int W, int C, int wide, real alpha
) {
    const int phase = blockIdx.z % 4, c = blockIdx.z / 4 * blockDim.x + threadIdx.x;
    if (c >= C) return;
    const bool lower = phase / 2, right = phase % 2;
    const int n = blockIdx.x, tall = gridDim.y, ti = blockIdx.y, tile = 4 * C, plane = gridDim.x * tall * wide * tile;
    // The even pixel takes product 0 or 2 of its own tile and the opposite one of the other tile. The odd pixel takes all
    // three, v1 - v0 - v2. So it is enough to count the products from the other end.
    const int down = lower ? 3 * plane : -3 * plane, aside = right ? plane : -plane;
    const int from = (n * tall + ti) * wide * tile + phase * C + c + (lower ? 0 : 6 * plane) + (right ? 0 : 2 * plane);
    const int other_row = 2 * down + (lower ? -wide : wide) * tile, other_tile = 2 * aside + (right ? -tile : tile);
    const bool row_there = lower ? ti > 0 : ti + 1 < tall;
    const int even_row = 4 * ti + (lower ? 0 : 3), odd_row = 4 * ti + (lower ? 2 : 1);
    const int to_even = (n * H + even_row) * W * C + c, to_odd = (n * H + odd_row) * W * C + c;
    const bool has_even = even_row < H, has_odd = odd_row < H;
    const real bias = b ? b[c] : real(0);
    for (int tj = threadIdx.y; tj < wide; tj += blockDim.y) {
        const bool column_there = right ? tj > 0 : tj + 1 < wide;
        real even[4], odd[4];  // pixels along the rows, for the products 0, 1, 2 of this tile and 2 of the other
        for (int j = 0; j < 4; j++) {
            const int at = from + tj * tile + (j < 3 ? j * aside : other_tile);
            const bool there = j < 3 || column_there;
            const real v0 = there ? dv[at] : real(0);
            const real v1 = there ? dv[at + down] : real(0);
            const real v2 = there ? dv[at + 2 * down] : real(0);
            even[j] = v0 + (there && row_there ? dv[at + other_row] : real(0));
            odd[j] = v1 - v0 - v2;
        }
        for (int k = 0; k < 2; k++) {
            const int s = 4 * tj + (k ? (right ? 2 : 1) : (right ? 0 : 3));
            const real e = bias + (k ? even[1] - even[0] - even[2] : even[0] + even[3]);
            const real o = bias + (k ? odd[1] - odd[0] - odd[2] : odd[0] + odd[3]);
            if (s < W && has_even) dx[to_even + s * C] = leaky(e, e, alpha);
            if (s < W && has_odd) dx[to_odd + s * C] = leaky(o, o, alpha);
        }
    }
}

// y (N, Ho, Wo, O) from M. One thread per (tile, o); blockIdx.z counts groups of channels.
extern "C" __global__ void winograd_output(
    const real* m, const real* b, real* y, int Ho, int Wo, int O, int wide, real alpha
) {
    const int o = blockIdx.z * blockDim.x + threadIdx.x;
    if (o >= O) return;
    const int n = blockIdx.x, tall = gridDim.y, ti = blockIdx.y, plane = gridDim.x * tall * wide * O;
    const int from = (n * tall + ti) * wide * O + o, to = (n * Ho + 2 * ti) * Wo * O + o;
    const bool second_row = 2 * ti + 1 < Ho;
    const real bias = b ? b[o] : real(0);
    for (int tj = threadIdx.y; tj < wide; tj += blockDim.y) {
        real half[2][3];
        for (int j = 0, at = from + tj * O; j < 3; j++, at += plane) {
            const real m1 = m[at + 3 * plane] + (j == 1 ? bias : real(0));  // the middle one goes into all four
            half[0][j] = m[at] + m1;
            half[1][j] = m1 + m[at + 6 * plane];
        }
        for (int j = 0; j < 2; j++) {
            if (2 * tj + j >= Wo) continue;
            const int at = to + (2 * tj + j) * O;
            const real first = half[0][j] + half[0][j + 1], second = half[1][j] + half[1][j + 1];
            y[at] = leaky(first, first, alpha);
            if (second_row) y[at + Wo * O] = leaky(second, second, alpha);
        }
    }
}

// dM from dy (N, Ho, Wo, O): the adjoint of the above. One thread per (tile, o).
extern "C" __global__ void winograd_output_adjoint(const real* dy, real* dm, int Ho, int Wo, int O, int wide) {
    const int o = blockIdx.z * blockDim.x + threadIdx.x;
    if (o >= O) return;
    const int n = blockIdx.x, tall = gridDim.y, ti = blockIdx.y, plane = gridDim.x * tall * wide * O;
    const int from = (n * Ho + 2 * ti) * Wo * O + o, to = (n * tall + ti) * wide * O + o;
    const bool second_row = 2 * ti + 1 < Ho;
    for (int tj = threadIdx.y; tj < wide; tj += blockDim.y) {
        real half[3][2];
        for (int b = 0; b < 2; b++) {
            const int j = 2 * tj + b, at = from + j * O;
            const real y0 = j < Wo ? dy[at] : real(0);
            const real y1 = j < Wo && second_row ? dy[at + Wo * O] : real(0);
            half[0][b] = y0;
            half[1][b] = y0 + y1;
            half[2][b] = y1;
        }
        for (int i = 0, at = to + tj * O; i < 3; i++, at += 3 * plane) {
            dm[at] = half[i][0];
            dm[at + plane] = half[i][0] + half[i][1];
            dm[at + 2 * plane] = half[i][1];
        }
    }
}

// Every patch of x (N, H, W, C) as one row: cols (N*Ho*Wo, Kh*Kw*C). A row of a patch is a piece of a row of x, Kw*C
// numbers that lie side by side in both. threadIdx.x is the place in that piece, .y the row of the patch, .z the patch.
extern "C" __global__ void im2col(
    const real* x, real* cols, int H, int W, int C, int Ho, int Wo, int Kh, int Kw, int S, int top, int left
) {
    const int n = blockIdx.x, i = blockIdx.y, piece = Kw * C, row = W * C, patch = Kh * piece;
    for (int p = threadIdx.y; p < Kh; p += blockDim.y) {
        const int r = S * i + p - top;
        const bool inside = within(r, H);
        const int from = (n * H + r) * row, to = (n * Ho + i) * Wo * patch + p * piece;
        for (int t = threadIdx.x; t < piece; t += blockDim.x) {
            const int before = t - left * C;
            for (int j = threadIdx.z; j < Wo; j += blockDim.z) {
                const int place = S * j * C + before;
                cols[to + t + j * patch] = inside && within(place, row) ? x[from + place] : real(0);
            }
        }
    }
}

// The sums of one row of dx, r = S*i - top + phase, which begins at `to`; `from` is where cols has its image. A thread
// takes one or two pixels s = S*j - left + side that lie side by side, from `side` on. They get a number from every patch
// (i - k, j - l) that covers them. Callers give Kh, Kw and S as constants where they can: then the loops are unrolled.
__device__ void add_patches(
    const real* cols, const real* b, real* dx, int from, int to, int W, int C, int Ho, int Wo, int Kh, int Kw, int S,
    int left, int i, int phase, int side, int pixels
) {
    const int patch = Kh * Kw * C, up = Wo * patch - S * Kw * C, back = patch - S * C;
    for (int c = threadIdx.x; c < C; c += blockDim.x) {
        const int first = from + ((i * Wo * Kh + phase) * Kw + side) * C + c;
        const real bias = b ? b[c] : real(0);
        for (int j = threadIdx.y, s = S * j - left + side; s < W; j += blockDim.y, s += S * blockDim.y) {
            real sum[2] = {bias, bias};
            for (int k = 0; S * k < Kh; k++)
                for (int l = 0; S * l < Kw; l++) {
                    // The last row or column of patches has a pixel of this phase only if S divides the size.
                    const bool covers = (Kh % S == 0 || phase + S * k < Kh) && (Kw % S == 0 || side + S * l < Kw);
                    if (!covers || !within(i - k, Ho) || !within(j - l, Wo)) continue;
                    const real* at = cols + (first + j * patch - k * up - l * back);
                    for (int pixel = 0; pixel < pixels; pixel++) sum[pixel] += at[pixel * C];
                }
            real* pixel = dx + (to + s * C + c);
            if (s >= 0) pixel[0] = sum[0];
            if (pixels == 2 && within(s + 1, W)) pixel[C] = sum[1];
        }
    }
}

// dx (N, H, W, C) from cols (N, Ho, Wo, Kh, Kw, C): the adjoint of im2col. A block takes the row S*blockIdx.y +
// blockIdx.z - top of some images.
extern "C" __global__ void col2im(
    const real* cols, const real* b, real* dx, int N, int H, int W, int C, int Ho, int Wo, int Kh, int Kw, int S,
    int top, int left
) {
    const int n = blockIdx.x * blockDim.z + threadIdx.z, i = blockIdx.y, phase = blockIdx.z, r = S * i + phase - top;
    if (n >= N || !within(r, H)) return;
    const int from = n * Ho * Wo * Kh * Kw * C, to = (n * H + r) * W * C;
    if (Kh == 4 && Kw == 4 && S == 2)
        add_patches(cols, b, dx, from, to, W, C, Ho, Wo, 4, 4, 2, left, i, phase, 0, 2);
    else
        for (int side = 0; side < S; side++)
            add_patches(cols, b, dx, from, to, W, C, Ho, Wo, Kh, Kw, S, left, i, phase, side, 1);
}

// 3x3 s1: the same idea with tiles of 4x4 outputs, F(4,3), at the points 0, 1, -1, -2, 1/2: V (36, tiles, C) @
// U (36, C, O) = M (36, tiles, O), a quarter of the multiplications. Its matrices are those of the CPU.

template <int R, int K> __device__ void multiply(const real (&matrix)[R][K], const real (&in)[K], real (&out)[R]) {
    for (int r = 0; r < R; r++) {
        out[r] = 0;
        for (int k = 0; k < K; k++)
            if (matrix[r][k] != 0) out[r] += matrix[r][k] * in[k];
    }
}

template <int R, int K> __device__ void multiply_turned(const real (&matrix)[R][K], const real (&in)[R], real (&out)[K]) {
    for (int k = 0; k < K; k++) {
        out[k] = 0;
        for (int r = 0; r < R; r++)
            if (matrix[r][k] != 0) out[k] += matrix[r][k] * in[r];
    }
}

#define AT {{1, 1, 1, 1, 1, 0}, {0, 1, -1, -2, 0.5, 0}, {0, 1, 1, 4, 0.25, 0}, {0, 1, -1, -8, 0.125, 1}}
#define G {{1, 0, 0}, {real(1) / 3, real(1) / 3, real(1) / 3}, {-real(1) / 3, real(1) / 3, -real(1) / 3}, \
           {real(1) / 15, -real(2) / 15, real(4) / 15}, {-real(16) / 15, -real(8) / 15, -real(4) / 15}, {0, 0, 1}}
#define BT {{1, -1.5, -2, 1.5, 1, 0}, {0, -1, 0.5, 2.5, 1, 0}, {0, 1, -2.5, 0.5, 1, 0}, \
            {0, 0.5, -1, -0.5, 1, 0}, {0, -2, -1, 2, 1, 0}, {0, 1, -1.5, -2, 1.5, 1}}

// U (36, C, O) from w (3, 3, C, O); if `turned`, from w (3, 3, O, C) turned by half a circle, with C and O exchanged: the
// kernel with which a gradient goes back. One thread per (c, o).
extern "C" __global__ void winograd3_kernel(const real* w, real* u, int C, int O, int turned) {
    const int c = blockIdx.x * LANES + threadIdx.y, o = blockIdx.y * CHANNELS + threadIdx.x;
    if (c >= C || o >= O) return;
    const real g[6][3] = G;
    const int from = turned ? 8 * C * O + o * C + c : c * O + o, tap = turned ? -C * O : C * O;
    real half[3][6];  // [column of the kernel][row of U]
    for (int q = 0; q < 3; q++) {
        const real column[3] = {w[from + q * tap], w[from + (3 + q) * tap], w[from + (6 + q) * tap]};
        multiply(g, column, half[q]);
    }
    for (int i = 0; i < 6; i++) {
        const real row[3] = {half[0][i], half[1][i], half[2][i]};
        real whole[6];
        multiply(g, row, whole);
        for (int j = 0; j < 6; j++) u[(6 * i + j) * C * O + c * O + o] = whole[j];
    }
}

// dw (3, 3, C, O) from dU (36, parts, C, O): the adjoint of the above; the parts are added up. One thread per (c, o).
extern "C" __global__ void winograd3_kernel_adjoint(const real* du, real* dw, int C, int O, int parts) {
    const int c = blockIdx.x * LANES + threadIdx.y, o = blockIdx.z * CHANNELS + threadIdx.x;
    if (c >= C || o >= O) return;
    const real g[6][3] = G;
    const int from = c * O + o, part = C * O, plane = parts * part;
    real sum[6][6], half[6][3];  // [row of U][column of U], [row of U][column of the kernel]
    for (int i = 0; i < 36; i++) sum[i / 6][i % 6] = du[from + i * plane];
    for (int k = 1; k < parts; k++)
        for (int i = 0; i < 36; i++) sum[i / 6][i % 6] += du[from + k * part + i * plane];
    for (int i = 0; i < 6; i++) multiply_turned(g, sum[i], half[i]);
    for (int q = 0; q < 3; q++) {
        const real column[6] = {half[0][q], half[1][q], half[2][q], half[3][q], half[4][q], half[5][q]};
        real whole[3];
        multiply_turned(g, column, whole);
        for (int p = 0; p < 3; p++) dw[((3 * p + q) * C + c) * O + o] = whole[p];
    }
}

// V from x (N, H, W, C), with `top` and `left` zeros before it. One thread per (tile, c); blockIdx.z counts groups of
// channels.
extern "C" __global__ void winograd3_gather(
    const real* x, real* v, int H, int W, int C, int wide, int top, int left
) {
    const int c = blockIdx.z * blockDim.x + threadIdx.x;
    if (c >= C) return;
    const real bt[6][6] = BT;
    const int n = blockIdx.x, tall = gridDim.y, ti = blockIdx.y, plane = gridDim.x * tall * wide * C;
    const int first = 4 * ti - top, from = (n * H + first) * W * C + c, to = (n * tall + ti) * wide * C + c;
    for (int tj = threadIdx.y; tj < wide; tj += blockDim.y) {
        real half[6][6];  // [column][row of V]
        for (int j = 0; j < 6; j++) {
            const int s = 4 * tj - left + j, at = from + s * C;
            const bool inside = within(s, W);
            real column[6];
            for (int i = 0; i < 6; i++) column[i] = inside && within(first + i, H) ? x[at + i * W * C] : real(0);
            multiply(bt, column, half[j]);
        }
        for (int i = 0, at = to + tj * C; i < 6; i++) {
            const real row[6] = {half[0][i], half[1][i], half[2][i], half[3][i], half[4][i], half[5][i]};
            real whole[6];
            multiply(bt, row, whole);
            for (int j = 0; j < 6; j++, at += plane) v[at] = whole[j];
        }
    }
}

// y (N, Ho, Wo, O) from M. One thread per (tile, o).
extern "C" __global__ void winograd3_output(
    const real* m, const real* b, real* y, int Ho, int Wo, int O, int wide, real alpha
) {
    const int o = blockIdx.z * blockDim.x + threadIdx.x;
    if (o >= O) return;
    const real at_[4][6] = AT;
    const int n = blockIdx.x, tall = gridDim.y, ti = blockIdx.y, plane = gridDim.x * tall * wide * O;
    const int from = (n * tall + ti) * wide * O + o, to = (n * Ho + 4 * ti) * Wo * O + o;
    const real bias = b ? b[o] : real(0);
    for (int tj = threadIdx.y; tj < wide; tj += blockDim.y) {
        real half[6][4];  // [row of M][column of y]
        for (int i = 0, at = from + tj * O; i < 6; i++) {
            real row[6];
            for (int j = 0; j < 6; j++, at += plane) row[j] = m[at];
            if (i == 1) row[1] += bias;  // the product at the points (1, 1) goes into all 16
            multiply(at_, row, half[i]);
        }
        for (int j = 0; j < 4; j++) {
            const real column[6] = {half[0][j], half[1][j], half[2][j], half[3][j], half[4][j], half[5][j]};
            real whole[4];
            multiply(at_, column, whole);
            if (4 * tj + j >= Wo) continue;
            for (int i = 0; i < 4; i++)
                if (4 * ti + i < Ho) y[to + (i * Wo + 4 * tj + j) * O] = leaky(whole[i], whole[i], alpha);
        }
    }
}

// dM from dy (N, Ho, Wo, O): the adjoint of the above. One thread per (tile, o).
extern "C" __global__ void winograd3_output_adjoint(const real* dy, real* dm, int Ho, int Wo, int O, int wide) {
    const int o = blockIdx.z * blockDim.x + threadIdx.x;
    if (o >= O) return;
    const real at_[4][6] = AT;
    const int n = blockIdx.x, tall = gridDim.y, ti = blockIdx.y, plane = gridDim.x * tall * wide * O;
    const int from = (n * Ho + 4 * ti) * Wo * O + o, to = (n * tall + ti) * wide * O + o;
    for (int tj = threadIdx.y; tj < wide; tj += blockDim.y) {
        real half[4][6];  // [column of dy][row of dM]
        for (int j = 0; j < 4; j++) {
            const int s = 4 * tj + j, at = from + s * O;
            real column[4];
            for (int i = 0; i < 4; i++) column[i] = s < Wo && 4 * ti + i < Ho ? dy[at + i * Wo * O] : real(0);
            multiply_turned(at_, column, half[j]);
        }
        for (int i = 0, at = to + tj * O; i < 6; i++) {
            const real row[4] = {half[0][i], half[1][i], half[2][i], half[3][i]};
            real whole[6];
            multiply_turned(at_, row, whole);
            for (int j = 0; j < 6; j++, at += plane) dm[at] = whole[j];
        }
    }
}

// y = LeakyReLU(y + b), in place, for y (rows, C).
extern "C" __global__ void bias_and_leaky_relu(real* y, const real* b, int rows, int C, real alpha) {
    const int c = blockIdx.y * CHANNELS + threadIdx.x, first = blockIdx.x * ROWS_PER_BLOCK;
    const int last = min(first + ROWS_PER_BLOCK, rows);
    if (c >= C) return;
    for (int r = first + threadIdx.y; r < last; r += LANES) {
        const real sum = y[(size_t)r * C + c] + b[c];
        y[(size_t)r * C + c] = leaky(sum, sum, alpha);
    }
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
// Backward computes xhat again from x, and z as well if it is given beta instead of y: a few operations are cheaper than
// one more array to read. z decides on which side of LeakyReLU a number lies, so it is one fused operation by order, and
// the same to the last bit each time.

// What batch normalization needs of one channel; `stats` as `moments_of_slices` leaves it.
struct Norm {
    real mean, inv_std, gamma, beta;
};

__device__ Norm norm_of(const real* stats, const real* gamma, const real* beta, int c, int C) {
    return {stats[c], stats[2 * C + c], gamma[c], beta ? beta[c] : real(0)};
}

__device__ real normalised(real x, Norm norm) { return (x - norm.mean) * norm.inv_std; }

__device__ real shifted(real xhat, Norm norm) { return fma(norm.gamma, xhat, norm.beta); }

extern "C" __global__ void batch_norm_forward(
    const real* x, const real* stats, const real* gamma, const real* beta, real* y, int rows, int C, real alpha
) {
    const int c = blockIdx.y * CHANNELS + threadIdx.x, first = blockIdx.x * ROWS_PER_BLOCK;
    const int last = min(first + ROWS_PER_BLOCK, rows);
    if (c >= C) return;
    const Norm norm = norm_of(stats, gamma, beta, c, C);
    for (int r = first + threadIdx.y; r < last; r += LANES) {
        const real z = shifted(normalised(x[(size_t)r * C + c], norm), norm);
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
    const real* x, const real* y, const real* dy, const real* stats, const real* gamma, const real* beta, real* part,
    int rows, int C, int rows_per_slice, real alpha
) {
    __shared__ real sums[LANES][CHANNELS], products[LANES][CHANNELS];
    const int c = blockIdx.y * CHANNELS + threadIdx.x, first = blockIdx.x * rows_per_slice;
    const int last = min(first + rows_per_slice, rows);
    real sum = 0, product = 0;
    if (c < C) {
        const Norm norm = norm_of(stats, gamma, beta, c, C);
        for (int r = first + threadIdx.y; r < last; r += LANES) {
            const real xhat = normalised(x[(size_t)r * C + c], norm);
            const real z = y ? y[(size_t)r * C + c] : shifted(xhat, norm);
            const real dz = leaky(z, dy[(size_t)r * C + c], alpha);
            sum += dz;
            product += dz * xhat;
        }
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
    const real* x, const real* y, const real* dy, const real* stats, const real* gamma, const real* beta,
    const real* sums, real* dx, int rows, int C, real alpha
) {
    const int c = blockIdx.y * CHANNELS + threadIdx.x, first = blockIdx.x * ROWS_PER_BLOCK;
    const int last = min(first + ROWS_PER_BLOCK, rows);
    if (c >= C) return;
    const Norm norm = norm_of(stats, gamma, beta, c, C);
    const real mean_dz = sums[c] / rows, mean_product = sums[C + c] / rows;
    for (int r = first + threadIdx.y; r < last; r += LANES) {
        const real xhat = normalised(x[(size_t)r * C + c], norm);
        const real z = y ? y[(size_t)r * C + c] : shifted(xhat, norm);
        const real dz = leaky(z, dy[(size_t)r * C + c], alpha);
        dx[(size_t)r * C + c] = norm.gamma * norm.inv_std * (dz - mean_dz - xhat * mean_product);
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
    const real sum = threadIdx.x == 0 ? room[0] : real(0);
    __syncthreads();  // before any thread writes to shared memory again
    return sum;
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
// blockIdx.y is the tensor, with `columns` elements; its blocks go through them together.

// average += share * (latest - average), where the share lies on the device.
extern "C" __global__ void move_average(Tensors tensors, const real* share) {
    real* average = tensors.at[blockIdx.y][0];
    const real* latest = tensors.at[blockIdx.y][1];
    const int count = tensors.columns[blockIdx.y];
    for (int e = blockIdx.x * blockDim.x + threadIdx.x; e < count; e += gridDim.x * blockDim.x)
        average[e] += *share * (latest[e] - average[e]);
}

// The count of updates and this update's rate live on the device, so that a captured step can be replayed.
extern "C" __global__ void adam_rate(long long* t, real* rate, double learning_rate, double beta_1, double beta_2) {
    *t += 1;
    *rate = real(learning_rate * sqrt(1 - pow(beta_2, double(*t))) / (1 - pow(beta_1, double(*t))));
}

// Parameters, gradients, and both moments.
extern "C" __global__ void adam(
    Tensors tensors, const real* rate, real beta_1, real one_minus_beta_1, real beta_2, real one_minus_beta_2, real eps
) {
    real *p = tensors.at[blockIdx.y][0], *m = tensors.at[blockIdx.y][2], *v = tensors.at[blockIdx.y][3];
    const real* g = tensors.at[blockIdx.y][1];
    const int count = tensors.columns[blockIdx.y];
    for (int e = blockIdx.x * blockDim.x + threadIdx.x; e < count; e += gridDim.x * blockDim.x) {
        m[e] = beta_1 * m[e] + one_minus_beta_1 * g[e];
        v[e] = beta_2 * v[e] + one_minus_beta_2 * (g[e] * g[e]);
        p[e] -= *rate * (m[e] / (sqrt(v[e]) + eps));
    }
}
