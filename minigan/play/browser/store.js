// What the browser keeps from one visit to the next. For each generator, by its weights: favourites and history, as the texts
// of faces. For all of them: what was turned off. Where nothing can be kept (a private window), the page works as well, until
// it is closed.
import { faceOf, textOf } from "./face.js";

export class Store {
  constructor(weights) {
    this.weights = weights;
  }

  /** The list kept under a name; what is no face of this generator is left out. */
  read(name) {
    let texts = [];
    try { texts = JSON.parse(localStorage.getItem(this.key(name))) ?? []; } catch { /* nothing was kept */ }
    return Array.isArray(texts) ? texts.flatMap((text) => {
      try { return [faceOf(String(text), this.weights)]; } catch { return []; }
    }) : [];
  }

  write(name, faces) {
    try {
      localStorage.setItem(this.key(name), JSON.stringify(faces.map((face) => textOf(face, this.weights))));
    } catch { /* it cannot be kept */ }
  }

  /** Tell a listener the list whenever another tab has written it. */
  onChange(name, listener) {
    window.addEventListener("storage", ({ key }) => { if (key === this.key(name)) listener(this.read(name)); });
  }

  /** Whether something was turned off, whichever generator was shown then. */
  isOff(name) {
    try { return localStorage.getItem(`minigan-explore-${name}`) === "off"; } catch { return false; }
  }

  turn(name, on) {
    try {
      localStorage.setItem(`minigan-explore-${name}`, on ? "on" : "off");
    } catch { /* it cannot be kept */ }
  }

  key(name) {
    return `minigan-explore-${name}-${this.weights}`;
  }
}
