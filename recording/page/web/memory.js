// Memory: the steps of a history as their frames, and past frames that were observed.

const MOST_THUMBS = 16; // a longer strip has no room for frames and shows the bars alone

/** The tokens of a history as the frames of their steps, with a bar each. */
class TimeStrip {
  constructor(side, p) {
    Object.assign(this, { side, part: side.episode.parts[p] });
    const count = this.part.names.length;
    this.offsets = this.part.offsets ?? Array.from({ length: count }, (_, i) => i + 1 - count);
    this.order = ranked(this.offsets.map((offset) => -offset))
      .map(([i]) => i)
      .slice(0, count);
    this.framed = count <= MOST_THUMBS;
    this.heading = new Heading("memory: past steps");
    this.slots = this.order.map((i) => this.slot(i));
    const slots = make(
      "div",
      { class: this.framed ? "strip" : "strip thin" },
      ...this.slots.map((s) => s.element),
    );
    this.element = make("section", { class: "memory" }, this.heading.element, slots);
  }

  slot(i) {
    const picture = make("canvas", { "aria-hidden": "true" });
    const filled = make("span", { class: "filled" }),
      track = make("span", { class: "upright" }, filled);
    const offset = this.offsets[i],
      when = make("span", { class: "label" }),
      label = make("span", { class: "label" });
    const kept = this.framed ? [picture, track, when, label] : [track];
    const element = make("button", { type: "button", class: "slot" }, ...kept);
    element.addEventListener("click", () => this.side.select(this.part.start + i));
    say(when, offset ? String(offset) : "now");
    return { element, picture, filled, label, token: this.part.start + i, offset };
  }

  /** Return which pictures it shows at a step. */
  pictures(t) {
    return this.framed ? this.offsets.map((offset) => this.frame(t + offset)) : [];
  }

  frame(t) {
    return t < 0 ? -1 : this.side.episode.arrays.frame[t];
  }

  draw(t, look) {
    const { episode, app } = this.side,
      weights = look.weights(t),
      top = largest(weights) || 1e-9;
    const own = sum(weights.subarray(this.part.start, this.part.start + this.part.names.length));
    say(this.heading.note, `${look.noun}, sum ${own.toFixed(2)}`);
    const matters = truthOf(this.side, t) ?? [];
    for (const slot of this.slots) {
      const there = episode.present(t, slot.token),
        weight = weights[slot.token];
      const share = there ? weight / top : 0,
        when = slot.offset ? String(slot.offset) : "now";
      slot.filled.style.height = `${100 * share}%`;
      slot.filled.style.background = app.colours.bar(share);
      slot.element.classList.toggle("absent", !there);
      slot.element.setAttribute("aria-pressed", String(this.side.chosen() === slot.token));
      const known = matters.includes(slot.token);
      slot.element.classList.toggle("matters", known);
      const weighed = `${look.noun} ${weight.toFixed(3)}${known ? ", matters" : ""}`;
      const words = there ? weighed : "before the episode began";
      slot.element.setAttribute("aria-label", `step ${when}, ${words}`);
      slot.element.title = `${when}: ${words}`;
      say(slot.label, there ? look.said(weight) : "");
      if (this.framed)
        this.thumb(slot, there ? app.pictures.get(this.frame(t + slot.offset)) : null);
    }
  }

  thumb(slot, picture) {
    const [height, width] = this.side.episode.plan.size,
      room = slot.element.clientWidth || 64;
    const size = [room, Math.min(90, Math.round((room * height) / width))];
    const context = pen(slot.picture, ...size);
    slot.picture.style.height = `${size[1]}px`;
    if (picture) context.drawImage(picture, 0, 0, ...size);
  }
}

/** Past frames that were observed, side by side, each with its heat; one scale for all. */
class PastFrames {
  constructor(side, group) {
    Object.assign(this, { side, group, parts: group.map((p) => side.episode.parts[p]) });
    const { key } = this.parts[0];
    this.heading = new Heading(key ? `memory: past frames of ${key}` : "memory: past frames");
    this.slots = group.map(() => ({ canvas: make("canvas", {}), label: make("figcaption", {}) }));
    const figures = this.slots.map(({ canvas, label }) => make("figure", {}, canvas, label));
    this.element = make(
      "section",
      { class: "memory" },
      this.heading.element,
      make("div", { class: "strip" }, ...figures),
    );
  }

  pictures(t) {
    return this.group.map((p) => this.side.episode.observed(p, t));
  }

  draw(t, look) {
    const { episode, app } = this.side,
      weights = look.weights(t),
      [rows, cols] = this.parts[0].picture;
    const ratio = window.devicePixelRatio || 1,
      factor = Math.min(110 / rows, 140 / cols);
    const size = [Math.round(cols * factor), Math.round(rows * factor)];
    const [across, down] = size.map((length) => Math.round(length * ratio));
    const heats = this.group.map((p) => {
      const boxes = Array.from(weights, (_, i) =>
        scaled(episode.ownBox(p, t, i), across / cols, 0),
      );
      return heatOf(weights, boxes, look.even(t), across, down);
    });
    const top = app.settings.scale || Math.max(LOWEST_TOP, ...heats.map(largest));
    const sums = this.parts.map((part) =>
      sum(weights.subarray(part.start, part.start + part.names.length)),
    );
    say(
      this.heading.note,
      `${look.noun}, sum ${sum(sums).toFixed(2)}, to ${top.toFixed(1)} x even`,
    );
    this.slots.forEach(({ canvas, label }, n) => {
      const there = episode.present(t, this.parts[n].start),
        context = pen(canvas, ...size);
      canvas.style.width = `${size[0]}px`;
      canvas.style.height = `${size[1]}px`;
      const picture = there ? app.pictures.get(episode.observed(this.group[n], t)) : null;
      context.imageSmoothingEnabled = false;
      if (picture) context.drawImage(picture, 0, 0, ...size);
      context.save();
      context.setTransform(1, 0, 0, 1, 0, 0);
      app.colours.paint(context, heats[n], canvas.width, canvas.height, top, app.settings.opacity);
      context.restore();
      const boxOf = (i) => scaled(episode.ownBox(this.group[n], t, i), factor, 0);
      drawTruth(context, this.side, t, boxOf);
      say(
        label,
        there ? `${this.parts[n].offset}: ${sums[n].toFixed(2)}` : String(this.parts[n].offset),
      );
    });
  }
}
