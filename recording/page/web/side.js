// One recording on the page: its picture, its curves, its numbers. Two of them share one clock.

const PANEL = 358; // pixels of the panel and the gap to it

/** An episode as it is shown. */
class Side {
  /** `asked` says whether somebody asked for the map that is shown. */
  constructor(app, episode, shown, asked) {
    Object.assign(this, { app, episode, asked });
    this.shown = possible(episode, shown ?? firstShown(episode));
    this.before = null; // the map that was shown before one head was
    this.selected = null; // {token, object, at}: at which step it was chosen
    this.looks = new Map();
    this.moments = momentsOf(episode);
    this.t = 0;
    this.build();
  }

  build() {
    const { plan } = this.episode;
    this.title = make("p", { class: "subtitle" });
    this.other = make("p", { class: "other-map" });
    this.views = new ViewControls(this);
    this.stage = new Stage(this.app, this);
    this.memory = [
      ...(plan.strip === null ? [] : [new TimeStrip(this, plan.strip)]),
      ...plan.past.map((group) => new PastFrames(this, group)),
    ];
    this.curves = new Curves(this);
    this.action = new ActionPanel(this);
    this.numbers = new NumbersPanel(this);
    this.words = new WordsPanel();
    this.attention = [
      new HeadsPanel(this),
      new BestTokens(this),
      ...plan.grids.map((p) => new PartGrid(this, p)),
      ...plan.bars.map((p) => new PartBars(this, p)),
      ...plan.tables.map((group) => new PastTable(this, group)),
    ];
    this.token = new TokenPanel(this);
    const box = (kind, ...parts) =>
      make("div", { class: kind }, ...parts.map((part) => part.element ?? part));
    const [heads, ...tokens] = this.attention;
    this.element = box(
      "side",
      box("head", this.title, worth(this.episode.recording.worth), this.views, this.other),
      box("seen", this.stage, ...this.memory),
      box(
        "panel",
        box("column", this.action, this.numbers, this.words, heads),
        box("column", this.token, ...tokens),
      ),
      this.curves,
    );
  }

  /** Return a way to look at the episode, made once. `query` is a number or null. */
  look(shown, query) {
    const { role, map, head, soft } = shown,
      key = JSON.stringify([role, map, head, query, soft]);
    if (!this.looks.has(key)) {
      if (this.looks.size > 200) this.looks.clear();
      this.looks.set(key, lookAt(this.episode, shown, query));
    }
    return this.looks.get(key);
  }

  /** Return what is shown of the whole episode, whoever is chosen. */
  base() {
    return this.look(this.shown, this.shown.query);
  }

  /** Return what is shown at a step: the row of the chosen token, where it has one. */
  at(t) {
    const own = this.asksTokens() && this.shown.own && this.selected !== null;
    const token = own ? this.episode.find(t, this.selected) : -1;
    return token < 0 ? this.base() : this.look(this.shown, token);
  }

  /** Say whether the map has a row for each token. */
  asksTokens() {
    if (typeof this.shown.map !== "number") return this.shown.map === ROLLOUT;
    const facts = this.episode.recording.maps[this.shown.map];
    return (
      facts.queries === "tokens" &&
      !facts.derived &&
      !facts.reduced &&
      facts.Q >= this.episode.tokens &&
      facts.Q > 1
    );
  }

  /** Return the token that is chosen, where it is at this step; -1 if none, or it is not there. */
  chosen() {
    return this.episode.find(Math.min(this.t, this.episode.steps - 1), this.selected);
  }

  /** Return the token that is hidden at a step, and what the policy says without it; or null. */
  hidden(t) {
    const token = this.shown.hide ? this.episode.find(t, this.selected) : -1;
    const without = token < 0 ? null : this.episode.scored.without(t, token);
    return without && { token, ...without };
  }

