// The thread that draws when there is no server. Its first message says where the generator's numbers are; each message
// after it is a face, answered in order by its pixels, or by an error.
import { draw, unpack } from "./network.js";
import { noiseOf } from "./face.js";

let layers = null;

self.onmessage = async ({ data }) => {
  try {
    if (data.network) {
      layers = load(data.network);
      await layers;
    } else {
      const pixels = draw(await layers, noiseOf(data.face));
      self.postMessage({ pixels }, [pixels.buffer]);
    }
  } catch (error) {
    self.postMessage({ error: error.message });
  }
};

async function load({ file, layers: plan }) {
  const answer = await fetch(file).catch(() => { throw new Error(`${file} cannot be loaded.`); });
  if (!answer.ok) throw new Error(`${file} cannot be loaded (${answer.status}).`);
  return unpack(plan, await answer.arrayBuffer());
}
