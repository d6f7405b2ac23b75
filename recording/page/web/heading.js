// Headings of the parts of a page.

import { createElement } from "./dom.js";

/** A heading with a note about its numbers. */
export class Heading {
  constructor(title, level = "h3") {
    this.title = createElement(level, {}, title);
    this.note = createElement("span", { class: "note" });
    this.element = createElement("div", { class: "heading" }, this.title, this.note);
  }
}
