// The one clock: which step it is, and whether time runs.

const SPEEDS = [0.1, 0.25, 0.5, 1, 2, 4, 8];

/** Steps go by at `rate` per second, times the speed. */
class Clock {
  constructor(app) {
    Object.assign(this, { app, t: 0, speed: 1, playing: false });
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
    requestAnimationFrame((now) => this.tick(now));
    this.app.changed();
  }

  pause() {
    if (!this.playing) return;
    this.playing = false;
    this.app.changed();
  }

  /** Change the speed by one place. */
  faster(by) {
    const place = SPEEDS.indexOf(this.speed) + by;
    this.speed = SPEEDS[clamp(place, 0, SPEEDS.length - 1)];
    this.app.changed();
  }

  /** Go on by as many steps as time has gone by; wait for pictures rather than skip the picture. */
  async tick(now) {
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
    if (this.playing) requestAnimationFrame((then) => this.tick(then));
  }
}
