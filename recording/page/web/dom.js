// Making elements. Every string reaches the page as text, never as markup.

const SVG = "http://www.w3.org/2000/svg";

/** Make an element with attributes and children; strings become text. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children);
  return element;
}

/** Make a drawn sign, 16 by 16; a path is the only thing in it. */
function sign(path) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("aria-hidden", "true");
  const drawn = document.createElementNS(SVG, "path");
  drawn.setAttribute("d", path);
  svg.append(drawn);
  return svg;
}

/** Make a button that says what it does, with a hint of its key. */
function button(label, hint, content, act) {
  const made = make("button", { type: "button", "aria-label": label, title: hint }, content);
  made.addEventListener("click", act);
  return made;
}

/** Make a labelled choice. `fill` sets its options, `value` is a string. */
function choice(label, hint, act) {
  const select = make("select", { title: hint, "aria-label": label });
  select.addEventListener("change", () => act(select.value));
  return { element: make("label", { class: "choice" }, make("span", {}, label), select), select };
}

/** Set the options of a choice where they changed: pairs of value and text, then the chosen one.
 * Where there is nothing to choose, the choice is hidden. */
function fill(select, options, value) {
  const key = JSON.stringify(options);
  if (select.dataset.options !== key) {
    select.dataset.options = key;
    select.replaceChildren(...options.map(([each, text]) => make("option", { value: each }, text)));
  }
  select.value = value;
  select.closest("label").hidden = options.length < 2;
}

/** Write text where it changed. */
function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Return a number in at most about eight characters: 0.0312, 17.2, -4120, 3.1e+07. */
function number(value, digits = 3) {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "none" : String(value);
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 1e6) return String(value);
  if (size >= 1e6 || size < 1e-4) return value.toExponential(1);
  const before = String(Math.trunc(size)).length;
  return value.toFixed(Math.max(0, digits - before + (before === 1 ? 1 : 0)));
}

/** Return a value within bounds. */
function clamp(value, low, high) {
  return Math.min(Math.max(value, low), high);
}

/** Return one of the page's own colours, as the style sheet has it for light or dark. */
function ink(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/** Fit a canvas to a size in CSS pixels; return its pen, which counts in them. */
function pen(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  const [across, down] = [
    Math.max(1, Math.round(width * ratio)),
    Math.max(1, Math.round(height * ratio)),
  ];
  if (canvas.width !== across || canvas.height !== down) {
    canvas.width = across;
    canvas.height = down;
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return context;
}
