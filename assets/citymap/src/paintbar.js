/** The toolbar of a map that can be painted. */
import {formatNumber} from './colors.js';
import {element} from './dom.js';
import {group, iconButton, roveFocus, setPressed, slider} from './toolbar.js';
import {MAX_RADIUS} from './tools.js';

const GROUPS = [['move', 'Move'], ['paint', 'Paint'], ['value', 'Values'], ['region', 'Regions'], ['street', 'Streets']];

export class PaintBar {
  /** @param map {document, difference, setDifference, undo, redo, clear, reset, keepTotal} */
  constructor(painter, map) {
    this.painter = painter;
    this.map = map;
    this.node = element('div', {className: 'bar', attributes: {role: 'toolbar', 'aria-label': 'Paint tools'}});
    this.toolButtons = new Map();
    this.#tools();
    this.#sliders();
    this.#history();
    this.refocus = roveFocus(this.node);
    this.update();
  }

  #tools() {
    for (const [id, label] of GROUPS) {
      const tools = this.painter.tools.filter(tool => tool.group === id);
      if (!tools.length) continue;
      this.node.append(group(label, tools.map(tool => {
        const button = iconButton({
          name: tool.icon, label: tool.label, id: tool.id, pressed: false,
          key: {text: tool.key.toUpperCase(), aria: tool.key}, onClick: () => this.painter.choose(tool.id),
        });
        this.toolButtons.set(tool.id, button);
        return button;
      })));
    }
  }

  #sliders() {
    const {painter, map} = this, painting = map.document.painting;
    this.radius = slider({label: 'Radius', id: 'radius', min: 0, max: MAX_RADIUS, step: 1, value: painter.radius, format: String, onInput: r => painter.setRadius(r)});
    const sliders = [this.radius.node];
    if (painting && !painting.isMask) {
      this.value = slider({
        label: 'Value', id: 'value', min: 0, max: painting.limit, step: painting.limit / 200, value: painting.level, format: formatNumber,
        onInput: v => { painting.level = v; },
      });
      this.strength = slider({
        label: 'Strength', id: 'strength', min: 1, max: 100, step: 1, value: Math.round(painting.strength * 100), format: v => `${v} %`,
        onInput: v => { painting.strength = v / 100; },
      });
      sliders.push(this.value.node, this.strength.node);
    }
    this.node.append(element('div', {className: 'sliders'}, sliders));
  }

  #history() {
    const {map} = this, painting = map.document.painting;
    const button = (id, name, label, key, onClick) => iconButton({name, label, id, onClick, key});
    this.undo = button('undo', 'undo', 'Undo', {text: 'Ctrl+Z', aria: 'Control+Z'}, () => map.undo());
    this.redo = button('redo', 'redo', 'Redo', {text: 'Ctrl+Y', aria: 'Control+Y'}, () => map.redo());
    this.clear = button('clear', 'trash', 'Clear', {text: 'Delete', aria: 'Delete'}, () => map.clear());
    this.reset = button('reset', 'history', 'Reset to the baseline', {text: 'Shift+Delete', aria: 'Shift+Delete'}, () => map.reset());
    this.node.append(element('span', {className: 'spring'}), group('History', [this.undo, this.redo, this.clear, this.reset]));
    if (!painting) return;
    this.difference = iconButton({name: 'diff', label: 'Show the difference to the baseline', id: 'difference', pressed: false, key: {text: 'D', aria: 'd'}, onClick: () => map.setDifference(!map.difference)});
    const modes = [this.difference];
    if (!painting.isMask) {
      this.keepTotal = iconButton({name: 'scale', label: 'Keep the total: rescale what is not painted', id: 'keep-total', pressed: false, key: {text: 'K', aria: 'k'}, onClick: () => map.keepTotal(!painting.keepTotal)});
      modes.push(this.keepTotal);
    }
    this.node.append(group('Display', modes));
  }

  update() {
    const {painter, map} = this, {document} = map, {painting} = document;
    for (const [id, button] of this.toolButtons) {
      setPressed(button, id === painter.tool.id);
      button.classList.toggle('applied', painter.tool.group === 'region' && id === painter.action);
    }
    this.radius.set(painter.radius);
    this.value?.set(painting.level);
    this.strength?.set(Math.round(painting.strength * 100));
    this.undo.disabled = !document.history.canUndo;
    this.redo.disabled = !document.history.canRedo;
    if (this.difference) setPressed(this.difference, map.difference);
    if (this.keepTotal) setPressed(this.keepTotal, painting.keepTotal);
    this.refocus();
  }
}
