/** Draws one straight line on the ground: a screen line, across which trips are counted. */
const SHORTEST_PX = 8;

/** The last line of each map, by its key: outlives a switch to another page and back. */
const drawn = new Map();

export class LinePen {
  /** @param onLine called with [[lon, lat], [lon, lat]] when a line was drawn, with null when it was taken away */
  constructor(map, key, onLine) {
    this.map = map;
    this.key = key;
    this.onLine = onLine;
    this.stroke = null;
    this.show(this.line);
  }

  get line() { return drawn.get(this.key) ?? null; }
  get paints() { return true; }

  down(point) {
    const start = this.map.scene.unproject(...point);
    if (start) this.stroke = {from: point, to: point, start, end: start};
  }

  move(point) {
    if (!this.stroke) return;
    const end = this.map.scene.unproject(...point);
    if (end) Object.assign(this.stroke, {to: point, end});
    this.show([this.stroke.start, this.stroke.end]);
  }

  up() {
    if (!this.stroke) return;
    const {from, to, start, end} = this.stroke;
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

  show(line) { this.map.overlay.set('screen-line', line && [line]); }
  hideCursor() {}
}
