// Two ways to draw. Each is a function from faces to pixels: draw([face, ...]) promises a list of RGBA bytes.

/** The engine that the page asks for, and how many faces it is best given at once. */
export function engineFor(data) {
  return data.engine === "server"
    ? { draw: serverEngine(data), atOnce: Math.min(4, data.atOnce) }
    : { draw: browserEngine(data), atOnce: 1 };
}

/** minigan.explore, on this machine, draws; it answers with three bytes a pixel. */
function serverEngine({ size }) {
  return async (faces) => {
    const body = JSON.stringify({ faces: faces.map((face) => Array.from(face)) });
    const answer = await fetch("draw", { method: "POST", body, headers: { "Content-Type": "application/json" } })
      .catch(() => { throw new Error("The server does not answer: minigan.explore has ended. Start it again."); });
    if (!answer.ok) throw new Error(`The server says: ${(await answer.text()).trim()}`);
    const colours = new Uint8Array(await answer.arrayBuffer()), count = size * size;
    if (colours.length !== 3 * count * faces.length) throw new Error("The server's answer has been cut.");
    return faces.map((_, i) => {
      const pixels = new Uint8ClampedArray(4 * count).fill(255);
      for (let to = 0, from = 3 * count * i; to < pixels.length; to += 4) {
        for (let c = 0; c < 3; c++) pixels[to + c] = colours[from++];
      }
      return pixels;
    });
  };
}

/** The browser draws, in a thread beside the page's own, so that the page stays awake. */
function browserEngine({ network }) {
  const waiting = [];
  let worker = null, trouble = null;
  const fail = (error) => {
    trouble = error;
    while (waiting.length) waiting.shift().refuse(error);
  };
  const start = () => {
    worker = new Worker("generator_worker.js", { type: "module" });
    worker.onerror = () => fail(new Error("The generator could not be started in this browser."));
    worker.onmessage = ({ data: told }) => {
      if (told.error) fail(new Error(told.error));
      else waiting.shift().give(told.pixels);
    };
    worker.postMessage({ network });
  };
  const drawOne = (face) => new Promise((give, refuse) => {
    if (trouble) return refuse(trouble);
    if (!worker) start();
    waiting.push({ give, refuse });
    worker.postMessage({ face });
  });
  return (faces) => Promise.all(faces.map(drawOne));
}
