// Mixing two or four faces on a plane: each corner is a face, and each place between them a mixture. Dragging over the plane
// shows the mixture as the portrait; when the drag ends, it is the parent. Behind the handle lies a mosaic of mixtures.
import { between, inPlane, random } from "./face.js";
import { make, Tiles } from "./tiles.js";

const STEP = 0.05;

export function mixView(page) {
  const { find } = page, plane = find("plane"), handle = find("handle");
  let corners = [random(), random(), random(), random()], four = true, x = 0.5, y = 0.5, begun = false;
  const tiles = [];

  const count = () => (four ? 4 : 2);
  const mixed = (u, v) => (four ? inPlane(corners, u, v) : between(corners[0], corners[1], u));

  // ---- The plane ----

  function showMosaic() {
    const columns = four ? 5 : 9, rows = four ? 5 : 1, mosaic = find("mosaic");
    plane.classList.toggle("two", !four);
    while (mosaic.children.length > columns * rows) mosaic.lastChild.remove();
    while (mosaic.children.length < columns * rows) mosaic.append(make("canvas", { width: page.size, height: page.size }));
    [...mosaic.children].forEach((canvas, i) => {
      const column = i % columns, row = Math.floor(i / columns);
      page.artist.paint(canvas, mixed(column / (columns - 1), rows > 1 ? row / (rows - 1) : 0));
    });
  }

  /** Put the handle somewhere. The middles of the corner faces are 0 and 1. */
  function moveTo(u, v) {
    [x, y] = [Math.max(0, Math.min(1, u)), four ? Math.max(0, Math.min(1, v)) : 0.5];
    const [columns, rows] = four ? [5, 5] : [9, 1];
    handle.style.left = `${100 * (0.5 + x * (columns - 1)) / columns}%`;
    handle.style.top = four ? `${100 * (0.5 + y * (rows - 1)) / rows}%` : "50%";
    const [across, down] = [x, y].map((share) => Math.round(100 * share));
    handle.setAttribute("aria-valuenow", across);
    handle.setAttribute("aria-valuetext", `${across} percent from left to right${four ? `, ${down} percent from top to bottom` : ""}`);
  }

  function fromPointer(event) {
    const box = find("mosaic").getBoundingClientRect(), [columns, rows] = four ? [5, 5] : [9, 1];
    const share = (at, size, n) => (at / size * n - 0.5) / (n - 1 || 1);
    moveTo(share(event.clientX - box.left, box.width, columns), share(event.clientY - box.top, box.height, rows));
    page.parent.preview(mixed(x, y));
  }

  const done = () => page.setParent(mixed(x, y));

  plane.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    plane.setPointerCapture(event.pointerId);
    plane.dataset.dragged = "";
    fromPointer(event);
    event.preventDefault();
    handle.focus({ preventScroll: true });
  });
  plane.addEventListener("pointermove", (event) => { if ("dragged" in plane.dataset) fromPointer(event); });
  plane.addEventListener("pointerup", () => { if ("dragged" in plane.dataset) { delete plane.dataset.dragged; done(); } });
  plane.addEventListener("pointercancel", () => { delete plane.dataset.dragged; page.parent.preview(page.parent.face); });
  handle.addEventListener("keydown", (event) => {
    const move = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] }[event.key];
    if (!move) return;
    event.preventDefault();
    moveTo(x + move[0], y + move[1]);
    page.parent.preview(mixed(x, y));
    handle.dataset.moved = "";
  });
  for (const end of ["keyup", "blur"]) {  // as when a drag ends: keys that repeat would fill the history
    handle.addEventListener(end, () => { if ("moved" in handle.dataset) { delete handle.dataset.moved; done(); } });
  }

  // ---- The corners ----

  const names = () => (four ? ["Top left", "Top right", "Bottom left", "Bottom right"] : ["Left", "Right"]);

  function newCorner(i) {
    const box = make("div", { className: "corner" }), place = make("div");
    const put = make("button", { type: "button", className: "small", textContent: "Use parent" });
    put.addEventListener("click", () => { corners[i] = page.parent.face; show(); });
    box.append(make("p"), place, put);
    find("corners").append(box);
    tiles.push(new Tiles(page, place, ""));
  }

  function nameCorners() {
    [...find("corners").children].forEach((box, i) => {
      const name = names()[i] ?? "";
      box.hidden = !name;
      box.querySelector("p").textContent = tiles[i].words = name;
      box.lastChild.setAttribute("aria-label", `Use the parent, ${name.toLowerCase()}`);
    });
  }

  function show() {
    tiles.slice(0, count()).forEach((tile, i) => tile.show([corners[i]]));
    showMosaic();
  }

  function mix(number) {
    four = number === 4;
    find("mix-two").setAttribute("aria-pressed", String(!four));
    find("mix-four").setAttribute("aria-pressed", String(four));
    nameCorners();
    show();
    moveTo(x, y);
  }

  corners.forEach((_, i) => newCorner(i));
  find("mix-two").addEventListener("click", () => mix(2));
  find("mix-four").addEventListener("click", () => mix(4));
  find("mix-new").addEventListener("click", () => {
    corners = corners.map((face, i) => (tiles[i].tiles[0].locked ? face : random()));
    show();
  });
  return {
    shown() {
      if (!begun) {
        corners[0] = page.parent.face;
        mix(4);
      }
      begun = true;
    },
  };
}
