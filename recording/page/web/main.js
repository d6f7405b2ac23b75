// Reading the block of JSON, and showing it.

import { App } from "./app.js";
import { loadDisplay } from "./display.js";
import { createElement } from "./dom.js";
import { Episode } from "./episode.js";
import { trueTokens } from "./ground_truth.js";
import { HeatColors } from "./heat.js";
import { Pictures, readArray, readArrays } from "./packed_data.js";

/** Read the block of JSON and show it. */
async function start() {
  const data = JSON.parse(document.getElementById("recordings").textContent);
  loadDisplay(data.display);
  const colors = new HeatColors(await readArray(data.heat));
  const episodes = [];
  for (const [r, recording] of data.recordings.entries()) {
    for (const [e, facts] of recording.episodes.entries()) {
      const episode = new Episode(recording, facts, await readArrays(facts.arrays));
      episodes.push(Object.assign(episode, { recordingIndex: r, index: e }));
    }
  }
  const app = new App(data, episodes, new Pictures(data.pictures), colors);
  app.link.follow();
  await app.settled;
  Object.assign(window, { replay: Object.freeze(readings(app)) });
}

/** Return what tests and consoles may read; nothing here changes the page. */
function readings(app) {
  const pane = (n) => app.panes[n];
  return {
    settled: () => app.settled,
    step: () => app.clock.t,
    playing: () => app.clock.playing,
    panes: () => app.panes.length,
    state: (n = 0) => ({ ...pane(n).shown, token: pane(n).chosen(), step: pane(n).t }),
    weights: (n = 0) =>
      Array.from(
        pane(n)
          .viewAt(Math.min(pane(n).t, pane(n).episode.steps - 1))
          .weights(pane(n).t),
      ),
    truth: (n = 0) => trueTokens(pane(n), pane(n).t),
    row: (n = 0) => Array.from(pane(n).viewAt(pane(n).t).row(pane(n).t)),
    heat: (n = 0) => {
      const { canvas, heat } = pane(n).attendedFrame;
      return { width: canvas.width, height: canvas.height, top: heat.top };
    },
    lift: (x, y, n = 0) =>
      pane(n).attendedFrame.heat.lift[y * pane(n).attendedFrame.canvas.width + x],
  };
}

start().catch((error) => {
  const text = window.DecompressionStream
    ? `This page cannot be shown: ${error.message}`
    : "This browser is too old for this page.";
  document.getElementById("app").replaceChildren(createElement("p", { class: "loading" }, text));
  throw error;
});
