// Paints faces on canvases. Drawing takes time, so there is a queue: what is wanted soonest comes first, what a canvas was
// to show before is forgotten, and what has been drawn once is remembered.
import { textOf } from "./face.js";

const REMEMBERED = 800;  // faces; at 64 x 64 pixels each takes 16 KB

export class Artist {
  constructor({ draw, atOnce }, size, onTrouble) {
    Object.assign(this, { engine: draw, atOnce, size, onTrouble });
    this.remembered = new Map();
    this.wanted = new Map();  // from a canvas to { face, key, urgent }
    this.busy = false;
  }

  /** Show a face on a canvas, soon. */
  paint(canvas, face, { urgent = false } = {}) {
    const key = textOf(face, "");
    const known = this.remembered.get(key);
    this.wanted.delete(canvas);
    if (known) {
      this.show(canvas, known);
    } else {
      this.wanted.set(canvas, { face, key, urgent });
      this.work();
    }
  }

  /** A promise of a face's pixels, as ImageData; for films and files. */
  async image(face) {
    const key = textOf(face, "");
    if (!this.remembered.has(key)) this.remember(key, (await this.engine([face]))[0]);
    return this.remembered.get(key);
  }

  async work() {
    if (this.busy) return;
    this.busy = true;
    try {
      for (let next = this.next(); next.length; next = this.next()) {
        const pixels = await this.engine(next.map(([, wish]) => wish.face));
        next.forEach(([canvas, wish], i) => {
          const image = this.remember(wish.key, pixels[i]);
          const now = this.wanted.get(canvas);
          // While something is dragged, an image that is a little late is better than none.
          if (now?.urgent && now.key !== wish.key) this.show(canvas, image);
          for (const [each, other] of [...this.wanted]) {
            if (other.key !== wish.key) continue;
            this.wanted.delete(each);
            this.show(each, image);
          }
        });
        this.onTrouble(null);
      }
    } catch (error) {
      this.onTrouble(error);
    } finally {
      this.busy = false;
    }
  }

  /** The wishes to draw next, urgent ones first, each face once; canvases that have left the page want nothing any more. */
  next() {
    for (const canvas of this.wanted.keys()) if (!canvas.isConnected) this.wanted.delete(canvas);
    const all = [...this.wanted], urgent = all.filter(([, wish]) => wish.urgent);
    const seen = all.filter(([canvas, wish]) => !wish.urgent && canvas.offsetParent !== null);
    const keys = new Set();
    const chosen = (urgent.length ? urgent : seen.length ? seen : all).filter(([, { key }]) => !keys.has(key) && keys.add(key));
    return chosen.slice(0, this.atOnce);
  }

  remember(key, pixels) {
    const image = new ImageData(pixels, this.size, this.size);
    this.remembered.set(key, image);
    if (this.remembered.size > REMEMBERED) this.remembered.delete(this.remembered.keys().next().value);
    return image;
  }

  show(canvas, image) {
    if (canvas.width !== this.size) canvas.width = canvas.height = this.size;
    canvas.getContext("2d").putImageData(image, 0, 0);
    canvas.dataset.drawn = "";
  }
}
