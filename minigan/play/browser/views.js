// The tabs, and the two simplest views behind them: the wall of random faces, and variations of the parent.
import { random, variation } from "./face.js";
import { Tiles } from "./tiles.js";

const WALL = 40;  // faces, about
const ROWS = { near: 0.3, further: 0.65, far: 1.05 };  // angles: with 100 numbers, random faces are about 1.57 apart
const ABOUT = 8;  // variations of each kind, in whole rows

/** About so many faces, so that no row is left half empty. */
const wholeRows = (count, tiles) => Math.max(1, Math.round(count / tiles.columns())) * tiles.columns();

/** Show one view at a time. `views` has for each tab what to do when it is shown. */
export function tabs(page, views) {
  const names = Object.keys(views), tab = (name) => page.find(`tab-${name}`);
  const choose = (chosen) => {
    for (const name of names) {
      tab(name).setAttribute("aria-selected", String(name === chosen));
      tab(name).tabIndex = name === chosen ? 0 : -1;
      page.find(name).hidden = name !== chosen;
    }
    tab(chosen).scrollIntoView?.({ block: "nearest", inline: "nearest" });
    views[chosen].shown?.();
    for (const name of names) if (name !== chosen) views[name].left?.();
  };
  names.forEach((name, i) => {
    tab(name).addEventListener("click", () => choose(name));
    tab(name).addEventListener("keydown", (event) => {
      const to = { ArrowLeft: i - 1, ArrowRight: i + 1, Home: 0, End: names.length - 1 }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      const next = names[(to + names.length) % names.length];
      choose(next);
      tab(next).focus();
    });
  });
  page.showTab = choose;
  choose(names[0]);
}

export function wallView(page) {
  const tiles = new Tiles(page, page.find("wall-tiles"), "Face");
  const renew = () => tiles.renew(wholeRows(WALL, tiles), random);
  page.find("wall-new").addEventListener("click", renew);
  return { shown() { if (!tiles.tiles.length) renew(); } };
}

export function variationsView(page) {
  const rows = Object.keys(ROWS).map((id) => [new Tiles(page, page.find(id), `Variation, ${id},`), ROWS[id]]);
  let of = null;
  const renew = () => {
    of = page.parent.face;
    for (const [tiles, angle] of rows) tiles.renew(wholeRows(ABOUT, tiles), () => variation(of, angle));
  };
  const shown = () => { if (of !== page.parent.face) renew(); };
  page.find("variations-new").addEventListener("click", renew);
  page.onParent(() => { if (!page.find("variations").hidden) shown(); });
  return { shown };
}
