// The page: what its parts share, and how they are put together. Each part is a file of its own.
//
//     face.js         what can be done with noise, and the text of a face
//     engines.js      who draws: the server, or (network.js, in generator_worker.js) the browser
//     artist.js       paints faces on canvases, the most urgent first
//     tiles.js        faces side by side, for mouse, touch and keyboard
//     parent.js       the face that all starts from: undo, history, address, sliders
//     favourites.js   kept faces, and sheets of them
//     views.js        the tabs: wall, variations
//     mix.js, film.js the two others
//     png.js, store.js  files to save, and what the browser keeps
import { Artist } from "./artist.js";
import { engineFor } from "./engines.js";
import { Favourites, favouritesView } from "./favourites.js";
import { filmView } from "./film.js";
import { mixView } from "./mix.js";
import { Parent } from "./parent.js";
import { Store } from "./store.js";
import { tabs, variationsView, wallView } from "./views.js";

const data = JSON.parse(document.getElementById("data").textContent);
const find = (id) => document.getElementById(id);

function say(words) {
  const said = find("said");
  said.textContent = words;
  said.classList.add("shown");
  clearTimeout(say.timer);
  say.timer = setTimeout(() => said.classList.remove("shown"), 2500);
}

function tellTrouble(error) {
  find("trouble").hidden = !error;
  find("trouble").textContent = error ? error.message : "";
}

/** Do something that may fail, and tell what went wrong. */
async function attempt(action) {
  try {
    await action();
  } catch (error) {
    tellTrouble(error);
  }
}

const store = new Store(data.weights);
const page = { data, size: data.size, find, say, attempt, store, artist: new Artist(engineFor(data), data.size, tellTrouble) };
page.favourites = new Favourites(page);
page.parent = new Parent(page);
page.setParent = (face) => page.parent.set(face);
page.isParent = (face) => page.parent.is(face);
page.onParent = (listener) => page.parent.listeners.push(listener);

find("app").hidden = false;
page.parent.start();
tabs(page, { wall: wallView(page), variations: variationsView(page), mix: mixView(page), path: filmView(page), favourites: favouritesView(page) });

// Letters that are keys everywhere on the page can be turned off: who speaks to the browser may say one by chance.
const letters = find("letters"), buttons = { u: find("undo"), r: find("redo"), f: find("keep") };

function useLetters(on) {
  letters.checked = on;
  for (const [letter, button] of Object.entries(buttons)) {
    if (on) button.setAttribute("aria-keyshortcuts", letter.toUpperCase());
    else button.removeAttribute("aria-keyshortcuts");
  }
}

useLetters(!store.isOff("letters"));
letters.addEventListener("change", () => {
  store.turn("letters", letters.checked);
  useLetters(letters.checked);
});
document.addEventListener("keydown", (event) => {
  if (!letters.checked || event.target.matches("input:not([type=range],[type=checkbox])") || event.ctrlKey || event.altKey || event.metaKey) return;
  buttons[event.key.toLowerCase()]?.click();
});
