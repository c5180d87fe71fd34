/** The streets that can be closed: where they are, and which are closed. No drawing. */
import {METRES_PER_DEGREE, distanceToSegmentM} from './geometry.js';
import {segmentsOf} from './lines.js';

const BUCKET_M = 120;

export class Streets {
  /** @param spec {ids, names, kinds, closed, baseline} by street; {owners, starts} by line; coords (lon, lat, ...) */
  constructor(spec) {
    this.ids = spec.ids;
    this.names = spec.names;
    this.kinds = spec.kinds;
    this.count = spec.ids.length;
    this.parts = Array.from(spec.owners, (street, i) => {
      const from = spec.starts[i], to = spec.starts[i + 1] ?? spec.coords.length / 2, path = [];
      for (let k = from; k < to; k++) path.push([spec.coords[2 * k], spec.coords[2 * k + 1]]);
      return {street, path};
    });
    this.segments = segmentsOf(this.parts.map(part => part.path));
    this.lines = Array.from({length: this.count}, () => []);
    for (const {street, path} of this.parts) this.lines[street].push(path);
    this.closed = new Set(spec.closed);
    this.baseline = new Set(spec.baseline);
    this.#index(spec.coords);
  }

  /** One bucket per 120 m square holds the segments that cross it. */
  #index(coords) {
    const lat = coords.length ? coords[1] : 0;
    this.stepLat = BUCKET_M / METRES_PER_DEGREE;
    this.stepLon = this.stepLat / Math.cos(lat * Math.PI / 180);
    this.buckets = new Map();
    this.parts.forEach(({street, path}) => {
      for (let k = 1; k < path.length; k++) this.#add(street, path[k - 1], path[k]);
    });
  }

  #add(street, a, b) {
    const [x0, x1] = [a[0], b[0]].map(v => Math.floor(v / this.stepLon)).sort((p, q) => p - q);
    const [y0, y1] = [a[1], b[1]].map(v => Math.floor(v / this.stepLat)).sort((p, q) => p - q);
    for (let x = x0; x <= x1; x++) {
      for (let y = y0; y <= y1; y++) {
        const key = `${x},${y}`;
        if (!this.buckets.has(key)) this.buckets.set(key, []);
        this.buckets.get(key).push([street, a, b]);
      }
    }
  }

  /** Map of street -> distance in metres, for the streets within `rangeM` of a point. */
  within([lon, lat], rangeM) {
    const reach = Math.ceil(rangeM / BUCKET_M), found = new Map();
    const x = Math.floor(lon / this.stepLon), y = Math.floor(lat / this.stepLat);
    for (let dx = -reach; dx <= reach; dx++) {
      for (let dy = -reach; dy <= reach; dy++) {
        for (const [street, a, b] of this.buckets.get(`${x + dx},${y + dy}`) ?? []) {
          const distance = distanceToSegmentM([lon, lat], a, b);
          if (distance <= rangeM && distance < (found.get(street) ?? Infinity)) found.set(street, distance);
        }
      }
    }
    return found;
  }

  nearest(point, rangeM) {
    let best = -1, least = Infinity;
    for (const [street, distance] of this.within(point, rangeM)) if (distance < least) { least = distance; best = street; }
    return best;
  }

  begin() { this.before = new Set(this.closed); }

  close(street, on) { if (on) this.closed.add(street); else this.closed.delete(street); }

  cancel() {
    if (this.before) this.closed = this.before;
    this.before = null;
  }

  commit(label) {
    const old = this.before, fresh = new Set(this.closed);
    this.before = null;
    if (!old) return null;
    const count = [...fresh].filter(s => !old.has(s)).length + [...old].filter(s => !fresh.has(s)).length;
    if (!count) return null;
    const put = state => { this.closed = new Set(state); };
    return {label, count, bytes: 16 * (old.size + fresh.size) + 200, undo: () => put(old), redo: () => put(fresh)};
  }

  setAll(to) {
    this.begin();
    this.closed = to === 'baseline' ? new Set(this.baseline) : new Set();
    return this.commit(to === 'baseline' ? 'Reset' : 'Clear');
  }

  get numChanged() {
    let count = 0;
    for (const s of this.closed) if (!this.baseline.has(s)) count++;
    for (const s of this.baseline) if (!this.closed.has(s)) count++;
    return count;
  }

  title(street) { return this.names[street] || 'Street without a name'; }
}
