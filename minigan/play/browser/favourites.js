// Favourites: faces that the browser keeps, and the sheet of them, to save or to print.
import { same, textOf } from "./face.js";
import { enlarged, pngOf, save, sheetOf } from "./png.js";
import { Tiles } from "./tiles.js";

const MOST = 200;

export class Favourites {
  constructor(page) {
    this.page = page;
    this.listeners = [];
    this.faces = page.store.read("favourites");
    page.store.onChange("favourites", (faces) => this.become(faces));  // else this tab would write over the other's
  }

  onChange(listener) {
    this.listeners.push(listener);
  }

  has(face) {
    return this.faces.some((kept) => same(kept, face));
  }

  toggle(face) {
    const known = this.has(face);
    if (!known && this.faces.length >= MOST) return this.page.say(`There is place for ${MOST} favourites; let others go first.`);
    this.become(known ? this.faces.filter((kept) => !same(kept, face)) : [...this.faces, face]);
    this.page.store.write("favourites", this.faces);
    this.page.say(known ? "No longer kept." : "Kept.");
  }

  become(faces) {
    this.faces = faces;
    for (const listener of this.listeners) listener();
  }
}

export function favouritesView(page) {
  const { find, favourites } = page;
  const tiles = new Tiles(page, find("kept-tiles"), "Favourite", { lockable: false });

  function show() {
    const count = favourites.faces.length;
    tiles.show(favourites.faces);
    find("count").textContent = count ? `(${count})` : "";
    find("favourites-told").textContent = count ? "They stay in this browser." : "None yet: the heart on a face keeps it.";
    document.body.classList.toggle("none-kept", !count);
    for (const id of ["sheet-save", "kept-copy"]) find(id).disabled = !count;
  }

  async function saveSheet() {
    const images = await Promise.all(favourites.faces.map((face) => page.artist.image(face)));
    const words = favourites.faces.map((face) => textOf(face, page.data.weights)).join("\n");
    save(await pngOf([sheetOf(images.map((image) => enlarged(image, 2)), 4)], { words }), "faces.png");
    page.say("Saved.");
  }

  find("sheet-save").addEventListener("click", () => page.attempt(saveSheet));
  find("sheet-print").addEventListener("click", () => window.print());
  find("kept-copy").addEventListener("click", async () => {
    const words = favourites.faces.map((face) => textOf(face, page.data.weights)).join("\n");
    try {
      await navigator.clipboard.writeText(words);
      page.say("Copied, one text a line.");
    } catch {
      page.say("The browser did not allow it.");
    }
  });
  favourites.onChange(show);
  show();
  return { shown: show };
}
