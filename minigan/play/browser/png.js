// PNG files: a face, a sheet of faces, or a film (APNG: a PNG whose further frames older programs do not see). The format is
// that of the W3C's recommendation "PNG, third edition"; the browser's own zlib compresses.

const SIGNATURE = Uint8Array.of(137, 80, 78, 71, 13, 10, 26, 10);

/**
 * A file of one or more images (ImageData of equal size), enlarged by a whole number, with words in it; `seconds` is the
 * time of each frame. One frame after the other is enlarged: together they can be too many for a phone's memory.
 */
export async function pngOf(images, { words = "", seconds = 0, factor = 1 } = {}) {
  const [width, height] = [images[0].width * factor, images[0].height * factor];
  const chunks = [chunk("IHDR", [...uint32(width), ...uint32(height), 8, 2, 0, 0, 0])];  // 8 bits each of red, green, blue
  if (words) chunks.push(chunk("tEXt", new TextEncoder().encode(`Comment\0${words}`)));
  if (images.length > 1) chunks.push(chunk("acTL", [...uint32(images.length), ...uint32(0)]));  // 0: for ever
  let number = 0;
  for (const [i, image] of images.entries()) {
    if (images.length > 1) {
      const time = [...uint16(Math.round(1000 * seconds)), ...uint16(1000)];
      chunks.push(chunk("fcTL", [...uint32(number++), ...uint32(width), ...uint32(height), ...uint32(0), ...uint32(0), ...time, 0, 0]));
    }
    const data = await compressed(scanlines(enlarged(image, factor)));
    chunks.push(i === 0 ? chunk("IDAT", data) : chunk("fdAT", joined([Uint8Array.from(uint32(number++)), data])));
  }
  chunks.push(chunk("IEND", []));
  return new Blob([SIGNATURE, ...chunks], { type: "image/png" });
}

/** An image enlarged by a whole number, pixel by pixel. */
export function enlarged(image, factor) {
  const big = new ImageData(image.width * factor, image.height * factor);
  const from = new Uint32Array(image.data.buffer), to = new Uint32Array(big.data.buffer);
  for (let y = 0, k = 0; y < big.height; y++) {
    const row = (y / factor | 0) * image.width;
    for (let x = 0; x < big.width; x++, k++) to[k] = from[row + (x / factor | 0)];
  }
  return big;
}

/** Images side by side on white, as near to a square as they go. */
export function sheetOf(images, gap) {
  const columns = Math.ceil(Math.sqrt(images.length)), rows = Math.ceil(images.length / columns);
  const { width, height } = images[0];
  const canvas = document.createElement("canvas");
  canvas.width = columns * (width + gap) + gap;
  canvas.height = rows * (height + gap) + gap;
  const context = canvas.getContext("2d");
  context.fillStyle = "#fff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  images.forEach((image, i) => {
    context.putImageData(image, gap + (i % columns) * (width + gap), gap + Math.floor(i / columns) * (height + gap));
  });
  return context.getImageData(0, 0, canvas.width, canvas.height);
}

/** Offer a file to the reader, to be saved. */
export function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

// ---- Pieces of a file ----

/** Rows of red, green and blue, each after a 0: "no filter". */
function scanlines({ width, height, data }) {
  const lines = new Uint8Array(height * (1 + 3 * width));
  for (let y = 0, to = 0, from = 0; y < height; y++) {
    to++;
    for (let x = 0; x < width; x++, from += 4) {
      lines[to++] = data[from];
      lines[to++] = data[from + 1];
      lines[to++] = data[from + 2];
    }
  }
  return lines;
}

async function compressed(bytes) {
  if (typeof CompressionStream === "undefined") throw new Error("This browser cannot write PNG files; a newer one can.");
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Length, name, data, and a sum that shows damage. */
function chunk(name, data) {
  const body = joined([new TextEncoder().encode(name), Uint8Array.from(data)]);
  return joined([Uint8Array.from(uint32(data.length)), body, Uint8Array.from(uint32(crc32(body)))]);
}

const uint32 = (n) => [n >>> 24, n >>> 16 & 255, n >>> 8 & 255, n & 255];
const uint16 = (n) => [n >>> 8 & 255, n & 255];

function joined(parts) {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  parts.reduce((at, part) => { all.set(part, at); return at + part.length; }, 0);
  return all;
}

const CRC = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb88320 ^ n >>> 1 : n >>> 1;
  return n;
});

export function crc32(bytes) {
  let sum = ~0;
  for (const byte of bytes) sum = CRC[(sum ^ byte) & 255] ^ sum >>> 8;
  return ~sum >>> 0;
}
