/**
 * The table twin: the same cells as a plain HTML table, edited by keyboard, in step with the map.
 * A source is {name, columns: [{title, numeric?, get(i), edit?}], count, isChanged?(i), onRow(i)};
 * `edit` is {kind: 'number' | 'check', label(i), set(i, value), ...}.
 */
import {formatCount} from './colors.js';
import {element} from './dom.js';
import {iconButton} from './toolbar.js';

const PAGE_ROWS = 25;

export class TableTwin {
  constructor(sources, onClose) {
    this.sources = sources;
    this.page = 0;
    this.changedOnly = false;
    this.node = element('section', {className: 'panel table-twin', attributes: {'aria-label': 'Table of values'}});
    this.choice = element('select', {attributes: {'aria-label': 'What the table lists'}, on: {change: () => this.#choose(+this.choice.value)}},
      sources.map((source, k) => element('option', {value: k, text: source.name})));
    this.filter = element('input', {type: 'checkbox', on: {change: () => { this.changedOnly = this.filter.checked; this.page = 0; this.rebuild(); }}});
    this.filterLabel = element('label', {className: 'check'}, [this.filter, 'Changed only']);
    const close = iconButton({name: 'close', label: 'Close the table', id: 'close-table', onClick: onClose});
    this.table = element('table');
    this.scroller = element('div', {className: 'scroller', tabIndex: 0, attributes: {role: 'region', 'aria-label': 'Rows'}}, [this.table]);
    this.position = element('span', {className: 'position', attributes: {'aria-live': 'polite'}});
    this.back = element('button', {type: 'button', className: 'text-button', text: 'Back', on: {click: () => this.#turn(-1)}});
    this.next = element('button', {type: 'button', className: 'text-button', text: 'Next', on: {click: () => this.#turn(1)}});
    this.node.append(
      element('header', {}, [sources.length > 1 ? this.choice : element('strong', {text: sources[0].name}), element('span', {className: 'spring'}), this.filterLabel, close]),
      this.scroller, element('footer', {}, [this.back, this.position, this.next]));
    this.#choose(0);
  }

  #choose(k) {
    this.source = this.sources[k];
    this.page = 0;
    this.filterLabel.hidden = !this.source.isChanged;
    if (!this.source.isChanged) this.changedOnly = false;
    this.rebuild();
  }

  #turn(pages) { this.page += pages; this.rebuild(); this.scroller.scrollTop = 0; }

  /** Build the rows of this page anew: another page, filter or source. */
  rebuild() {
    const {source} = this;
    this.rows = this.changedOnly ? Array.from({length: source.count}, (_, i) => i).filter(source.isChanged) : null;
    const count = this.rows?.length ?? source.count, pages = Math.max(1, Math.ceil(count / PAGE_ROWS));
    this.page = Math.max(0, Math.min(pages - 1, this.page));
    const from = this.page * PAGE_ROWS, to = Math.min(count, from + PAGE_ROWS);
    const head = element('tr', {}, source.columns.map(c => element('th', {text: c.title, className: c.numeric ? 'numeric' : '', attributes: {scope: 'col'}})));
    this.shown = Array.from({length: to - from}, (_, k) => this.#row(this.rows ? this.rows[from + k] : from + k));
    this.table.replaceChildren(
      element('caption', {text: source.name}), element('thead', {}, [head]), element('tbody', {}, this.shown.map(row => row.node)));
    this.position.textContent = count ? `${formatCount(from + 1)}–${formatCount(to)} of ${formatCount(count)}` : 'No rows';
    this.back.disabled = this.page === 0;
    this.next.disabled = this.page >= pages - 1;
  }

  #row(i) {
    const {source} = this, updates = [];
    const cells = source.columns.map(column => {
      const cell = element('td', {className: column.numeric ? 'numeric' : ''});
      updates.push(column.edit && !column.edit.locked?.(i) ? this.#editor(cell, column.edit, i) : () => {
        const text = column.get(i);
        if (cell.textContent !== text) cell.textContent = text;
      });
      return cell;
    });
    const node = element('tr', {on: {focusin: () => source.onRow(i), pointerenter: () => source.onRow(i)}}, cells);
    const update = () => {
      updates.forEach(f => f());
      node.classList.toggle('changed', Boolean(source.isChanged?.(i)));
      node.classList.toggle('current', i === this.current);
    };
    update();
    return {i, node, update};
  }

  #editor(cell, edit, i) {
    const input = element('input', {type: edit.kind === 'check' ? 'checkbox' : 'number', attributes: {'aria-label': edit.label(i), min: edit.min, max: edit.max, step: edit.step}});
    cell.append(input);
    if (edit.kind === 'check') {
      input.addEventListener('change', () => edit.set(i, input.checked));
      return () => { input.checked = edit.value(i); };
    }
    input.addEventListener('change', () => {
      if (input.value !== '' && Number.isFinite(+input.value)) edit.set(i, +input.value);
      input.value = edit.value(i);
    });
    return () => {
      const value = String(edit.value(i)), focused = input.getRootNode().activeElement === input;
      if (!focused && input.value !== value) input.value = value;
    };
  }

  /** Values changed on the map: rewrite what is visible. */
  update() { this.shown.forEach(row => row.update()); }

  /** A stroke ended: which rows are listed may have changed too. */
  settle() {
    const editing = this.table.contains(this.table.getRootNode().activeElement);
    if (this.changedOnly && !editing) this.rebuild(); else this.update();
  }

  /** Turn to the row of a cell that was chosen on the map. */
  reveal(i, sourceIndex = 0) {
    if (this.source !== this.sources[sourceIndex]) return;
    this.current = i;
    const at = this.rows ? this.rows.indexOf(i) : i;
    if (at < 0) return this.update();
    const page = Math.floor(at / PAGE_ROWS);
    if (page !== this.page) { this.page = page; this.rebuild(); } else this.update();
    this.shown.find(row => row.i === i)?.node.scrollIntoView?.({block: 'nearest'});
  }
}
