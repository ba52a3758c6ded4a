// The generator in JavaScript: from 100 numbers to the pixels of a face, on one thread.
//
// minigan/play/browser_generator.py says how the file is made and why these steps are enough: every layer is a product
// of matrices, then a factor and a summand for each channel, then LeakyReLU or tanh. An image of side S with C channels
// is a Float32Array in the order row, column, channel.

const BLOCK = 4;  // the product computes BLOCK rows and BLOCK columns at once

// ---- Loading ----

/** The layers of a generator, ready to draw. `plan` is what the page says of it, `buffer` the bytes of the file. */
export function unpack(plan, buffer) {
  const counts = plan.map((layer) => matrixCount(layer) * rowsOf(layer) * columnsOf(layer));
  const channels = plan.reduce((sum, layer) => sum + 2 * layer.filters, 0);
  const bytes = 4 * channels + 2 * counts.reduce((sum, count) => sum + count, 0);
  if (buffer.byteLength !== bytes) throw new Error(`The generator's file must have ${bytes} bytes, but has ${buffer.byteLength}.`);
  const affine = new Float32Array(buffer, 0, channels);
  const halves = new Uint16Array(buffer, 4 * channels);
  const table = halfTable();
  let next = 0, start = 0;
  return plan.map((layer, i) => {
    const factors = affine.subarray(next, next + layer.filters);
    const summands = affine.subarray(next + layer.filters, next + 2 * layer.filters);
    next += 2 * layer.filters;
    const size = rowsOf(layer) * columnsOf(layer), matrices = [];
    for (let m = 0; m < matrixCount(layer); m++, start += size) {
      const matrix = new Float32Array(size);
      for (let k = 0; k < size; k++) matrix[k] = table[halves[start + k]] * factors[k % layer.filters];
      matrices.push(inPanels(matrix, rowsOf(layer), columnsOf(layer)));
    }
    return { ...layer, matrices, summands };
  });
}

const matrixCount = (layer) => (layer.kind === "up" ? 4 : 1);
const rowsOf = (layer) => layer.channels * { dense: 1, up: 4, conv: 9 }[layer.kind];
const columnsOf = (layer) => layer.filters * (layer.kind === "dense" ? 16 : 1);

/** What each of the 65536 patterns of a float16 means. Those of infinity and NaN do not occur. */
function halfTable() {
  const table = new Float32Array(65536);
  for (let bits = 0; bits < 65536; bits++) {
    const exponent = (bits >> 10) & 31, fraction = bits & 1023;
    const size = exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -24 * fraction;
    table[bits] = bits & 0x8000 ? -size : size;
  }
  return table;
}

/** A matrix cut into strips of BLOCK columns, each strip row by row, so that the product reads it in order. */
function inPanels(matrix, rows, columns) {
  const strips = Math.ceil(columns / BLOCK);
  const panels = new Float32Array(strips * rows * BLOCK);  // what is missing in the last strip stays 0
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++) panels[((c / BLOCK | 0) * rows + r) * BLOCK + c % BLOCK] = matrix[r * columns + c];
  }
  return panels;
}

// ---- Drawing ----

/** A face as RGBA bytes, for noise of 100 numbers. */
export function draw(layers, noise) {
  let image = Float32Array.from(noise), side = 1;
  for (const layer of layers) {
    const next = new Float32Array(layer.side * layer.side * layer.filters);
    if (layer.kind === "dense") {
      multiply(image, 1, layer.channels, layer.matrices[0], 16 * layer.filters, next, () => 0);
    } else if (layer.kind === "conv") {
      const patches = patchesOf(image, side, layer.channels, -1, -1, 3);
      multiply(patches, side * side, 9 * layer.channels, layer.matrices[0], layer.filters, next, (p) => p * layer.filters);
    } else {
      layer.matrices.forEach((matrix, kind) => {
        const oddRow = kind >> 1, oddColumn = kind & 1;
        const patches = patchesOf(image, side, layer.channels, oddRow - 1, oddColumn - 1, 2);
        const place = (p) => ((2 * (p / side | 0) + oddRow) * layer.side + 2 * (p % side) + oddColumn) * layer.filters;
        multiply(patches, side * side, 4 * layer.channels, matrix, layer.filters, next, place);
      });
    }
    activate(next, layer);
    [image, side] = [next, layer.side];
  }
  return pixelsOf(image);
}

