/** Turns pointer and keyboard into strokes on the document. */
import {constrainAngle, constrainSquare, inPolygon, walk} from './geometry.js';
import {unionOutline} from './overlay.js';
import {MAX_RADIUS, toolById, toolsFor} from './tools.js';

const STREET_REACH_PX = 14;
const CURSOR_STEP_PX = 12;

export class Painter {
  /** @param map what is drawn and told: {scene, overlay, topology, document, changed(), announce(text), toolChanged()} */
  constructor(map) {
    this.map = map;
    this.tools = toolsFor(map.document);
    this.tool = this.tools[1] ?? this.tools[0];
    this.action = this.#isAction(this.tool) ? this.tool.id : 'brush';
    this.radius = map.topology && map.topology.count > 4096 ? 3 : map.topology && map.topology.count > 256 ? 1 : 0;
    this.cursor = map.topology ? this.#firstCell() : -1;
    this.cursorPoint = null;      // of the street tools
    this.stroke = null;
    this.keyRegion = null;        // rectangle or lasso begun by keyboard
  }

  #firstCell() {
    const {topology, document} = this.map, middle = Math.floor(topology.count / 2) + Math.floor((topology.cols ?? 0) / 2);
    for (let k = 0; k < topology.count; k++) {
      const i = (middle + k) % topology.count;
      if (document.painting?.isAvailable(i) ?? true) return i;
    }
    return middle;
  }

  #isAction(tool) { return tool.way === 'stroke'; }
  get paints() { return this.tool.way !== 'pan'; }
  get onStreets() { return this.tool.group === 'street'; }

  choose(id) {
    const tool = this.tools.find(t => t.id === id);
    if (!tool) return;
    this.cancel();
    this.tool = tool;
    if (this.#isAction(tool)) this.action = tool.id;
    this.map.toolChanged();
    this.map.announce(this.describe(tool));
  }

  describe(tool) {
    return tool.group === 'region' ? `${tool.label}: ${toolById(this.action).label.toLowerCase()}` : tool.label;
  }

  setRadius(radius) {
    this.radius = Math.max(0, Math.min(MAX_RADIUS, radius));
    this.map.toolChanged();
    this.map.announce(`Brush radius ${this.radius}`);
    this.showOutline();
  }

  // ---- strokes -------------------------------------------------------------------------------

  /** @param point [x, y] on the map's element; `keys` {shiftKey, altKey} */
  down(point, keys) {
    const place = this.map.scene.unproject(...point);
    if (!place) return;
    this.cancel();
    const {document} = this.map, way = this.tool.way;
    document.begin();
    this.stroke = {way, from: point, last: place, path: [place], erases: keys.altKey, action: keys.altKey ? 'erase' : this.action};
    if (way === 'stroke' || way === 'street-brush') this.#dab(place);
    else if (way === 'fill') this.#fill(place);
    else if (way === 'pick') this.#pick(place);
    else if (way === 'street') this.#toggleStreet(place);
    this.#follow(place);
  }

  move(point, keys) {
    const {stroke} = this;
    if (!stroke) return this.hover(point);
    const place = this.map.scene.unproject(...this.#constrained(point, keys));
    if (!place) return;
    if (stroke.way === 'stroke' || stroke.way === 'street-brush') {
      for (const step of walk(stroke.last, place, this.#stepM())) this.#dab(step);
    } else if (stroke.way === 'lasso') stroke.path.push(place);
    else if (stroke.way === 'rectangle') stroke.path = [stroke.path[0], place];
    stroke.last = place;
    this.#showRegion(stroke);
    this.#follow(place);
  }

  up() {
    const {stroke} = this;
    if (!stroke) return;
    this.stroke = null;
    if (stroke.way === 'rectangle' || stroke.way === 'lasso') this.#applyRegion(stroke);
    this.map.overlay.set('region', null);
    this.#finish();
  }

  cancel() {
    if (!this.stroke && !this.keyRegion) return false;
    this.stroke = null;
    this.keyRegion = null;
    this.map.document.cancel();
    this.map.overlay.set('region', null);
    this.map.changed();
    return true;
  }

  #finish() {
    const {document, announce, changed} = this.map;
    const label = this.tool.label, count = document.commit(label);
    changed(true);
    if (count) announce(`${label}: ${count} ${this.onStreets ? (count === 1 ? 'street' : 'streets') : count === 1 ? 'cell' : 'cells'} changed`);
  }

  #constrained(point, keys) {
    const {stroke} = this;
    if (!keys.shiftKey) return point;
    if (stroke.way === 'rectangle') return constrainSquare(stroke.from, point);
    return stroke.way === 'lasso' ? point : constrainAngle(stroke.from, point);
  }

  #stepM() {
    return this.map.topology ? this.map.topology.spacingM * 0.5 : this.map.scene.metresPerPixel * 4;
  }

  #dab(place) {
    if (this.stroke.way === 'street-brush') return this.#dabStreets(place, !this.stroke.erases);
    const {topology, document} = this.map, reach = this.radius + 0.75;
    topology.visitDisk(place[0], place[1], this.radius, (i, distance) => {
      document.painting.apply(i, this.stroke.action, 1 - distance / reach * 0.75);
    });
    this.map.changed();
  }

  #dabStreets(place, closed) {
    const {document} = this.map;
    for (const street of document.streets.within(place, this.streetReachM()).keys()) document.streets.close(street, closed);
    this.map.changed();
  }

  #toggleStreet(place) {
    const {streets} = this.map.document, street = streets.nearest(place, this.map.scene.metresPerPixel * STREET_REACH_PX);
    if (street < 0) return;
    streets.close(street, this.stroke.erases ? false : !streets.closed.has(street));
    this.map.changed();
  }

  #fill(place) {
    const i = this.map.topology.at(...place), {painting} = this.map.document;
    if (i < 0 || !painting.isAvailable(i)) return;
    for (const j of painting.region(i)) painting.apply(j, this.stroke.action);
    this.map.changed();
  }

  #pick(place) {
    const i = this.map.topology.at(...place), {painting} = this.map.document;
    if (i < 0) return;
    painting.level = Math.max(0, painting.values[i]);
    this.map.announce(`Value ${this.map.valueText(i)} picked`);
    this.map.toolChanged();
  }

  #applyRegion(stroke) {
    const {topology, document} = this.map, covers = stroke.way === 'rectangle' ? this.#boxTest(stroke.path) : centre => inPolygon(centre, stroke.path);
    for (let i = 0; i < topology.count; i++) if (covers(topology.centre(i))) document.painting.apply(i, stroke.action);
    const under = topology.at(...stroke.path[0]);
    if (under >= 0) document.painting.apply(under, stroke.action); // a click without a drag takes one cell
  }

  /** A rectangle takes every cell whose centre it covers, and always the cells at its corners. */
  #boxTest(path) {
    const {topology} = this.map, slack = 1e-9, ends = [path[0], path[path.length - 1]];
    for (const end of [...ends]) {
      const i = topology.at(...end);
      if (i >= 0) ends.push(topology.centre(i));
    }
    const xs = ends.map(p => p[0]), ys = ends.map(p => p[1]);
    const [west, east, south, north] = [Math.min(...xs) - slack, Math.max(...xs) + slack, Math.min(...ys) - slack, Math.max(...ys) + slack];
    return ([x, y]) => x >= west && x <= east && y >= south && y <= north;
  }

  #showRegion(stroke) {
    if (stroke.way === 'rectangle' || stroke.way === 'lasso') this.map.overlay.set('region', [ringOf(stroke)], {closed: true});
  }

  // ---- what the pointer is over ---------------------------------------------------------------

  streetReachM() { return this.map.scene.metresPerPixel * (STREET_REACH_PX + 8 * this.radius); }

  hover(point) {
    const place = point && this.map.scene.unproject(...point);
    this.#follow(place);
  }

  #follow(place) {
    this.place = place;
    this.showOutline();
    this.map.hovered(place);
  }

  /** The cells that a press would change here, outlined before it happens. */
  showOutline() {
    const {overlay, topology, document} = this.map, {place} = this;
    if (!place || !this.paints || this.stroke?.way === 'lasso' || this.stroke?.way === 'rectangle') return overlay.set('brush', null);
    if (this.onStreets) return this.#outlineStreets(place);
    if (this.tool.way === 'stroke') {
      const cells = [];
      topology.visitDisk(place[0], place[1], this.radius, i => { if (document.painting.isAvailable(i)) cells.push(i); });
      return overlay.set('brush', unionOutline(topology, cells));
    }
    const i = topology.at(...place);
    overlay.set('brush', i < 0 ? null : [topology.ring(i)], {closed: true});
  }

  #outlineStreets(place) {
    const {streets} = this.map.document;
    const found = this.tool.way === 'street'
      ? [streets.nearest(place, this.map.scene.metresPerPixel * STREET_REACH_PX)].filter(s => s >= 0)
      : [...streets.within(place, this.streetReachM()).keys()];
    this.map.overlay.set('brush', found.flatMap(s => streets.lines[s]));
    this.map.hoveredStreets(found);
  }

  // ---- keyboard -------------------------------------------------------------------------------

  /** Arrow keys: the next cell, or for streets a few pixels. */
  moveCursor(down, right, paints) {
    if (this.onStreets || !this.map.topology) return this.#movePoint(down, right, paints);
    const {topology} = this.map;
    this.cursor = topology.move(this.cursor, down, right);
    this.place = topology.centre(this.cursor);
    this.map.scene.keepInView(this.place);
    if (this.keyRegion) this.#extendKeyRegion();
    this.#showCursor();
    if (paints && this.tool.way === 'stroke') this.use(false);
    else this.map.announceCell(this.cursor);
  }

  #movePoint(down, right, paints) {
    const {scene} = this.map, [x, y] = this.cursorPoint ? scene.project(this.cursorPoint) : [scene.host.clientWidth / 2, scene.host.clientHeight / 2];
    const step = CURSOR_STEP_PX * (paints ? 4 : 1);
    this.cursorPoint = this.place = scene.unproject(x + right * step, y + down * step);
    scene.keepInView(this.cursorPoint);
    this.showOutline();
    this.#showCursor();
  }

  #showCursor() {
    const {overlay, topology} = this.map;
    this.showOutline();
    if (this.onStreets || !topology) return overlay.setCross('cursor', this.place);
    overlay.set('cursor', [topology.ring(this.cursor)], {closed: true});
    this.map.cursorMoved(this.cursor);
  }

  hideCursor() { this.map.overlay.set('cursor', null); }

  /** Space or Enter: use the tool at the cursor. */
  use(altKey) {
    const {document, topology} = this.map, {way} = this.tool;
    if (way === 'pan') return;
    this.place = this.onStreets || !topology ? (this.cursorPoint ?? this.map.scene.unproject(this.map.scene.host.clientWidth / 2, this.map.scene.host.clientHeight / 2)) : topology.centre(this.cursor);
    if (way === 'rectangle' || way === 'lasso') return this.#useRegion(way, altKey);
    document.begin();
    this.stroke = {way, from: [0, 0], last: this.place, path: [this.place], erases: altKey, action: altKey ? 'erase' : this.action};
    if (way === 'fill') this.#fill(this.place);
    else if (way === 'pick') this.#pick(this.place);
    else if (way === 'street') this.#toggleStreet(this.place);
    else this.#dab(this.place);
    this.stroke = null;
    this.#finish();
    this.#showCursor();
  }

  /** Rectangle: first corner, then the opposite one. Lasso: corner by corner, closed at the first one. */
  #useRegion(way, altKey) {
    const region = this.keyRegion;
    if (!region) {
      this.keyRegion = {way, path: [this.place, this.place], begin: this.cursor, action: altKey ? 'erase' : this.action};
      this.map.announce(way === 'rectangle' ? 'First corner set; move and press Space for the second' : 'Lasso begun; Space sets corners, Space on the first one closes it');
      return;
    }
    if (way === 'lasso' && this.cursor !== region.begin) {
      region.path.push(this.place);
      return this.#extendKeyRegion();
    }
    this.keyRegion = null;
    this.map.document.begin();
    if (way === 'lasso') region.path.pop();
    this.#applyRegion(region);
    this.map.overlay.set('region', null);
    this.#finish();
  }

  #extendKeyRegion() {
    this.keyRegion.path[this.keyRegion.path.length - 1] = this.place;
    this.#showRegion(this.keyRegion);
  }
}

function ringOf({way, path}) {
  if (way === 'lasso') return path;
  const [a, b] = [path[0], path[path.length - 1]];
  return [a, [b[0], a[1]], b, [a[0], b[1]]];
}
