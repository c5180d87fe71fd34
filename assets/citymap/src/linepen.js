import {ARROWS} from './keys.js';

/** Draws one straight line on the ground: a screen line, across which trips are counted. */
const SHORTEST_PX = 8;
const STEP_PX = 12;

/** The last line of each map, by its key: outlives a switch to another page and back. */
const drawn = new Map();

export class LinePen {
  /** @param onLine called with [[lon, lat], [lon, lat]] when a line was drawn, with null when it was taken away */
  constructor(map, key, onLine) {
    this.map = map;
    this.key = key;
    this.onLine = onLine;
    this.stroke = null;
    this.cursor = null;     // of the keyboard, [lon, lat]
    this.show(this.line);
  }

  get line() { return drawn.get(this.key) ?? null; }
  get paints() { return true; }

  /** The line stays in the view in which it begins: the others show the same places elsewhere. */
  down(point) {
    const {scene} = this.map, view = scene.viewIndexAt(...point), start = scene.unproject(...point, 0, view);
    if (start) this.stroke = {start, end: start, view};
  }

  move(point) {
    if (!this.stroke) return;
    const end = this.map.scene.unproject(...point, 0, this.stroke.view);
    if (end) this.stroke.end = end;
    this.show([this.stroke.start, this.stroke.end]);
  }

  up() {
    if (!this.stroke) return;
    const {start, end, view} = this.stroke, [from, to] = [start, end].map(place => this.map.scene.project(place, 0, view));
    this.stroke = null;
    if (Math.hypot(to[0] - from[0], to[1] - from[1]) < SHORTEST_PX) return this.show(this.line);
    drawn.set(this.key, [start, end]);
    this.show(this.line);
    this.onLine(this.line);
  }

  cancel() {
    this.stroke = null;
    this.show(this.line);
  }

  clear() {
    this.stroke = null;
    if (!drawn.delete(this.key)) return;
    this.show(null);
    this.onLine(null);
  }

  /** Arrows, and Space where the line begins and where it ends. -> whether the key meant anything */
  press({key, shiftKey}) {
    const arrow = ARROWS[key];
    if (arrow) this.#moveCursor(arrow, shiftKey ? 4 * STEP_PX : STEP_PX);
    else if (key === ' ' || key === 'Enter') this.#setEnd();
    else if (key === 'Escape' && this.stroke) this.cancel();
    else return false;
    return true;
  }

  #at() {
    const {scene} = this.map;
    return this.cursor ? scene.project(this.cursor) : scene.middle;
  }

  #moveCursor([right, down], step) {
    const {scene} = this.map, [x, y] = this.#at(), place = scene.unproject(x + right * step, y + down * step, 0, 0);
    if (!place) return;
    this.cursor = place;
    scene.keepInView(place);
    this.move(this.#at());
    this.map.overlay.setCross('cursor', this.cursor);
  }

  #setEnd() {
    const point = this.#at();
    if (this.stroke) return this.up();
    this.cursor = this.map.scene.unproject(...point, 0, 0);
    this.down(point);
    this.map.overlay.setCross('cursor', this.cursor);
    this.map.announce('The line begins here; Space where it ends, Escape gives it up');
  }

  show(line) { this.map.overlay.set('screen-line', line && [line]); }
  hideCursor() { this.map.overlay.set('cursor', null); }
}
