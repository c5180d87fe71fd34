/** One to four linked views of the same cells, over time if there are frames. */
import {ARROWS} from './keys.js';
import {CellSheet, firstColumnHit} from './cells.js';
import {Scale, formatPosition} from './colors.js';
import {legendCard} from './furniture.js';
import {TimeBar} from './timebar.js';
import {group, iconButton, setPressed} from './toolbar.js';

const NO_DATA = 65_535;

export class ViewMode {
  constructor(map, spec) {
    this.map = map;
    this.topology = map.topology;
    this.spec = spec;
    this.selected = spec.selected;
    this.cursor = this.selected >= 0 ? this.selected : Math.floor(this.topology.count / 2);
    this.load(spec);
    this.bars = {top: [], bottom: []};
    if (this.count > 1) this.#buildTime();
    if (this.sharable) this.#buildShare();
    this.show(spec.step ?? 0);
  }

  /** The arrays: (time steps x cells) u16 per view, value = offset + q * step. */
  load(spec) {
    const sheets = this.views?.map(view => view.sheet) ?? [];
    this.spec = spec;
    this.views = spec.views.map((view, k) => ({
      ...view, own: new Scale(view.scale, this.map.themeName), shown: new Float32Array(this.topology.count),
      sheet: sheets[k] ?? new CellSheet(`${view.id}/cells`, this.topology),
    }));
    this.viewIds = this.views.map(view => view.id);
    this.count = spec.count;
    this.sharable = this.views.some(a => this.views.some(b => a !== b && a.scale.group === b.scale.group && differ(a.own, b.own)));
    this.shared ??= spec.shared;
    this.#scales();
  }

  /** Take new values of the same views without disturbing what the user is doing; false where the views differ. */
  absorb(spec) {
    const alike = spec.count === this.count && spec.views.length === this.views.length && String(spec.times) === String(this.spec.times);
    const sharable = this.sharable;
    if (!alike) return false;
    this.load(spec);
    if (this.sharable !== sharable) return false;
    this.show(this.step);
    return true;
  }

