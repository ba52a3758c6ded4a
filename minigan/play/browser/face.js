// A face is 100 whole numbers from -128 to 127, an Int8Array: its noise in steps of 1/32. All that can be done with noise
// is here: random faces, variations, mixtures, paths, sliders, and the text of a face (minigan/play/face_text.py).

export const SIZE = 100;
const UNIT = 32;

// ---- Noise as numbers ----

/** Noise to the nearest face; halves are rounded up, and what a byte cannot hold is clipped. */
export function rounded(noise) {
  return Int8Array.from(noise, (x) => Math.max(-128, Math.min(127, Math.floor(x * UNIT + 0.5))));
}

export const noiseOf = (face) => Float64Array.from(face, (k) => k / UNIT);
export const same = (a, b) => a.every((k, i) => k === b[i]);

/** 100 independent numbers from N(0, 1), by the method of Box and Muller. */
function normal() {
  return Float64Array.from({ length: SIZE }, () =>
    Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random()));
}

const dot = (a, b) => a.reduce((sum, x, i) => sum + x * b[i], 0);
const lengthOf = (a) => Math.sqrt(dot(a, a));
const scaled = (a, factor) => a.map((x) => x * factor);

/** a with another length; a vector of zeros stays. */
const withLength = (a, length) => scaled(a, length / (lengthOf(a) || 1));

// ---- Other faces ----

export const random = () => rounded(normal());

/** A face at an angle from this one, in a random direction, and as long: noise of the usual length gives usual faces. */
export function variation(face, angle) {
  const z = noiseOf(face), length = lengthOf(z) || 1;
  const other = normal(), along = dot(other, z) / length ** 2;
  const aside = withLength(other.map((x, i) => x - along * z[i]), length);
  return rounded(z.map((x, i) => Math.cos(angle) * x + Math.sin(angle) * aside[i]));
}

/** The face at a share t of the way from a to b, on the great circle (slerp); t is from 0 to 1. */
export function between(a, b, t) {
  return rounded(mixture(noiseOf(a), noiseOf(b), t));
}

/** The face in a plane with four corners: x is the way from a to b and from c to d, y the way from above to below. */
export function inPlane([a, b, c, d], x, y) {
  const above = mixture(noiseOf(a), noiseOf(b), x);
  return rounded(c ? mixture(above, mixture(noiseOf(c), noiseOf(d), x), y) : above);
}

function mixture(a, b, t) {
  const lengths = [lengthOf(a), lengthOf(b)];
  const angle = Math.acos(Math.max(-1, Math.min(1, dot(a, b) / (lengths[0] * lengths[1] || 1))));
  if (Math.sin(angle) < 1e-6) return a.map((x, i) => (1 - t) * x + t * b[i]);  // the same or opposite: a straight line
  const [p, q] = [Math.sin((1 - t) * angle) / Math.sin(angle), Math.sin(t * angle) / Math.sin(angle)];
  return a.map((x, i) => p * x + q * b[i]);
}

/** The face moved along directions by amounts, in lengths of its noise, and scaled back to its length. */
export function slid(face, directions, amounts) {
  const z = noiseOf(face), length = lengthOf(z);
  const moved = z.map((x, i) => x + length * directions.reduce((sum, d, k) => sum + amounts[k] * d.vector[i], 0));
  return amounts.some(Boolean) ? rounded(withLength(moved, length)) : face;
}

// ---- The text of a face ----

export const TEXT_LENGTH = 147;

export function textOf(face, weights) {
  const bytes = String.fromCharCode(...new Uint8Array(face.buffer, face.byteOffset, SIZE));
  return `mg1-${weights}-${btoa(bytes).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "")}`;
}

/** The face of a text, or of an address with the text behind #. What is wrong with it is thrown, in one line. */
export function faceOf(text, weights) {
  text = text.trim().split("#").pop();
  const parts = /^mg1-([0-9a-f]{8})-(.*)$/s.exec(text);
  if (!parts) throw new Error("A face's text begins with mg1-, 8 digits from 0-9 and a-f, and a second -.");
  const wrong = /[^A-Za-z0-9_-]/u.exec(parts[2]);
  if (wrong) throw new Error(`A face's text is made of A-Z, a-z, 0-9, - and _; this one holds ${JSON.stringify(wrong[0])}.`);
  if (text.length !== TEXT_LENGTH) {
    const reason = text.length < TEXT_LENGTH ? "it has been cut" : "something has been added to it";
    throw new Error(`A face's text has ${TEXT_LENGTH} characters, and this one ${text.length}: ${reason}.`);
  }
  const bytes = atob(parts[2].replaceAll("-", "+").replaceAll("_", "/") + "==");
  const face = Int8Array.from(bytes, (c) => c.charCodeAt(0) << 24 >> 24);
  if (textOf(face, parts[1]) !== text) throw new Error("A face's text cannot end in this character.");
  if (parts[1] !== weights) {
    throw new Error(`This text is of a face of other weights: it begins with mg1-${parts[1]}, and those here with mg1-${weights}.`);
  }
  return face;
}
