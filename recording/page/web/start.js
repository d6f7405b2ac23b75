// Reading the block of JSON, and showing it.

/** Read the block of JSON and show it. */
async function start() {
  const data = JSON.parse(document.getElementById("recordings").textContent);
  const colours = new HeatColours(await readArray(data.heat));
  const episodes = [];
  for (const [r, recording] of data.recordings.entries()) {
    for (const [e, facts] of recording.episodes.entries()) {
      const episode = new Episode(recording, facts, await readArrays(facts.arrays));
      episodes.push(Object.assign(episode, { recordingIndex: r, index: e }));
    }
  }
  const app = new App(data, episodes, new Pictures(data.pictures), colours);
  app.link.follow();
  await app.settled;
  window.replay = Object.freeze(readings(app));
}

/** Return what tests and consoles may read; nothing here changes the page. */
function readings(app) {
  const side = (n) => app.sides[n];
  return {
    settled: () => app.settled,
    step: () => app.clock.t,
    playing: () => app.clock.playing,
    sides: () => app.sides.length,
    state: (n = 0) => ({ ...side(n).shown, token: side(n).chosen(), step: side(n).t }),
    weights: (n = 0) =>
      Array.from(
        side(n)
          .at(Math.min(side(n).t, side(n).episode.steps - 1))
          .weights(side(n).t),
      ),
    truth: (n = 0) => truthOf(side(n), side(n).t),
    row: (n = 0) => Array.from(side(n).at(side(n).t).row(side(n).t)),
    heat: (n = 0) => {
      const { canvas, drawn } = side(n).stage;
      return { width: canvas.width, height: canvas.height, top: drawn.top };
    },
    lift: (x, y, n = 0) => side(n).stage.drawn.lift[y * side(n).stage.canvas.width + x],
  };
}

start().catch((error) => {
  const text = window.DecompressionStream
    ? `This page cannot be shown: ${error.message}`
    : "This browser is too old for this page.";
  document.getElementById("app").replaceChildren(make("p", { class: "loading" }, text));
  throw error;
});
