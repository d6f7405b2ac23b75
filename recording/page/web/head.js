// The head of the page: what it shows, and the choices that belong to all of it.

/** Names, choices of episodes, and how heat is shown. */
class Head {
  constructor(app) {
    this.app = app;
    this.name = make("h1", {});
    this.algo = make("span", { class: "algo" });
    const beside = "compare with another episode, or with another map, on one clock";
    this.left = choice("Episode", "which episode", (value) => app.open(0, Number(value)));
    this.right = choice("Beside", beside, (value) =>
      app.open(1, value === "" ? null : Number(value)),
    );
    this.heat = new HeatControls(app);
    const saved = "save the picture as PNG";
    const save = button(saved, `${saved} (p)`, "Save PNG", () => app.save());
    const help = button("list of keys", "list of keys (?)", "Keys ?", () => app.help.toggle());
    const choices = [this.left, this.right, this.heat].map((one) => one.element);
    const world = make("div", { class: "world" }, this.name, this.algo);
    this.element = make(
      "header",
      {},
      world,
      make("div", { class: "tools" }, ...choices, make("span", { class: "group" }, save, help)),
    );
  }

  draw() {
    const { app } = this,
      { recording } = app.sides[0].episode;
    say(this.name, recording.env_id);
    say(this.algo, recording.algo.toUpperCase());
    document.title = `${recording.env_id}: attention replay`;
    const list = app.episodes.map((episode, i) => [String(i), this.label(episode)]);
    const place = (side) => (side ? String(app.episodes.indexOf(side.episode)) : "");
    fill(this.left.select, list, place(app.sides[0]));
    fill(this.right.select, [["", "compare with ..."], ...list], place(app.sides[1]));
    this.heat.draw();
  }

  label(episode) {
    const short = episode.facts.name.replace(/^episode_0*(?=\d)/, "");
    const name = this.app.many() ? `${episode.recording.name} ${short}` : short;
    return `${name}: ${episode.steps} steps, return ${number(episode.returns[episode.steps - 1])}`;
  }
}

/** Say what was left out of the page, and what is missing in a recording; hidden if nothing. */
function warnings(data, episodes) {
  const torn = episodes.map((episode) => episode.facts.missing).filter(Boolean);
  const said = [...(data.reduced ? data.notes : []), ...torn];
  const list = make("ul", { class: "warnings" }, ...said.map((text) => make("li", {}, text)));
  list.hidden = !said.length;
  return list;
}

/** Say what the numbers on the page are, and where the recordings come from. */
function about(data) {
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
  const items = [...data.notes, ...rules, ...recorded].map((text) => make("li", {}, text));
  const summary = make("summary", {}, "About this page");
  return make("details", { class: "about" }, summary, make("ul", {}, ...items));
}
