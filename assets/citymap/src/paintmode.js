/** A map that is painted: cells, streets, or both. */
import {ARROWS} from './keys.js';
import {PathLayer} from '@deck.gl/layers';
import {CellSheet} from './cells.js';
import {BLOCKED, BLOCKED_COLOR, Scale, formatCount, formatNumber, formatPosition} from './colors.js';
import {openDocument} from './document.js';
import {legendCard} from './furniture.js';
import {segmentLayer} from './lines.js';
import {PaintBar} from './paintbar.js';
import {Painter} from './painter.js';
import {cssColor} from './theme.js';

const FLAT_OPACITY = 0.78;

export class PaintMode {
  /** @param map the CityMap this mode draws on; `spec` the "paint" part of Python's message */
  constructor(map, spec) {
    this.map = map;
    this.spec = spec;
    this.topology = map.topology;
    this.viewIds = ['main'];
    this.difference = false;
    this.document = openDocument(spec.document, this.topology);
    this.document.onEdit = message => map.send('edit', message);
    const {painting, streets} = this.document;
    if (painting) {
      this.scale = new Scale(spec.scale, map.themeName);
      this.differenceScale = new Scale(spec.differenceScale, map.themeName);
      this.sheet = new CellSheet('main/cells', this.topology);
      this.display = new Float32Array(this.topology.count);
    }
    this.streets = streets;
    this.painter = new Painter(this.#painterView());
    this.bar = new PaintBar(this.painter, this.#barView());
    this.bars = {top: [this.bar.node], bottom: []};
    this.dirty = true;
  }

  #painterView() {
    const {map, topology, document} = this, mode = this;
    return {
      get scene() { return map.scene; }, get overlay() { return map.overlay; }, topology, document,
      changed: done => this.changed(done),
      announce: text => map.announce(text),
      toolChanged: () => this.toolChanged(),
      hovered: place => this.hovered(place),
      hoveredStreets: found => { mode.streetsUnder = found; },
      cursorMoved: i => map.table?.reveal(i),
      announceCell: i => map.announce(`${this.placeText(i)}: ${this.valueText(i)}`),
      valueText: i => this.valueText(i),
    };
  }

  #barView() {
    const {map, document} = this, mode = this;
    const all = act => () => { act(); this.changed(true); };
    return {
      document,
      get difference() { return mode.difference; },
      setDifference: on => this.setDifference(on),
      undo: () => this.undo(), redo: () => this.redo(),
      clear: all(() => { document.setAll('empty'); map.announce('Cleared'); }),
      reset: all(() => { document.setAll('baseline'); map.announce('Reset to the baseline'); }),
      keepTotal: all(() => {
        document.setKeepTotal(!document.painting.keepTotal);
        map.announce(document.painting.keepTotal ? 'The total is kept' : 'The total is free');
      }),
    };
  }