/** The matrix with a row for each pixel: the `width` x `width` pixels from (top, left) of it on; outside there are zeros. */
function patchesOf(image, side, channels, top, left, width) {
  const patches = new Float32Array(side * side * width * width * channels);
  let to = 0;
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      for (let r = y + top; r < y + top + width; r++) {
        for (let c = x + left; c < x + left + width; c++, to += channels) {
          if (r < 0 || c < 0 || r >= side || c >= side) continue;
          const from = (r * side + c) * channels;
          patches.set(image.subarray(from, from + channels), to);
        }
      }
    }
  }
  return patches;
}

/**
 * y = a b, where a has `rows` rows of `depth` numbers and b, in panels, `depth` rows of `columns` numbers.
 *
 * Row r of y is written from place(r) on. The inner loop keeps 4 x 4 sums in variables, so that each number it reads is
 * used four times. Reading is what takes the time.
 */
function multiply(a, rows, depth, panels, columns, y, place) {
  for (let r = 0; r < rows; r += BLOCK) {
    // If fewer rows are left, the last one is computed again and written to the same place.
    const r1 = Math.min(r + 1, rows - 1), r2 = Math.min(r + 2, rows - 1), r3 = Math.min(r + 3, rows - 1);
    const to = [place(r), place(r1), place(r2), place(r3)];
    for (let c = 0, strip = 0; c < columns; c += BLOCK, strip += depth * BLOCK) {
      const sums = tile(a, r * depth, r1 * depth, r2 * depth, r3 * depth, depth, panels, strip);
      const width = Math.min(BLOCK, columns - c);
      for (let i = 0; i < BLOCK; i++) {
        for (let j = 0; j < width; j++) y[to[i] + c + j] = sums[BLOCK * i + j];
      }
    }
  }
}

const SUMS = new Float64Array(BLOCK * BLOCK);

function tile(a, i0, i1, i2, i3, depth, panels, j) {
  let s00 = 0, s01 = 0, s02 = 0, s03 = 0, s10 = 0, s11 = 0, s12 = 0, s13 = 0;
  let s20 = 0, s21 = 0, s22 = 0, s23 = 0, s30 = 0, s31 = 0, s32 = 0, s33 = 0;
  for (let k = 0; k < depth; k++, j += BLOCK) {
    const b0 = panels[j], b1 = panels[j + 1], b2 = panels[j + 2], b3 = panels[j + 3];
    let x = a[i0 + k];
    s00 += x * b0; s01 += x * b1; s02 += x * b2; s03 += x * b3;
    x = a[i1 + k];
    s10 += x * b0; s11 += x * b1; s12 += x * b2; s13 += x * b3;
    x = a[i2 + k];
    s20 += x * b0; s21 += x * b1; s22 += x * b2; s23 += x * b3;
    x = a[i3 + k];
    s30 += x * b0; s31 += x * b1; s32 += x * b2; s33 += x * b3;
  }
  SUMS[0] = s00; SUMS[1] = s01; SUMS[2] = s02; SUMS[3] = s03;
  SUMS[4] = s10; SUMS[5] = s11; SUMS[6] = s12; SUMS[7] = s13;
  SUMS[8] = s20; SUMS[9] = s21; SUMS[10] = s22; SUMS[11] = s23;
  SUMS[12] = s30; SUMS[13] = s31; SUMS[14] = s32; SUMS[15] = s33;
  return SUMS;
}

/** Add each channel's summand, then LeakyReLU or, in the last layer, tanh. */
function activate(image, { filters, slope, summands }) {
  for (let k = 0, c = 0; k < image.length; k++) {
    const x = image[k] + summands[c];
    image[k] = slope === null ? Math.tanh(x) : x > 0 ? x : slope * x;
    if (++c === filters) c = 0;
  }
}

/** Numbers in [-1, 1] to bytes, rounded to the nearest as in Python, with an opaque fourth channel. */
function pixelsOf(image) {
  const pixels = new Uint8ClampedArray(image.length / 3 * 4).fill(255);
  for (let k = 0, p = 0; k < image.length; k += 3, p += 4) {
    for (let c = 0; c < 3; c++) pixels[p + c] = Math.floor((image[k + c] + 1) * 127.5 + 0.5);
  }
  return pixels;
}