  /** A shared scale spans the values of all views of its group. */
  #scales() {
    for (const view of this.views) {
      const group = this.views.filter(other => other.scale.group === view.scale.group);
      view.used = this.shared && !view.own.categorical
        ? view.own.with({low: Math.min(...group.map(v => v.own.low)), high: Math.max(...group.map(v => v.own.high))})
        : view.own;
    }
  }

  #buildTime() {
    this.time = new TimeBar({
      begin: 0, end: this.count - 1, step: 1, perSecond: this.spec.framesPerSecond, discrete: true, name: 'Time step',
      label: t => this.spec.times?.[t] ?? `Step ${t + 1} of ${this.count}`, onTime: t => this.show(t),
    });
    this.bars.bottom.push(this.time.node);
  }

  #buildShare() {
    this.share = iconButton({name: 'link', label: 'One colour scale for all views', id: 'shared-scale', pressed: this.shared, key: {text: 'K', aria: 'k'}, onClick: () => this.setShared(!this.shared)});
    this.map.extraControls = [group('Colours', [this.share])];
  }

  setShared(on) {
    this.shared = on;
    setPressed(this.share, on);
    this.#scales();
    this.map.drawCards();
    this.show(this.step);
    this.map.announce(on ? 'One colour scale for all views' : 'A colour scale for each view');
  }

  show(step) {
    this.step = step;
    const n = this.topology.count;
    for (const view of this.views) {
      const at = Math.min(step, view.steps - 1) * n, {values, offset, quantum, shown} = view;
      for (let i = 0; i < n; i++) shown[i] = values[at + i] === NO_DATA ? NaN : offset + values[at + i] * quantum;
    }
    this.dirty = true;
    this.map.scene.invalidate();
  }

  layers() {
    const {is3d, heightM} = this.map;
    if (this.dirty) {
      for (const view of this.views) view.sheet.show(view.shown, view.used, is3d);
      this.dirty = false;
      this.#outline('selection', this.selected);
      this.map.table?.update();
      this.map.readout.textContent = this.summary();
      if (this.pointer) this.hover(this.pointer);
    }
    return this.views.map(view => view.sheet.layer({is3d, heightM, opacity: is3d ? 1 : 0.8}));
  }

  /** The map is on the screen: Python may go on with what comes after it. */
  drawn() {
    if (!this.spec.tellWhenDrawn || this.told) return;
    this.told = true;
    this.map.send('drawn', {map: this.spec.id});
  }

  cards() { return this.views.map(view => [legendCard(view.title, view.used)]); }
  pictureParts() { return this.views.map(view => ({title: view.title, scale: view.used})); }

  /** The cell under the pointer: in 3D the first column that the line of sight meets. */
  cellAt(point) {
    const {scene, is3d, heightM} = this.map, ground = scene.unproject(...point);
    if (!ground) return -1;
    if (!is3d || scene.camera.pitch < 1) return this.topology.at(...ground);
    const viewport = scene.viewportAt(...point) ?? scene.viewports[0], view = this.views[scene.viewports.indexOf(viewport)];
    return firstColumnHit(this.topology, view.sheet.heights, heightM, scene.unproject(...point, heightM), ground);
  }

  hover(point) {
    this.pointer = point;
    const i = point ? this.cellAt(point) : -1;
    this.#outline('hover', i);
    if (i < 0) return this.map.tooltip.hide();
    this.map.tooltip.show(...point, this.map.host, this.placeText(i), [
      ...this.views.map(view => [view.title, view.used.text(view.shown[i]), colorOf(view.used, view.shown[i])]),
      ['position', formatPosition(this.topology.centre(i))],
    ]);
  }

  #outline(name, i) {
    const {overlay, heightM, is3d} = this.map;
    overlay.set(name, i < 0 ? null : [this.topology.ring(i)], {closed: true, heightM: view => (is3d ? this.views[view].sheet.heights[i] * heightM : 0)});
  }

  click(point) {
    const i = this.cellAt(point);
    if (i >= 0) this.select(i, this.map.scene.viewportAt(...point)?.id);
  }

  select(i, view = this.viewIds[0]) {
    this.selected = this.cursor = i;
    this.#outline('selection', i);
    this.map.table?.reveal(i);
    this.map.announce(`${this.placeText(i)} chosen. ${this.valuesText(i)}`);
    this.map.readout.textContent = this.summary();
    this.map.send('selection', {map: this.spec.id, cell: i, step: this.step, view});
  }

  placeText(i) {
    const {row, col, id} = this.topology.place(i);
    return id ?? `Row ${row + 1}, column ${col + 1}`;
  }

  valuesText(i) { return this.views.map(view => `${view.title}: ${view.used.text(view.shown[i])}`).join('; '); }
  summary() { return this.selected >= 0 ? `${this.placeText(this.selected)}  ·  ${this.valuesText(this.selected)}` : `Click a ${this.map.payload.noun} to choose it`; }

  tableSources() {
    const {topology} = this, noun = capital(this.map.payload.noun);
    const places = topology.kind === 'grid'
      ? [{title: 'Row', numeric: true, get: i => String(topology.place(i).row + 1)}, {title: 'Column', numeric: true, get: i => String(topology.place(i).col + 1)}]
      : [{title: noun === 'Cell' ? 'Hexagon' : noun, get: i => topology.place(i).id}];
    const columns = [...places, ...this.views.map(view => ({
      title: view.used.unit ? `${view.title} (${view.used.unit})` : view.title, numeric: true,
      get: i => (view.used.categorical ? view.used.text(view.shown[i]) : view.used.number(view.shown[i])),
    }))];
    return [{name: `${noun}s`, columns, count: topology.count, onRow: i => this.#outline('row', i)}];
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return false;
    const arrow = ARROWS[event.key];
    if (arrow) {
      this.cursor = this.topology.move(this.cursor, arrow[1], arrow[0]);
      this.#outline('cursor', this.cursor);
      this.map.announce(`${this.placeText(this.cursor)}. ${this.valuesText(this.cursor)}`);
      this.map.table?.reveal(this.cursor);
      return true;
    }
    const actions = {
      Enter: () => this.select(this.cursor), k: () => this.share?.click(),
      ' ': () => (this.time ? this.time.play(!this.time.playing) : this.select(this.cursor)),
      ',': () => this.time?.move(-1), '.': () => this.time?.move(1), Home: () => this.time?.jump('begin'), End: () => this.time?.jump('end'),
    };
    const action = actions[event.key] ?? actions[event.key.toLowerCase()];
    action?.();
    return Boolean(action);
  }

  themeChanged(name) {
    for (const view of this.views) view.own = view.own.inTheme(name);
    this.#scales();
    this.dirty = true;
  }

  cameraChanged() {}
  pointerLeft() { this.hover(null); }
  get painter() { return null; }
  get busy() { return false; }
  is3dAllowed() { return true; }
  before3d() {}
  destroy() { this.time?.destroy(); }
}

const differ = (a, b) => a.low !== b.low || a.high !== b.high;

function colorOf(scale, value) {
  const [r, g, b, a] = scale.color(value);
  return a ? `rgb(${r},${g},${b})` : null;
}

const capital = word => word[0].toUpperCase() + word.slice(1);
