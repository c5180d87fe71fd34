/** Trajectories as moving trails: several groups overlaid or side by side, coloured by group or attribute. */
import {TripsLayer} from '@deck.gl/geo-layers';
import {ScatterplotLayer} from '@deck.gl/layers';
import {Scale, formatCount, formatNumber} from './colors.js';
import {legendCard} from './furniture.js';
import {LinePen} from './linepen.js';
import {cssColor} from './theme.js';
import {TimeBar} from './timebar.js';
import {group, iconButton, setPressed} from './toolbar.js';
import {LINE_SHORTCUTS} from './tools.js';

const REACH_PX = 14;
/** Trips that begin after each other share a layer; one in which nothing moves now is not drawn. */
const CHUNK = 100;
const TRAIL_PX = 3;
const HEAD_PX = 3.2;
const ON_TOP = {depthCompare: 'always'};

export class TripMode {
  constructor(map, spec) {
    this.map = map;
    this.spec = spec;
    this.sideBySide = spec.sideBySide && spec.groups.length > 1;
    this.byAttribute = Boolean(spec.scale);
    this.scale = spec.scale ? new Scale(spec.scale, map.themeName).opaque() : null;
    this.trail = spec.trail;
    this.groups = spec.groups.map((g, k) => this.#group(g, k));
    this.now = spec.begin;
    this.bars = {top: [], bottom: []};
    this.time = new TimeBar({
      begin: spec.begin, end: spec.end, step: 1, perSecond: spec.speed, discrete: false, name: 'Time of day',
      label: clockText, onTime: t => this.show(t),
    }, {trail: {min: 5, max: Math.max(60, Math.round((spec.end - spec.begin) / 4)), step: 5, value: this.trail, format: secondsText, onInput: s => { this.trail = s; this.map.scene.invalidate(); }}});
    this.bars.bottom.push(this.time.node);
    if (spec.countable) this.pen = new LinePen(map, map.payload.key, line => this.#lineDrawn(line));
    this.#buildControls();
    this.show(this.#firstRush());
  }

  #group(g, k) {
    const trips = Array.from({length: g.starts.length}, (_, i) => {
      const from = g.starts[i], to = g.starts[i + 1] ?? g.times.length;
      return {group: k, index: i, path: g.positions.subarray(2 * from, 2 * to), times: g.times.subarray(from, to), attribute: g.attribute?.[i] ?? NaN, name: g.names?.[i] ?? ''};
    });
    return {...g, trips, chunks: chunksOf(trips)};
  }

  /** The first moment at which nearly as many as ever are on the way: there is something to see from the start. */
  #firstRush() {
    const {begin, end} = this.spec, moments = Array.from({length: 60}, (_, i) => begin + (end - begin) * i / 60);
    const counts = moments.map(t => this.groups.reduce((sum, g) => sum + moving(g, t), 0));
    return moments[counts.findIndex(count => count >= 0.8 * Math.max(...counts))];
  }

  #buildControls() {
    const buttons = [];
    if (this.groups.length > 1) {
      this.side = iconButton({name: 'columns', label: 'Side by side', id: 'side-by-side', pressed: this.sideBySide, key: {text: 'S', aria: 's'}, onClick: () => this.setSideBySide(!this.sideBySide)});
      buttons.push(this.side);
    }
    if (this.scale) {
      this.byButton = iconButton({name: 'layers', label: `Colour by ${this.scale.label}`, id: 'by-attribute', pressed: true, key: {text: 'C', aria: 'c'}, onClick: () => this.setByAttribute(!this.byAttribute)});
      buttons.push(this.byButton);
    }
    if (this.pen) {
      this.lineButton = iconButton({name: 'ruler', label: 'Draw a line to count trips across it', id: 'screen-line', pressed: false, key: {text: 'L', aria: 'l'}, onClick: () => this.setDrawing(!this.drawing)});
      buttons.push(this.lineButton);
    }
    if (buttons.length) this.map.extraControls = [group('Trips', buttons)];
  }

  get shortcuts() {
    const own = [['S', 'Side by side or overlaid', this.side], ['C', 'Colour by group or by value', this.byButton]].filter(row => row[2]).map(row => row.slice(0, 2));
    return [...own, ...(this.pen ? LINE_SHORTCUTS : [])];
  }

  get viewIds() { return this.sideBySide ? this.groups.map(g => g.id) : ['main']; }