  undo() { this.#moved(this.document.undo(), 'Undone'); }
  redo() { this.#moved(this.document.redo(), 'Redone'); }
  #moved(step, word) {
    if (step) this.map.announce(`${word}: ${step.label.toLowerCase()}`);
    this.changed(true);
  }

  setDifference(on) {
    this.difference = on;
    this.map.announce(on ? 'Difference to the baseline' : 'Values');
    this.map.drawCards();
    this.changed();
    this.bar.update();
  }

  /** Values changed: draw them in the next frame; `done` when a stroke has ended. */
  changed(done = false) {
    this.dirty = true;
    if (done) { this.settled = true; this.bar.update(); }
    this.map.scene.invalidate();
  }

  toolChanged() {
    if (this.painter.paints && this.map.is3d) this.map.set3d(false);
    this.map.setController(!this.painter.paints);
    this.bar.update();
    this.painter.showOutline();
    this.map.scene.invalidate();
  }

  // ---- drawing -------------------------------------------------------------------------------

  layers() {
    const {painting} = this.document, {is3d} = this.map;
    if (this.dirty && painting) this.#show();
    this.dirty = false;
    const layers = painting && this.sheet.version ? [this.sheet.layer({is3d, heightM: this.map.heightM, opacity: is3d ? 1 : FLAT_OPACITY})] : [];
    if (this.streets) layers.push(...this.#streetLayers());
    this.map.readout.textContent = this.summary();
    if (this.settled) this.map.table?.settle(); else this.map.table?.update();
    this.settled = false;
    return layers;
  }

  #show() {
    const {painting} = this.document, {display} = this;
    painting.settle();
    if (this.difference) {
      painting.difference(display);
      this.#fitDifference(display);
    } else {
      for (let i = 0; i < display.length; i++) display[i] = painting.isAvailable(i) ? painting.values[i] : NaN;
    }
    this.sheet.show(display, this.shownScale, this.map.is3d);
    const hasBlocked = !painting.isMask && painting.values.includes(BLOCKED);
    if (hasBlocked === this.hasBlocked) return;
    this.hasBlocked = hasBlocked;
    this.map.drawCards();
  }

  get shownScale() { return this.difference ? this.differenceScale : this.scale; }

  /** A diverging scale as wide as the largest change, symmetrical, in round numbers. */
  #fitDifference(values) {
    if (this.document.painting.isMask) return;
    let most = 0;
    for (const value of values) if (Math.abs(value) > most) most = Math.abs(value);
    const size = most > 0 ? Number(most.toPrecision(2)) : this.scale.high;
    if (size === this.differenceScale.high) return;
    this.differenceScale = this.differenceScale.with({low: -size, high: size});
    this.map.drawCards();
  }

