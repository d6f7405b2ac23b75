// The header of the page: what it shows, and the choices that belong to all of it.

import { formatNumber } from "./display.js";
import { createButton, createChoice, createElement, setOptions, setText } from "./dom.js";
import { HeatControls } from "./playback_controls.js";

/** Names, choices of episodes, and how heat is shown. */
export class PageHeader {
  constructor(app) {
    this.app = app;
    this.name = createElement("h1", {});
    this.algo = createElement("span", { class: "algo" });
    const beside = "compare with another episode, or with another map, on one clock";
    this.left = createChoice("Episode", "which episode", (value) => app.open(0, Number(value)));
    this.right = createChoice("Beside", beside, (value) =>
      app.open(1, value === "" ? null : Number(value)),
    );
    this.heat = new HeatControls(app);
    const saveLabel = "save the picture as PNG";
    const save = createButton(saveLabel, `${saveLabel} (p)`, "Save PNG", () => app.save());
    const help = createButton("list of keys", "list of keys (?)", "Keys ?", () =>
      app.help.toggle(),
    );
    const choices = [this.left, this.right, this.heat].map((item) => item.element);
    const world = createElement("div", { class: "world" }, this.name, this.algo);
    this.element = createElement(
      "header",
      {},
      world,
      createElement(
        "div",
        { class: "tools" },
        ...choices,
        createElement("span", { class: "group" }, save, help),
      ),
    );
  }

  draw() {
    const { app } = this,
      { recording } = app.panes[0].episode;
    setText(this.name, recording.env_id);
    setText(this.algo, recording.algo.toUpperCase());
    document.title = `${recording.env_id}: attention replay`;
    const list = app.episodes.map((episode, i) => [String(i), this.label(episode)]);
    const place = (pane) => (pane ? String(app.episodes.indexOf(pane.episode)) : "");
    setOptions(this.left.select, list, place(app.panes[0]));
    setOptions(this.right.select, [["", "compare with ..."], ...list], place(app.panes[1]));
    this.heat.draw();
  }

  label(episode) {
    const short = episode.facts.name.replace(/^episode_0*(?=\d)/, "");
    const name = this.app.hasSeveral() ? `${episode.recording.name} ${short}` : short;
    return `${name}: ${episode.steps} steps, return ${formatNumber(episode.returns[episode.steps - 1])}`;
  }
}

/** Return a list of what was left out of the page or is missing in a recording; hidden if empty. */
export function warningList(data, episodes) {
  const damaged = episodes.map((episode) => episode.facts.missing).filter(Boolean);
  const texts = [...(data.reduced ? data.notes : []), ...damaged];
  const list = createElement(
    "ul",
    { class: "warnings" },
    ...texts.map((text) => createElement("li", {}, text)),
  );
  list.hidden = !texts.length;
  return list;
}

/** Return what the numbers on the page are, and where the recordings come from. */
export function aboutSection(data) {
  const rules = [
    "Heat is lift: how many times more than an even spread over all present tokens a pixel gets. " +
      "A token lays its weight evenly over the box that it sees.",
    "Means, largest values and rollout are computed from the recorded maps, and called derived.",
    "What has no place on the picture is drawn beside it. Absent tokens are not drawn.",
  ];
  const recorded = data.recordings.map(({ name, run, created, versions }) => {
    const packages = Object.entries(versions).map((pair) => pair.join(" "));
    return [name, run && `run ${run}`, created, ...packages].filter(Boolean).join(", ");
  });
  const items = [...data.notes, ...rules, ...recorded].map((text) => createElement("li", {}, text));
  const summary = createElement("summary", {}, "About this page");
  return createElement("details", { class: "about" }, summary, createElement("ul", {}, ...items));
}
