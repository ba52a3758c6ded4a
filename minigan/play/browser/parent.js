// The parent: the face that variations, sliders and mixtures start from. It has a past (undo and redo), and its text is in
// the address behind #, so that an address is a face.
import { faceOf, random, same, slid, textOf } from "./face.js";
import { pngOf, save } from "./png.js";
import { make, Tiles } from "./tiles.js";

const KEPT = 60;  // faces of the history

export class Parent {
  constructor(page) {
    this.page = page;
    this.listeners = [];
    this.past = page.store.read("history").slice(0, KEPT);  // the latest first
    this.undone = [];
    this.amounts = page.data.directions.map(() => 0);
  }

  start() {
    const { find } = this.page;
    this.newSliders();
    this.history = new Tiles(this.page, find("history"), "Earlier parent", { lockable: false, keepable: false });
    find("undo").addEventListener("click", () => this.step(this.past, this.undone, "Undone."));
    find("redo").addEventListener("click", () => this.step(this.undone, this.past, "Redone."));
    find("keep").addEventListener("click", () => this.page.favourites.toggle(this.face));
    find("save").addEventListener("click", () => this.page.attempt(() => this.save()));
    find("share").addEventListener("click", () => this.share());
    find("text-form").addEventListener("submit", (event) => { event.preventDefault(); this.open(find("text").value); });
    find("text").addEventListener("focus", () => find("text").select());
    find("text").addEventListener("input", () => { find("text-error").textContent = ""; });
    find("history-box").addEventListener("toggle", () => this.history.show(this.past));
    this.page.favourites.onChange(() => this.told());
    this.float();
    window.addEventListener("hashchange", () => location.hash && this.open(location.hash));
    const asked = location.hash;
    if (!asked || !this.open(asked)) {
      this.set(this.past[0] ?? random());
      if (asked) this.open(asked);  // again: beside the face that is shown instead stands what is wrong with the text
    }
  }

  is(face) {
    return this.face !== undefined && same(this.face, face);
  }

  /** A new parent; the one before becomes the past. */
  set(face) {
    if (this.face && !this.is(face)) {
      this.past.unshift(this.face);
      this.past.length = Math.min(this.past.length, KEPT);
      this.undone = [];
    }
    this.become(face);
  }

  become(face, { sliders = true } = {}) {
    this.face = face;
    if (this.past.length && same(this.past[0], face)) this.past.shift();  // after loading the page again
    if (sliders) this.startSliders(face);
    this.preview(face);
    this.page.store.write("history", [face, ...this.past]);
    try { history.replaceState(null, "", `#${this.text()}`); } catch { /* Safari allows 100 of these in half a minute */ }
    this.page.find("text").value = this.text();
    this.page.find("text-error").textContent = "";
    this.told();
    for (const listener of this.listeners) listener(face);
  }

  /** Show a face without making it the parent yet: while something is dragged. */
  preview(face) {
    for (const canvas of document.querySelectorAll("canvas[data-parent]")) this.page.artist.paint(canvas, face, { urgent: true });
  }

  text() {
    return textOf(this.face, this.page.data.weights);
  }

  /** Make the face of a text the parent; whether it is one. */
  open(text) {
    try {
      this.set(faceOf(text, this.page.data.weights));
      return true;
    } catch (error) {
      this.page.find("text").value = text.replace(/^#/, "");
      this.page.find("text-error").textContent = error.message;
      this.page.find("text-error").scrollIntoView({ block: "center" });
      return false;
    }
  }

  step(from, to, words) {
    if (!from.length) return;
    to.unshift(this.face);
    this.become(from.shift());
    this.page.say(words);
  }

  /** Bring buttons and the history up to date. */
  told() {
    const { find, favourites } = this.page;
    find("undo").disabled = !this.past.length;
    find("redo").disabled = !this.undone.length;
    if (this.face) find("keep").setAttribute("aria-pressed", String(favourites.has(this.face)));
    if (find("history-box").open) this.history?.show(this.past);
  }

  async save() {
    const image = await this.page.artist.image(this.face);
    save(await pngOf([image], { words: this.text(), factor: 8 }), `face-${this.text().slice(13, 21)}.png`);
    this.page.say("Saved; the file holds the face's text, too.");
  }

  async share() {
    const link = this.page.data.engine === "browser";
    try {
      await navigator.clipboard.writeText(link ? `${location.href.split("#")[0]}#${this.text()}` : this.text());
      this.page.say(link ? "Link copied." : "Text copied.");
    } catch {
      this.page.find("text").focus();
      this.page.say("The browser did not allow it; copy the selected text.");
    }
  }

  /** On a phone the portrait is often out of sight; then a small copy floats in a corner. */
  float() {
    const { find } = this.page, narrow = matchMedia("(max-width: 60rem)");
    let seen = true;
    const told = () => { find("floating").hidden = seen || !narrow.matches; };
    new IntersectionObserver(([entry]) => { seen = entry.isIntersecting; told(); }).observe(find("portrait"));
    narrow.addEventListener("change", told);
    find("floating").addEventListener("click", () => find("portrait").scrollIntoView({ block: "center" }));
  }

  // ---- Sliders: the parent moved along directions ----

  newSliders() {
    const { find, data } = this.page;
    this.inputs = data.directions.map((direction, i) => {
      const box = make("div", { className: "slider" }), id = `slider-${i}`;
      const input = make("input", { id, type: "range", min: -1, max: 1, step: 0.05, value: 0 });
      const [no, yes] = [direction.no, direction.yes].map((words) => make("span", { className: "end", textContent: words }));
      box.append(no, make("label", { htmlFor: id, textContent: direction.name }), yes, input);
      input.addEventListener("input", () => { this.amounts[i] = Number(input.value); this.tell(i); this.preview(this.moved()); });
      input.addEventListener("change", () => this.moveTo());
      find("sliders").append(box);
      return input;
    });
    find("sliders-box").hidden = !this.inputs.length;
    find("sliders-box").open = matchMedia("(min-width: 60.01rem)").matches;
    find("sliders-reset").addEventListener("click", () => { this.amounts.fill(0); this.showAmounts(); this.moveTo(); });
  }

  moved() {
    const { directions, far } = this.page.data;
    return slid(this.base, directions, this.amounts.map((amount) => far * amount));
  }

  /** Make the moved face the parent. Undo then goes back to before the sliders were touched. */
  moveTo() {
    const face = this.moved();
    if (this.is(face)) return;
    if (this.is(this.base)) this.past.unshift(this.base);
    this.undone = [];
    this.become(face, { sliders: false });
  }

  startSliders(face) {
    this.base = face;
    this.amounts.fill(0);
    this.showAmounts();
  }

  showAmounts() {
    this.inputs.forEach((input, i) => { input.value = this.amounts[i]; this.tell(i); });
  }

  /** What a screen reader says of a slider. */
  tell(i) {
    const { no, yes } = this.page.data.directions[i], amount = Math.round(100 * this.amounts[i]);
    const side = amount < 0 ? no : yes;
    this.inputs[i].setAttribute("aria-valuetext", amount ? `${Math.abs(amount)} percent ${side || (amount < 0 ? "less" : "more")}` : "the middle");
  }
}
