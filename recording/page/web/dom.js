// Making elements. Every string reaches the page as text, never as markup.

export const SVG = "http://www.w3.org/2000/svg";

/** Make an element with attributes and children; strings become text. */
export function createElement(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children);
  return element;
}

/** Make an icon of one path, 16 by 16. */
export function icon(path) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("aria-hidden", "true");
  const shape = document.createElementNS(SVG, "path");
  shape.setAttribute("d", path);
  svg.append(shape);
  return svg;
}

/** Make a button that says what it does, with a hint of its key. */
export function createButton(label, hint, content, act) {
  const element = createElement(
    "button",
    { type: "button", "aria-label": label, title: hint },
    content,
  );
  element.addEventListener("click", act);
  return element;
}

/** Make a labeled choice. `setOptions` sets its options, `value` is a string. */
export function createChoice(label, hint, act) {
  const select = createElement("select", { title: hint, "aria-label": label });
  select.addEventListener("change", () => act(select.value));
  return {
    element: createElement("label", { class: "choice" }, createElement("span", {}, label), select),
    select,
  };
}

/** Set the options of a choice where they changed: pairs of value and text, then the chosen one.
 * Where there is nothing to choose, the choice is hidden. */
export function setOptions(select, options, value) {
  const listed = JSON.stringify(options);
  if (select.dataset.options !== listed) {
    select.dataset.options = listed;
    select.replaceChildren(
      ...options.map(([key, text]) => createElement("option", { value: key }, text)),
    );
  }
  select.value = value;
  select.closest("label").hidden = options.length < 2;
}

/** Write text where it changed. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Return one of the page's own colors, as the style sheet has it for light or dark. */
export function themeColor(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/** Fit a canvas to a size in CSS pixels; return its context, which counts in them. */
export function fitCanvas(canvas, width, height) {
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