  /** Choose a token, or none; a second time lets go of it. */
  select(token) {
    const again = token !== null && token === this.chosen();
    const t = Math.min(this.t, this.episode.steps - 1);
    if (token === null || again) this.selected = null;
    else this.selected = { token, object: this.episode.identity(t, token), at: t };
    this.changed();
  }

  /** Show what the policy does without the chosen token, or no longer. */
  hide() {
    if (this.selected !== null && this.episode.scored) this.show({ hide: !this.shown.hide });
  }

  /** Show another map, or another head: of a rollout, which has none, one of the role's own map. */
  show(change) {
    const { episode, shown: old } = this,
      wanted = { ...old, ...change };
    const [role, map, head] = ["role", "map", "head"].map((name) => name in change);
    if (role && change.role !== old.role) wanted.map = null;
    else if (head && !map && isRollout(episode, old.map)) wanted.map = ownMapOf(episode, old.role);
    if (map && !head && isRollout(episode, change.map)) wanted.head = "mean";
    this.shown = possible(episode, wanted);
    this.asked ||= role || map || head;
    this.note(old);
    this.changed();
  }

  /** Note what was shown before one head was. */
  note({ map, head }) {
    if (typeof this.shown.head !== "number") this.before = null;
    else if (typeof head !== "number") this.before = { map, head };
    else if (this.shown.map !== map) this.before = null;
  }

  /** Show one head of a map; a second time what was shown before. */
  press(map, head) {
    const again = this.shown.map === map && this.shown.head === head;
    this.show(again ? (this.before ?? { map, head: "mean" }) : { map, head });
  }

  changed() {
    this.curves.redraw();
    this.app.changed();
  }

  /** Return the pictures that a step needs. */
  pictures(t) {
    const { episode } = this,
      at = Math.min(t, episode.length - 1),
      within = Math.min(at, episode.steps - 1);
    const needed = [
      episode.stagePicture(at),
      ...this.memory.flatMap((one) => one.pictures(within)),
    ];
    return [...needed, ...episode.plan.grids.map((p) => episode.observed(p, within))].filter(
      (n) => n >= 0,
    );
  }

  /** Fit everything into the width there is: a narrow picture leaves the panel two columns. */
  measure() {
    const room = this.element.clientWidth;
    const beside = getComputedStyle(this.element).getPropertyValue("--beside").trim() === "1";
    const left = this.stage.measure(beside ? room - PANEL : room);
    this.element.classList.toggle("narrow", beside && left < 0.72 * (room - PANEL));
    this.element.style.setProperty("--picture", `${left}px`);
    this.curves.redraw();
  }

  draw(t) {
    const { episode } = this;
    this.t = Math.min(t, episode.length - 1);
    const over = this.t >= episode.steps,
      within = Math.min(this.t, episode.steps - 1);
    const look = this.at(within),
      attended = Boolean(episode.arrays.attended[within]);
    say(this.title, this.subtitle());
    say(this.other, otherMap(this.app.sides, this));
    this.other.hidden = !this.other.textContent;
    this.views.draw();
    this.stage.draw(this.t, over || !look.known(within) ? null : look);
    this.element.classList.toggle("over", over);
    this.action.draw(within);
    this.numbers.draw(this.t);
    this.words.draw(within, look, attended, pointingWords(this, within, look));
    for (const one of [...this.memory, ...this.attention]) one.draw(within, look);
    this.token.draw(within);
    this.curves.point(this.t);
  }

  subtitle() {
    const { recording, facts, steps } = this.episode,
      seed = facts.seed === null ? "" : `, seed ${facts.seed}`;
    const end = this.t >= steps ? "after the last step" : `step ${this.t} of 0 to ${steps - 1}`;
    const ended = this.t === steps - 1 ? this.episode.ended(this.t) : "";
    const score = `return ${number(this.episode.returns[steps - 1])}`;
    const world = this.app.worlds() > 1 ? `${recording.env_id}, ` : "";
    const last = ended ? `, ${ended}` : "";
    return `${world}${recording.name}, ${facts.name}${seed}, ${score}: ${end}${last}`;
  }
}
