/**
 * The painted map: values, baseline and what was painted, without any drawing.
 *
 * A stroke is begin(), apply() per cell, settle() per frame, then commit() or cancel(). Each cell is
 * changed at most once per stroke. commit() returns what changed as a step for the history.
 */
import {BLOCKED} from './colors.js';

export class Painting {
  constructor(spec, topology) {
    this.kind = spec.kind;                                  // 'mask' | 'occupancy'
    this.topology = topology;
    this.values = spec.values.slice();
    this.baseline = spec.baseline.slice();
    this.available = spec.available?.slice() ?? null;       // 0: a cell that cannot be painted
    this.painted = spec.painted?.slice() ?? new Uint8Array(this.values.length);
    this.limit = spec.limit;                                // the highest value that can be painted
    this.brushValue = spec.brushValue;                      // masks: what the brush paints, what the eraser leaves
    this.eraseValue = spec.eraseValue;
    this.level = spec.kind === 'mask' ? spec.brushValue : spec.limit / 2;
    this.strength = 0.25;
    this.keepTotal = spec.keepTotal ?? false;
    this.factor = 1;
    this.baselineTotal = this.#sum(this.baseline);
    this.before = null;
  }

  get isMask() { return this.kind === 'mask'; }
  isAvailable(i) { return !this.available || this.available[i] === 1; }

  begin() {
    this.before = this.#snapshot();
    this.touched = new Uint8Array(this.values.length);
  }

  /** Change one cell. `nearness` falls from 1 in the middle of the brush to 0 at its edge. */
  apply(i, action, nearness = 1) {
    if (this.touched[i] || !this.isAvailable(i)) return;
    const value = this.#result(i, action, nearness);
    if (value === null) return;
    this.touched[i] = 1;
    this.values[i] = value;
    this.painted[i] = action === 'erase' ? 0 : 1;
  }