  #streetLayers() {
    const {streets, map} = this, {theme} = map, closed = streets.parts.filter(part => streets.closed.has(part.street));
    const common = {positionFormat: 'XY', widthUnits: 'pixels', capRounded: true, jointRounded: true, parameters: {depthCompare: 'always'}, getPath: part => part.path.flat()};
    return [
      segmentLayer({id: 'streets-open', data: streets.segments, widthUnits: 'pixels', widthScale: this.painter.onStreets ? 2.5 : 1.25, getColor: theme.selectable, opacity: this.painter.onStreets ? 1 : 0.6, parameters: common.parameters}),
      new PathLayer({...common, id: 'streets-casing', data: closed, getColor: theme.casing, getWidth: 8.5}),
      new PathLayer({...common, id: 'streets-closed', data: closed, getColor: theme.closed, getWidth: 5.5}),
    ];
  }

  cards() {
    const cards = [];
    if (this.document.painting) cards.push(legendCard(this.difference ? `${this.spec.title}: difference` : this.spec.title, this.shownScale, this.#blockedSwatch()));
    if (this.streets) {
      const {theme} = this.map, labels = ['open', 'closed'];
      const scale = {categorical: true, labels, css: () => [cssColor(theme.selectable), cssColor(theme.closed)]};
      cards.push(legendCard(this.document.painting ? 'Streets' : this.spec.title, scale));
    }
    return [cards];
  }

  /** Blocked cells have their own swatch below the ramp, as soon as there are any. */
  #blockedSwatch() {
    if (!this.hasBlocked || this.difference) return null;
    return {labels: ['blocked'], css: () => [cssColor(BLOCKED_COLOR)]};
  }

  pictureParts() { return [{title: this.difference ? `${this.spec.title}: difference` : this.spec.title, scale: this.document.painting ? this.shownScale : null}]; }
  hasRows() { return true; }

  // ---- words ---------------------------------------------------------------------------------

  placeText(i) {
    const {row, col, id} = this.topology.place(i);
    return id ?? `Row ${row + 1}, column ${col + 1}`;
  }

  valueText(i) {
    const {painting} = this.document;
    if (!painting.isAvailable(i)) return this.spec.unavailable;
    return this.scale.text(painting.values[i]);
  }

  summary() {
    const {painting} = this.document, parts = [];
    if (painting?.isMask) {
      let on = 0, all = 0;
      for (let i = 0; i < painting.values.length; i++) if (painting.isAvailable(i)) { all++; on += painting.values[i]; }
      parts.push(`${formatCount(on)} of ${formatCount(all)} ${this.spec.noun}`);
    } else if (painting) {
      const {total, baselineTotal} = painting, change = baselineTotal ? (total / baselineTotal - 1) * 100 : 0;
      parts.push(`Total ${formatNumber(total)}`);
      if (Math.abs(change) >= 0.05) parts.push(`${change > 0 ? '+' : '−'}${Math.abs(change).toFixed(1)} %`);
    }
    if (painting) {
      const count = painting.keepTotal ? painting.numPainted : painting.numChanged;
      parts.push(`${formatCount(count)} ${count === 1 ? 'cell' : 'cells'} ${painting.keepTotal ? 'painted, the rest rescaled' : 'changed'}`);
    }
    if (this.streets) parts.push(`${formatCount(this.streets.closed.size)} ${this.streets.closed.size === 1 ? 'street' : 'streets'} closed`);
    return parts.join('  ·  ');
  }

  hovered(place) {
    const {map, painter, document} = this;
    if (!place || painter.stroke) return map.tooltip.hide();
    const [x, y] = map.scene.project(place);
    if (painter.onStreets) {
      const street = this.streetsUnder?.[0];
      if (street === undefined) return map.tooltip.hide();
      const count = this.streetsUnder.length;
      const rows = [['', this.streets.closed.has(street) ? 'closed' : 'open'], ...(this.streets.kinds[street] ? [['kind', this.streets.kinds[street]]] : [])];
      return map.tooltip.show(x, y, map.host, count > 1 ? `${this.streets.title(street)} and ${count - 1} more` : this.streets.title(street), rows);
    }
    const i = this.topology?.at(...place) ?? -1;
    if (i < 0 || !document.painting) return map.tooltip.hide();
    map.tooltip.show(x, y, map.host, this.placeText(i), this.#tooltipRows(i));
  }

  #tooltipRows(i) {
    const {painting} = this.document, rows = [['value', this.valueText(i)]];
    if (painting.isAvailable(i) && painting.values[i] !== painting.baseline[i]) rows.push(['baseline', this.scale.text(painting.baseline[i])]);
    rows.push(['position', formatPosition(this.topology.centre(i))]);
    return rows;
  }

  // ---- table twin ----------------------------------------------------------------------------

  tableSources() {
    const sources = [];
    if (this.document.painting) sources.push(this.#cellSource());
    if (this.streets) sources.push(this.#streetSource());
    return sources;
  }

  #cellSource() {
    const {document, topology, spec, scale} = this, {painting} = document;
    const places = topology.kind === 'grid'
      ? [{title: 'Row', numeric: true, get: i => String(topology.place(i).row + 1)}, {title: 'Column', numeric: true, get: i => String(topology.place(i).col + 1)}]
      : [{title: 'Hexagon', get: i => topology.place(i).id}];
    const set = (i, value) => { document.setCell(i, value); this.changed(true); this.map.announce(`${this.placeText(i)}: ${this.valueText(i)}`); };
    const locked = i => !painting.isAvailable(i);
    const edit = painting.isMask
      ? {kind: 'check', locked, label: i => `${this.placeText(i)}: ${spec.noun}`, value: i => painting.values[i] === 1, set: (i, on) => set(i, on ? 1 : 0)}
      : {kind: 'number', locked, min: 0, max: painting.limit, step: 'any', label: i => `Value of ${this.placeText(i)}`, value: i => (painting.values[i] === BLOCKED ? 0 : +painting.values[i].toPrecision(4)), set};
    const columns = [...places, {title: painting.isMask ? spec.noun : scale.unit ? `Value (${scale.unit})` : 'Value', numeric: true, get: i => this.valueText(i), edit}];
    if (!painting.isMask) {
      columns.push({title: 'Blocked', get: i => (painting.values[i] === BLOCKED ? 'yes' : ''), edit: {kind: 'check', locked, label: i => `Block ${this.placeText(i)}`, value: i => painting.values[i] === BLOCKED, set: (i, on) => set(i, on ? BLOCKED : Math.max(0, painting.baseline[i]))}});
    }
    columns.push({title: 'Changed', get: i => (painting.values[i] !== painting.baseline[i] ? 'yes' : '')});
    return {name: 'Cells', columns, count: topology.count, isChanged: i => painting.values[i] !== painting.baseline[i], onRow: i => this.map.overlay.set('row', [topology.ring(i)], {closed: true})};
  }

  #streetSource() {
    const {streets, document} = this, isChanged = s => streets.closed.has(s) !== streets.baseline.has(s);
    const set = (s, closed) => { document.setStreet(s, closed); this.changed(true); this.map.announce(`${streets.title(s)} ${closed ? 'closed' : 'reopened'}`); };
    return {
      name: 'Streets', count: streets.count, isChanged,
      columns: [
        {title: 'Street', get: s => streets.title(s)},
        {title: 'Kind', get: s => streets.kinds[s] ?? ''},
        {title: 'Closed', get: s => (streets.closed.has(s) ? 'yes' : ''), edit: {kind: 'check', label: s => `Close ${streets.title(s)} (${streets.ids[s]})`, value: s => streets.closed.has(s), set}},
        {title: 'Changed', get: s => (isChanged(s) ? 'yes' : '')},
      ],
      onRow: s => this.map.overlay.set('row', streets.lines[s]),
    };
  }

  // ---- keyboard ------------------------------------------------------------------------------

  /** @returns whether the key was used */
  key(event) {
    const {painter, document} = this, {key} = event, lower = key.toLowerCase();
    if (event.ctrlKey || event.metaKey) {
      if (lower === 'z') { if (event.shiftKey) this.redo(); else this.undo(); return true; }
      if (lower === 'y') { this.redo(); return true; }
      return false;
    }
    const arrow = ARROWS[key];
    if (arrow) {
      if (!painter.paints) return false;
      painter.moveCursor(arrow[1], arrow[0], event.shiftKey);
      return true;
    }
    const {painting} = document;
    const actions = {
      ' ': () => painter.use(event.altKey), Enter: () => painter.use(event.altKey),
      Escape: () => { if (painter.cancel()) this.map.announce('Stroke given up'); },
      '[': () => painter.setRadius(painter.radius - 1), ']': () => painter.setRadius(painter.radius + 1),
      Delete: () => (event.shiftKey ? this.bar.reset : this.bar.clear).click(),
      Backspace: () => (event.shiftKey ? this.bar.reset : this.bar.clear).click(),
      d: () => painting && this.setDifference(!this.difference),
      k: () => this.bar.keepTotal?.click(),
    };
    if (painting && !painting.isMask) {
      Object.assign(actions, {
        '{': () => this.#nudge('level', -painting.limit / 20, 0, painting.limit), '}': () => this.#nudge('level', painting.limit / 20, 0, painting.limit),
        '<': () => this.#nudge('strength', -0.05, 0.01, 1), '>': () => this.#nudge('strength', 0.05, 0.01, 1),
      });
    }
    const action = actions[key] ?? actions[lower];
    if (action) { action(); return true; }
    const tool = painter.tools.find(t => t.key === lower);
    if (tool) painter.choose(tool.id);
    return Boolean(tool);
  }

  #nudge(name, by, least, most) {
    const {painting} = this.document;
    painting[name] = Math.max(least, Math.min(most, painting[name] + by));
    this.bar.update();
    this.map.announce(name === 'level' ? `Value ${formatNumber(painting.level)}` : `Strength ${Math.round(painting.strength * 100)} %`);
  }

  themeChanged(name) {
    this.scale = this.scale?.inTheme(name);
    this.differenceScale = this.differenceScale?.inTheme(name);
    this.dirty = true;
  }

  cameraChanged() { this.painter.showOutline(); }
  pointerLeft() { this.painter.hover(null); this.map.tooltip.hide(); }
  click() {}
  hover(point) { this.painter.hover(point); }
  get busy() { return Boolean(this.painter.stroke); }
  is3dAllowed() { return Boolean(this.document.painting); }
  before3d(on) { if (on) this.painter.choose('pan'); }

  destroy() {
    this.painter.cancel();
    this.document.onEdit = null;
  }
}
