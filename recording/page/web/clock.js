// The one clock: which step it is, and whether time runs.

import { clamp } from "./numbers.js";

export const SPEEDS = [0.1, 0.25, 0.5, 1, 2, 4, 8];

/** Steps go by at `rate` per second, times the speed. */
export class Clock {
  constructor(app) {
    this.app = app;
    this.t = 0;
    this.speed = 1;
    this.playing = false;
    this.before = null; // when the last picture was drawn, in milliseconds
    this.owed = 0; // steps that are due
  }

  get last() {
    return this.app.length() - 1;
  }

  seek(t) {
    this.t = clamp(Math.round(t) || 0, 0, this.last);
    this.app.changed();
  }

  step(by) {
    this.pause();
    this.seek(this.t + by);
  }

  toggle() {
    if (this.playing) this.pause();
    else this.play();
  }

  play() {
    if (this.t >= this.last) this.t = 0;
    this.playing = true;
    this.before = null;
    this.owed = 0;
    requestAnimationFrame((now) => this.advance(now));
    this.app.changed();
  }

  pause() {
    if (!this.playing) return;
    this.playing = false;
    this.app.changed();
  }

  /** Change the speed by one place. */
  changeSpeed(by) {
    const index = SPEEDS.indexOf(this.speed) + by;
    this.speed = SPEEDS[clamp(index, 0, SPEEDS.length - 1)];
    this.app.changed();
  }

  /** Go on by as many steps as time has gone by; wait for pictures rather than skip the picture. */
  async advance(now) {
    if (!this.playing) return;
    const passed = this.before === null ? 0 : Math.min((now - this.before) / 1000, 0.25);
    this.before = now;
    this.owed += passed * this.app.rate() * this.speed;
    const due = Math.floor(this.owed);
    if (due > 0) {
      this.owed -= due;
      this.t = Math.min(this.t + due, this.last);
      if (this.t >= this.last) this.playing = false;
      await this.app.changed();
    }
    if (this.playing) requestAnimationFrame((then) => this.advance(then));
  }
}
