// Tiles: faces side by side, each a button, with two marks that lock and keep it. A group of tiles is one stop of the Tab
// key; arrow keys move in it, as in a table.

/** What all groups share is `page`: the artist, the parent, favourites. `words` says in a label what the tiles are. */
export class Tiles {
  constructor(page, place, words, { lockable = true, keepable = true, onPick } = {}) {
    Object.assign(this, { page, place, words, lockable, keepable, tiles: [] });
    this.onPick = onPick ?? ((face) => page.setParent(face));
    place.addEventListener("keydown", (event) => this.pressed(event));
    page.favourites.onChange(() => this.mark());
    page.onParent(() => this.mark());
  }

  /** Show these faces; each tile keeps its place. */
  show(faces) {
    const focused = this.tiles.findIndex((tile) => tile.element.contains(document.activeElement));
    while (this.tiles.length > faces.length) this.tiles.pop().element.remove();
    faces.forEach((face, i) => {
      this.tiles[i] ??= this.newTile(i);
      this.tiles[i].face = face;
      this.tiles[i].canvas.removeAttribute("data-drawn");
      this.page.artist.paint(this.tiles[i].canvas, face);
    });
    this.focusable(Math.max(0, Math.min(this.current ?? 0, faces.length - 1)));  // also if there are none yet
    this.mark();
    if (focused >= faces.length) (this.tiles.at(-1)?.button ?? this.place.closest(".panel"))?.focus();
  }

  /** Show new faces in the tiles that are not locked. */
  renew(count, make) {
    this.show(Array.from({ length: count }, (_, i) => (this.tiles[i]?.locked ? this.tiles[i].face : make(i))));
  }

  newTile(i) {
    const element = make("div", { className: "tile" }), canvas = make("canvas", { width: this.page.size, height: this.page.size });
    const face = make("button", { type: "button", className: "face", tabIndex: -1 });
    const tile = { element, canvas, button: face, locked: false };
    face.append(canvas);
    face.addEventListener("click", () => this.onPick(tile.face, i));
    face.addEventListener("focus", () => this.focusable(i));
    element.append(face);
    const marks = make("div", { className: "marks" });
    if (this.lockable) marks.append(tile.lock = this.newMark("lock", "Lock", () => this.lock(tile)));
    if (this.keepable) marks.append(tile.heart = this.newMark("heart", "Keep", () => this.page.favourites.toggle(tile.face)));
    element.append(marks);
    this.place.append(element);
    return tile;
  }

  newMark(kind, words, onClick) {
    const mark = make("button", { type: "button", className: `mark ${kind}`, tabIndex: -1, title: words });
    mark.append(icon(kind));
    mark.setAttribute("aria-pressed", "false");
    mark.addEventListener("click", onClick);
    return mark;
  }

  lock(tile) {
    tile.locked = !tile.locked;
    this.mark();
    this.page.say(tile.locked ? "Locked." : "Unlocked.");
  }

  /** Bring labels and marks up to date. */
  mark() {
    this.tiles.forEach((tile, i) => {
      const kept = this.page.favourites.has(tile.face), parent = this.page.isParent(tile.face);
      const told = [parent && "the parent", tile.locked && "locked", this.keepable && kept && "kept"].filter(Boolean);
      tile.button.setAttribute("aria-label", [`${this.words} ${i + 1} of ${this.tiles.length}`, ...told].join(", "));
      tile.element.classList.toggle("is-parent", parent);
      for (const [mark, words, pressed] of [[tile.lock, "Lock", tile.locked], [tile.heart, "Keep", kept]]) {
        if (!mark) continue;
        mark.setAttribute("aria-pressed", String(pressed));
        mark.setAttribute("aria-label", `${words} face ${i + 1}`);
      }
    });
  }

  columns() {
    return getComputedStyle(this.place).gridTemplateColumns.split(" ").length;
  }

  focusable(index) {
    this.current = index;
    this.tiles.forEach((tile, i) => { tile.button.tabIndex = i === index ? 0 : -1; });
  }

  pressed(event) {
    const at = this.tiles.findIndex((tile) => tile.element.contains(event.target));
    if (at < 0 || event.ctrlKey || event.altKey || event.metaKey) return;
    const columns = this.columns();
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns, Home: -at, End: this.tiles.length - 1 - at };
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (key in steps) {
      this.tiles[at + steps[key]]?.button.focus();
    } else if (key === "l" && this.lockable) {
      this.lock(this.tiles[at]);
    } else if (key === "f" && this.keepable) {
      this.page.favourites.toggle(this.tiles[at].face);
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  }
}

/** An element with properties. */
export function make(name, properties = {}) {
  return Object.assign(document.createElement(name), properties);
}

/** One of the page's signs. */
function icon(name) {
  const [svg, use] = ["svg", "use"].map((kind) => document.createElementNS("http://www.w3.org/2000/svg", kind));
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `#icon-${name}`);
  svg.append(use);
  return svg;
}
