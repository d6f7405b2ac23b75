// The keyboard: everything the mouse can do.

import { createButton, createElement } from "./dom.js";
import { toggleTruth } from "./ground_truth.js";
import { KEY_MOMENTS } from "./key_moments.js";
import { EVIDENCE } from "./map_kinds.js";
import { clamp } from "./numbers.js";

/** Return the key bindings: which keys, what they do in words, and the function. */
export function keyBindings(app) {
  const { clock } = app;
  const pane = () => app.active();
  const turn = (name, direction) => pane().show({ [name]: app.neighbor(pane(), name, direction) });
  return [
    [[" ", "k"], "play or pause", () => clock.toggle()],
    [["ArrowRight", "."], "one step on", () => clock.step(1)],
    [["ArrowLeft", ","], "one step back", () => clock.step(-1)],
    [["Shift+ArrowRight", "PageDown"], "ten steps on", () => clock.step(10)],
    [["Shift+ArrowLeft", "PageUp"], "ten steps back", () => clock.step(-10)],
    [["Home"], "first step", () => clock.step(-Infinity)],
    [["End"], "last step", () => clock.step(Infinity)],
    [["]"], "faster", () => clock.changeSpeed(1)],
    [["["], "slower", () => clock.changeSpeed(-1)],
    ...Object.entries(KEY_MOMENTS).flatMap(([kind, { label, key }]) => [
      [[key], `next ${label}`, () => app.jump(kind, 1)],
      [[`Shift+${key.toUpperCase()}`], `previous ${label}`, () => app.jump(kind, -1)],
    ]),
    [
      ["e"],
      "evidence or attention",
      () => pane().showKind(pane().shown.map === EVIDENCE ? "attention" : "evidence"),
    ],
    [["l"], "next layer", () => turn("map", 1)],
    [["Shift+L"], "previous layer", () => turn("map", -1)],
    [["h"], "next head", () => turn("head", 1)],
    [["Shift+H"], "previous head", () => turn("head", -1)],
    [["m"], "mean over heads", () => pane().show({ head: "mean" })],
    [["x"], "largest over heads", () => pane().show({ head: "max" })],
    [["t"], "next token", () => app.nextToken(1)],
    [["Shift+T"], "previous token", () => app.nextToken(-1)],
    [["o"], "more opaque", () => app.set({ opacity: clamp(app.settings.opacity + 0.1, 0, 1) })],
    [
      ["Shift+O"],
      "less opaque",
      () => app.set({ opacity: clamp(app.settings.opacity - 0.1, 0, 1) }),
    ],
    [["d"], "what the policy does without the token", () => pane().hide()],
    [["w"], "mark what the environment says matters", () => toggleTruth(app)],
    [["p"], "save the picture as PNG", () => app.save()],
    [["Escape"], "let go of the token", () => pane().select(null)],
    [["?", "Shift+?"], "this list", () => app.help.toggle()],
  ];
}

/** Listen to the keyboard; what a control does with a key of its own is left to it. */
export function listenToKeys(keys, app) {
  const acts = new Map(keys.flatMap(([pressed, , act]) => pressed.map((key) => [key, act])));
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (belongsToControl(event) || (app.help.element.open && event.key !== "?")) return;
    const long = event.key.length > 1 || /[a-z]/i.test(event.key) || event.key === "?";
    const name = event.shiftKey && long ? `Shift+${event.key}` : event.key;
    const act = acts.get(name);
    if (!act) return;
    event.preventDefault();
    act();
  });
}

/** Say whether a key belongs to the control that has the focus. */
function belongsToControl(event) {
  const { target, key } = event;
  if (target.closest("select")) return true;
  if (target.closest("input")) return /^(Arrow|Home|End|Page)/.test(key);
  return target.closest("button, summary, a") !== null && (key === " " || key === "Enter");
}

/** The list of keys, in a dialog. */
export class Help {
  constructor(keys) {
    const spelled = { " ": "Space", ArrowRight: "Right", ArrowLeft: "Left", Escape: "Esc" };
    const cap = (key) =>
      createElement(
        "kbd",
        {},
        key
          .split("+")
          .map((part) => spelled[part] ?? part)
          .join(" + "),
      );
    const rows = keys.map(([pressed, words]) =>
      createElement(
        "tr",
        {},
        createElement("td", {}, ...pressed.filter((key) => key !== "Shift+?").map(cap)),
        createElement("td", {}, words),
      ),
    );
    const close = createButton("close the list", "close (Esc)", "Close", () =>
      this.element.close(),
    );
    const table = createElement("table", {}, createElement("tbody", {}, ...rows));
    const head = createElement(
      "div",
      { class: "heading" },
      createElement("h2", { id: "keys" }, "Keys"),
      close,
    );
    const more = createElement(
      "p",
      {},
      "Click a token on the picture, or its bar, to see its row and its history. " +
        "Drag over a curve to move in time.",
    );
    this.element = createElement("dialog", { "aria-labelledby": "keys" }, head, table, more);
  }

  toggle() {
    if (this.element.open) this.element.close();
    else this.element.showModal();
  }
}
