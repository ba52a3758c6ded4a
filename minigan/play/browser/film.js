// A film on the way from face to face, and back to the first: great circles between the faces, eased so that it rests at each.
import { between, random, textOf } from "./face.js";
import { pngOf, save } from "./png.js";
import { Tiles } from "./tiles.js";

const FRAMES_A_SECOND = 12;
const MOST = 24;  // faces

export function filmView(page) {
  const { find } = page;
  let faces = [], playing = null, saving = false;
  const tiles = new Tiles(page, find("stations"), "Stop of the film; press to take it out, stop", { lockable: false, keepable: false, onPick: takeOut });

  const seconds = () => Number(find("path-seconds").value);

  /** All faces of the film, in order. */
  function frames() {
    const steps = Math.round(seconds() * FRAMES_A_SECOND);
    return faces.flatMap((from, i) => Array.from({ length: steps }, (_, k) => {
      return between(from, faces[(i + 1) % faces.length], 0.5 - 0.5 * Math.cos(Math.PI * k / steps));
    }));
  }

  function show() {
    tiles.show(faces);
    const enough = faces.length > 1;
    find("path-play").disabled = find("path-save").disabled = !enough;
    find("path-seconds-told").textContent = `${seconds().toFixed(1)} s`;
    find("path-told").textContent = enough
      ? `${faces.length} faces, ${(seconds() * faces.length).toFixed(1)} seconds. Press a face to take it out.`
      : "A film needs at least two faces.";
    if (faces.length) page.artist.paint(find("film"), faces[0]);
    stop();
  }

  function add(more) {
    if (faces.length + more.length > MOST) page.say(`A film has ${MOST} faces at most.`);
    faces = [...faces, ...more].slice(0, MOST);
    show();
  }

  function takeOut(face, i) {
    faces = faces.filter((_, k) => k !== i);
    show();
  }

  // ---- Playing ----

  function stop() {
    clearTimeout(playing);
    playing = null;
    find("path-play").setAttribute("aria-pressed", "false");
    find("path-play").textContent = "Play";
  }

  function play() {
    const all = frames();
    let i = 0;
    find("path-play").setAttribute("aria-pressed", "true");
    find("path-play").textContent = "Stop";
    const next = async () => {
      const mine = playing, begun = performance.now();
      try {
        const image = await page.artist.image(all[i]);
        if (mine !== playing) return;  // it was stopped meanwhile
        page.artist.show(find("film"), image);
      } catch (error) {
        page.artist.onTrouble(error);
        return stop();
      }
      i = (i + 1) % all.length;
      playing = setTimeout(next, Math.max(0, 1000 / FRAMES_A_SECOND - (performance.now() - begun)));
    };
    playing = setTimeout(next, 0);
  }

  // ---- Saving ----

  async function saveFilm() {
    if (saving) return;
    saving = true;
    stop();
    try {
      const images = [], all = frames(), words = faces.map((face) => textOf(face, page.data.weights)).join("\n");
      for (const face of all) {
        images.push(await page.artist.image(face));
        if (images.length % 5 === 0) find("path-told").textContent = `Drawn ${images.length} of ${all.length} images …`;
      }
      save(await pngOf(images, { words, seconds: 1 / FRAMES_A_SECOND, factor: 4 }), "film.png");
      find("path-told").textContent = "Saved as film.png, which a browser shows as a film.";
    } catch (error) {
      page.artist.onTrouble(error);
    } finally {
      saving = false;
    }
  }

  find("path-add").addEventListener("click", () => add([page.parent.face]));
  find("path-kept").addEventListener("click", () => { faces = []; add(page.favourites.faces); });
  find("path-seconds").addEventListener("input", show);
  find("path-play").addEventListener("click", () => (playing === null ? play() : stop()));
  find("path-save").addEventListener("click", saveFilm);
  const kept = () => { find("path-kept").disabled = !page.favourites.faces.length; };
  page.favourites.onChange(kept);
  kept();
  return {
    shown() { if (!faces.length) add([page.parent.face, random(), random()]); },
    left: stop,
  };
}
