/**
 * What the user edits: painted cells, closed streets, or both, with one history.
 *
 * Documents live in a map of this module, not in the page: Streamlit throws the page's elements away
 * when the user switches pages, and what was painted, undo included, must be there on return.
 */
import {encodeArray} from './payload.js';
import {History} from './history.js';
import {Painting} from './painting.js';
import {Streets} from './streets.js';

const MAX_DOCUMENTS = 16;
const documents = new Map();

/** The document that Python describes; the browser's own copy unless Python has a newer one. */
export function openDocument(spec, topology) {
  const kept = documents.get(spec.id);
  documents.delete(spec.id);
  const document = kept && kept.revision >= spec.revision ? kept : new EditedMap(spec, topology);
  documents.set(spec.id, document);
  if (documents.size > MAX_DOCUMENTS) documents.delete(documents.keys().next().value);
  return document;
}

class EditedMap {
  constructor(spec, topology) {
    this.id = spec.id;
    this.revision = spec.revision;
    this.painting = spec.painting ? new Painting(spec.painting, topology) : null;
    this.streets = spec.streets ? new Streets(spec.streets) : null;
    this.history = new History();
    this.onEdit = null;
  }

  get numChanged() { return (this.painting?.numChanged ?? 0) + (this.streets?.numChanged ?? 0); }

  begin() { this.painting?.begin(); this.streets?.begin(); }
  cancel() { this.painting?.cancel(); this.streets?.cancel(); }
  commit(label) { return this.#record(label, [this.painting?.commit(label), this.streets?.commit(label)]); }
  setAll(to) { return this.#record(to === 'baseline' ? 'Reset' : 'Clear', [this.painting?.setAll(to), this.streets?.setAll(to)]); }
  setKeepTotal(on) { return this.#record(on ? 'Total kept' : 'Total free', [this.painting.setKeepTotal(on)]); }
  setCell(i, value) { return this.#record('Table', [this.painting.setCell(i, value)]); }

  setStreet(street, closed) {
    this.streets.begin();
    this.streets.close(street, closed);
    return this.#record('Table', [this.streets.commit('Table')]);
  }

  undo() { return this.#moved(this.history.undo(), 'Undo'); }
  redo() { return this.#moved(this.history.redo(), 'Redo'); }

  #record(label, parts) {
    const steps = parts.filter(Boolean);
    if (!steps.length) return 0;
    const count = steps.reduce((sum, step) => sum + step.count, 0);
    this.history.push({
      label, count,
      bytes: steps.reduce((sum, step) => sum + step.bytes, 0),
      undo: () => steps.forEach(step => step.undo()),
      redo: () => steps.forEach(step => step.redo()),
    });
    this.#publish(label);
    return count;
  }

  #moved(step, label) {
    if (!step) return null;
    this.#publish(label);
    return step;
  }

  /** Tell Python: always the whole state, so that a lost or merged message costs nothing. */
  #publish(label) {
    this.revision += 1;
    const message = {document: this.id, revision: this.revision, tool: label};
    if (this.painting) {
      message.values = encodeArray(this.painting.values);
      message.painted = encodeArray(this.painting.painted);
      message.keepTotal = this.painting.keepTotal;
    }
    if (this.streets) message.closed = [...this.streets.closed].sort((a, b) => a - b);
    this.onEdit?.(message);
  }
}