  setSideBySide(on) {
    this.sideBySide = on;
    setPressed(this.side, on);
    this.map.viewsChanged();
    this.map.announce(on ? 'Side by side' : 'Overlaid');
  }

  setByAttribute(on) {
    this.byAttribute = on;
    setPressed(this.byButton, on);
    this.map.drawCards();
    this.map.scene.invalidate();
    this.map.announce(on ? `Colour by ${this.scale.label}` : 'Colour by group');
  }

  setDrawing(on) {
    this.drawing = on;
    setPressed(this.lineButton, on);
    this.map.setController(!on);
    this.hover(null);
    this.pen.hideCursor();
    this.map.announce(on ? 'Drag across a street to count trips there, or use arrows and Space; Delete takes the line away' : 'Move the map');
  }

  #lineDrawn(line) {
    this.map.send('line', {map: this.spec.id, line: line?.flat() ?? null});
    this.map.announce(line ? 'Trips across the line are counted below the map' : 'The line was taken away');
  }

  show(now) {
    this.now = now;
    this.map.scene.invalidate();
  }

  layers() {
    this.map.readout.textContent = this.summary();
    const trails = this.groups.flatMap(g => g.chunks.map((chunk, k) => this.#trails(g, chunk, k)));
    return [...trails, ...this.groups.map(g => this.#heads(g))];
  }

  #layerId(g, name) { return `${this.sideBySide ? g.id : 'main'}/${name}-${g.id}`; }

  #trails(g, chunk, k) {
    const id = this.#layerId(g, `trips${k}`), visible = chunk.begin <= this.now && this.now <= chunk.end + this.trail;
    if (!visible && chunk.layer?.id === id && !chunk.layer.props.visible) return chunk.layer;
    chunk.layer = new TripsLayer({
      id, visible, data: chunk.trips, positionFormat: 'XY',
      getPath: trip => trip.path, getTimestamps: trip => trip.times, getColor: trip => this.#color(g, trip),
      updateTriggers: {getColor: [this.byAttribute, this.map.themeName]},
      currentTime: this.now, trailLength: this.trail, fadeTrail: true, capRounded: true, jointRounded: true,
      widthUnits: 'pixels', getWidth: TRAIL_PX, opacity: this.byAttribute ? 0.92 : 0.6, parameters: ON_TOP,
    });
    return chunk.layer;
  }

  /** A dot for each vehicle that is on the way now. */
  #heads(g) {
    const dark = this.map.themeName === 'dark', {paper} = this.map.theme;
    const data = g.chunks.filter(chunk => chunk.begin <= this.now && this.now <= chunk.end).flatMap(chunk => chunk.trips)
      .map(trip => ({at: this.#head(trip), color: this.#color(g, trip)})).filter(head => head.at);
    return new ScatterplotLayer({
      id: this.#layerId(g, 'heads'), data, getPosition: head => head.at, getFillColor: head => head.color.slice(0, 3).map(c => dark ? c + (255 - c) * 0.7 : c * 0.7),
      stroked: !dark, getLineColor: paper, lineWidthUnits: 'pixels', getLineWidth: 1,
      radiusUnits: 'pixels', getRadius: HEAD_PX, parameters: ON_TOP,
    });
  }

  #color(g, trip) {
    if (!this.byAttribute) return g.color;
    const color = this.scale.color(trip.attribute);
    return color[3] ? color : [150, 150, 150, 255];
  }

  cards() {
    const legend = g => legendCard(g.title, this.byAttribute ? this.scale : this.#swatch([g]));
    if (this.sideBySide) return this.groups.map(g => [legend(g)]);
    return [[legendCard(this.spec.title, this.byAttribute ? this.scale : this.#swatch(this.groups))]];
  }

  #swatch(groups) { return {categorical: true, labels: groups.map(g => g.title), css: () => groups.map(g => cssColor(g.color))}; }

  pictureParts() {
    if (!this.sideBySide) return [{title: `${this.spec.title}, ${clockText(this.now)}`, scale: this.byAttribute ? this.scale : this.#swatch(this.groups)}];
    return this.groups.map(g => ({title: g.title, scale: this.byAttribute ? this.scale : this.#swatch([g])}));
  }

  /** Where a trip is now, or null before its start and after its end. */
  #head({path, times}) {
    const last = times.length - 1;
    if (last < 1 || this.now < times[0] || this.now > times[last]) return null;
    let low = 0, high = last;
    while (high - low > 1) { const middle = (low + high) >> 1; if (times[middle] <= this.now) low = middle; else high = middle; }
    const t = (this.now - times[low]) / (times[high] - times[low] || 1);
    return [path[2 * low] + (path[2 * high] - path[2 * low]) * t, path[2 * low + 1] + (path[2 * high + 1] - path[2 * low + 1]) * t];
  }

  hover(point) {
    const {scene, tooltip, host} = this.map;
    if (!point) return tooltip.hide();
    let best = null, least = REACH_PX;
    this.groups.forEach((g, k) => {
      const view = this.sideBySide ? k : 0;
      for (const trip of g.trips) {
        const head = this.#head(trip);
        if (!head) continue;
        const [x, y] = scene.project(head, 0, view), distance = Math.hypot(x - point[0], y - point[1]);
        if (distance < least) { least = distance; best = trip; }
      }
    });
    if (!best) return tooltip.hide();
    const g = this.groups[best.group], rows = [['since', clockText(best.times[0])]];
    if (this.scale) rows.push([this.scale.label, this.scale.text(best.attribute)]);
    tooltip.show(...point, host, best.name || `${g.title} ${best.index + 1}`, rows);
  }

  summary() {
    return `On the way at ${clockText(this.now)}  ·  ${this.groups.map(g => `${g.title} ${formatCount(moving(g, this.now))} of ${formatCount(g.trips.length)}`).join('  ·  ')}`;
  }

  tableSources() {
    const rows = this.groups.flatMap(g => g.trips);
    const columns = [
      {title: 'Group', get: i => this.groups[rows[i].group].title},
      {title: 'Trip', get: i => rows[i].name || String(rows[i].index + 1)},
      {title: 'Begins', numeric: true, get: i => clockText(rows[i].times[0])},
      {title: 'Minutes', numeric: true, get: i => formatNumber((rows[i].times[rows[i].times.length - 1] - rows[i].times[0]) / 60)},
    ];
    if (this.scale) columns.push({title: this.scale.label, numeric: true, get: i => this.scale.text(rows[i].attribute)});
    const line = trip => Array.from({length: trip.times.length}, (_, k) => [trip.path[2 * k], trip.path[2 * k + 1]]);
    return [{name: 'Trips', columns, count: rows.length, onRow: i => this.map.overlay.set('row', [line(rows[i])])}];
  }

  key(event) {
    if (event.ctrlKey || event.metaKey) return false;
    if (this.drawing && this.pen.press(event)) return true;
    if (event.shiftKey) return false;
    const actions = {
      ' ': () => this.time.play(!this.time.playing), ',': () => this.time.move(-1), '.': () => this.time.move(1),
      Home: () => this.time.jump('begin'), End: () => this.time.jump('end'), s: () => this.side?.click(), c: () => this.byButton?.click(),
      l: () => this.lineButton?.click(), Delete: () => this.pen?.clear(),
    };
    const action = actions[event.key] ?? actions[event.key.toLowerCase()];
    action?.();
    return Boolean(action);
  }

  themeChanged(name) { this.scale = this.scale?.inTheme(name) ?? null; }
  cameraChanged() {}
  pointerLeft() { this.hover(null); }
  click() {}
  get painter() { return this.drawing ? this.pen : null; }
  get busy() { return Boolean(this.pen?.stroke); }
  is3dAllowed() { return true; }
  before3d() {}
  destroy() {
    this.time.destroy();
    this.pen?.show(null);
    this.pen?.hideCursor();
  }
}

/** Trips in the order of their begin, a hundred at a time, with the time in which any of them moves. */
function chunksOf(trips) {
  const ordered = [...trips].sort((a, b) => a.times[0] - b.times[0]);
  return Array.from({length: Math.ceil(ordered.length / CHUNK)}, (_, k) => {
    const some = ordered.slice(k * CHUNK, (k + 1) * CHUNK);
    return {trips: some, begin: some[0].times[0], end: Math.max(...some.map(trip => trip.times.at(-1))), layer: null};
  });
}

/** How many trips of a group are on the way. */
const moving = (g, now) => g.trips.reduce((n, {times}) => n + (times[0] <= now && now <= times[times.length - 1] ? 1 : 0), 0);

export function clockText(seconds) {
  const day = ((Math.floor(seconds) % 86_400) + 86_400) % 86_400;
  return [day / 3600, (day / 60) % 60, day % 60].map(part => String(Math.floor(part)).padStart(2, '0')).join(':');
}

const secondsText = s => (s < 120 ? `${s} s` : `${formatNumber(s / 60)} min`);
