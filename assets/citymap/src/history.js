/** Undo and redo. A step is {label, undo(), redo(), bytes}. */
const MAX_STEPS = 300;
const MAX_BYTES = 24e6;

export class History {
  done = [];
  undone = [];
  bytes = 0;

  get canUndo() { return this.done.length > 0; }
  get canRedo() { return this.undone.length > 0; }

  push(step) {
    this.done.push(step);
    this.undone = [];
    this.bytes += step.bytes;
    while (this.done.length > MAX_STEPS || (this.bytes > MAX_BYTES && this.done.length > 1)) {
      this.bytes -= this.done.shift().bytes;
    }
  }

  undo() { return this.#move(this.done, this.undone, 'undo', -1); }
  redo() { return this.#move(this.undone, this.done, 'redo', 1); }

  #move(from, to, method, sign) {
    const step = from.pop();
    if (!step) return null;
    step[method]();
    to.push(step);
    this.bytes += sign * step.bytes;
    return step;
  }
}