  #result(i, action, nearness) {
    if (this.isMask) return action === 'erase' ? this.eraseValue : this.brushValue;
    const value = this.values[i], strength = this.strength * nearness;
    switch (action) {
      case 'erase': return this.baseline[i] === BLOCKED ? BLOCKED : this.baseline[i] * this.factor;
      case 'block': return BLOCKED;
      case 'set': return this.level;
      case 'brush': return Math.max(0, value) * (1 - strength) + this.level * strength;
    }
    if (value === BLOCKED) return null;                     // raising or smoothing does not reopen a blocked cell
    if (action === 'raise') return Math.min(this.limit, value + strength * this.limit);
    if (action === 'lower') return Math.max(0, value - strength * this.limit);
    if (action === 'smooth') return value * (1 - strength) + this.#neighbourhood(i) * strength;
    return null;
  }

  #neighbourhood(i) {
    let sum = 0, count = 0;
    for (const j of [i, ...this.topology.neighbours(i)]) {
      if (this.values[j] !== BLOCKED && this.isAvailable(j)) { sum += this.values[j]; count++; }
    }
    return count ? sum / count : 0;
  }

  /** The connected cells whose value is like that of cell i. */
  region(i) {
    const like = this.values[i], tolerance = this.isMask ? 0 : 0.02 * this.limit, found = new Set([i]), queue = [i];
    const alike = value => value === like || (value !== BLOCKED && like !== BLOCKED && Math.abs(value - like) <= tolerance);
    while (queue.length) {
      for (const j of this.topology.neighbours(queue.pop())) {
        if (!found.has(j) && this.isAvailable(j) && alike(this.values[j])) { found.add(j); queue.push(j); }
      }
    }
    return found;
  }

  /** With the total kept, rescale the cells that nobody painted. Called after each change. */
  settle() {
    if (this.isMask) return;
    const factor = this.keepTotal ? this.#keepingFactor() : 1;
    if (factor === this.factor && !this.keepTotal) return;
    this.factor = factor;
    for (let i = 0; i < this.values.length; i++) {
      if (!this.painted[i] && this.baseline[i] !== BLOCKED) this.values[i] = this.baseline[i] * factor;
    }
  }

  #keepingFactor() {
    let fixed = 0, free = 0;
    for (let i = 0; i < this.values.length; i++) {
      if (this.painted[i]) fixed += Math.max(0, this.values[i]); else free += Math.max(0, this.baseline[i]);
    }
    return free > 0 ? Math.max(0, (this.baselineTotal - fixed) / free) : 1;
  }

  cancel() {
    if (this.before) this.#restore(this.before);
    this.before = null;
  }

  commit(label) {
    this.settle();
    const before = this.before;
    this.before = null;
    return before && this.#step(label, before);
  }

  /** Set every cell: to the baseline, or to empty. */
  setAll(to) {
    this.begin();
    for (let i = 0; i < this.values.length; i++) {
      if (!this.isAvailable(i)) continue;
      this.values[i] = to === 'baseline' ? this.baseline[i] : this.isMask ? this.eraseValue : 0;
      this.painted[i] = to === 'baseline' ? 0 : 1;
    }
    return this.commit(to === 'baseline' ? 'Reset' : 'Clear');
  }

  setKeepTotal(on) {
    this.begin();
    this.keepTotal = on;
    return this.commit(on ? 'Keep total' : 'Free total');
  }

  setCell(i, value) {
    if (!this.isAvailable(i)) return null;
    this.begin();
    this.values[i] = this.isMask ? value : value === BLOCKED ? BLOCKED : Math.max(0, Math.min(this.limit, value));
    this.painted[i] = 1;
    return this.commit('Table');
  }

  /** What changed since `before`, or null; the arrays hold the changed cells only. */
  #step(label, before) {
    const after = this.#snapshot(), index = [];
    for (let i = 0; i < this.values.length; i++) {
      if (before.values[i] !== after.values[i] || before.painted[i] !== after.painted[i]) index.push(i);
    }
    if (!index.length && before.keepTotal === after.keepTotal) return null;
    const at = Uint32Array.from(index);
    const part = state => ({
      values: this.values.constructor.from(index, i => state.values[i]),
      painted: Uint8Array.from(index, i => state.painted[i]),
      keepTotal: state.keepTotal, factor: state.factor,
    });
    const old = part(before), fresh = part(after);
    const put = state => {
      at.forEach((i, k) => { this.values[i] = state.values[k]; this.painted[i] = state.painted[k]; });
      this.keepTotal = state.keepTotal; this.factor = state.factor;
    };
    return {label, count: at.length, bytes: at.length * 14 + 200, undo: () => put(old), redo: () => put(fresh)};
  }

  #snapshot() {
    return {values: this.values.slice(), painted: this.painted.slice(), keepTotal: this.keepTotal, factor: this.factor};
  }

  #restore(state) {
    this.values.set(state.values); this.painted.set(state.painted);
    this.keepTotal = state.keepTotal; this.factor = state.factor;
  }

  #sum(values) {
    let sum = 0;
    for (let i = 0; i < values.length; i++) if (values[i] > 0 && this.isAvailable(i)) sum += values[i];
    return sum;
  }

  get total() { return this.#sum(this.values); }

  get numChanged() {
    let count = 0;
    for (let i = 0; i < this.values.length; i++) if (this.values[i] !== this.baseline[i]) count++;
    return count;
  }

  get numPainted() {
    let count = 0;
    for (let i = 0; i < this.painted.length; i++) count += this.painted[i];
    return count;
  }

  /** Value minus baseline; for masks 0 removed, 1 unchanged, 2 added. */
  difference(out) {
    for (let i = 0; i < out.length; i++) {
      if (!this.isAvailable(i)) out[i] = NaN;
      else if (this.isMask) out[i] = 1 + Math.sign(this.values[i] - this.baseline[i]);
      else out[i] = Math.max(0, this.values[i]) - Math.max(0, this.baseline[i]);
    }
    return out;
  }
}
