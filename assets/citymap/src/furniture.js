/** What lies over the map: titles with legends, scale bar, attribution, tooltip, keyboard help. */
import {element} from './dom.js';
import {formatNumber} from './colors.js';
import {roundDown} from './geometry.js';
import {CAMERA_SHORTCUTS, SHORTCUTS, TIME_SHORTCUTS, VIEW_SHORTCUTS} from './tools.js';

const SCALE_BAR_PX = 110;

/** Title and legend of one view. */
export function legendCard(title, scale, special = null) {
  const children = [element('div', {className: 'title', text: title})];
  if (scale) children.push(scale.categorical ? categories(scale) : ramp(scale));
  if (special) children.push(categories(special));
  return element('div', {className: 'card', attributes: {role: 'img', 'aria-label': legendText(title, scale)}}, children);
}

export function legendText(title, scale) {
  if (!scale) return title;
  if (scale.categorical) return `${title}. ${(scale.labels ?? []).join(', ')}`;
  return `${title}. ${scale.label}, ${scale.text(scale.low)} to ${scale.text(scale.high)}`;
}

function ramp(scale) {
  const bar = element('div', {className: 'ramp'});
  bar.style.backgroundImage = scale.css();
  const middle = scale.kind === 'diverging' ? [element('span', {text: formatNumber((scale.low + scale.high) / 2)})] : [];
  const ends = element('div', {className: 'ends'}, [element('span', {text: formatNumber(scale.low)}), ...middle, element('span', {text: formatNumber(scale.high)})]);
  const label = [scale.label, scale.unit].filter(Boolean).join(' · ');
  return element('div', {}, [bar, ends, element('div', {className: 'unit', text: label})]);
}

function categories(scale) {
  return element('ul', {className: 'categories'}, (scale.labels ?? []).map((label, k) => {
    const swatch = element('i');
    swatch.style.background = scale.css()[k];
    return element('li', {}, [swatch, element('span', {text: label})]);
  }));
}

/** A round length that fits, and its width on the screen. */
export function scaleBarSize(metresPerPixel) {
  const metres = roundDown(SCALE_BAR_PX * metresPerPixel);
  return {text: metres >= 1000 ? `${metres / 1000} km` : `${formatNumber(metres)} m`, width: metres / metresPerPixel};
}

export class ScaleBar {
  node = element('div', {className: 'scale-bar', attributes: {'aria-hidden': 'true'}}, [element('span')]);

  update(metresPerPixel) {
    const {text, width} = scaleBarSize(metresPerPixel);
    this.node.firstChild.textContent = text;
    this.node.style.width = `${width}px`;
  }
}

export class Tooltip {
  node = element('div', {className: 'tooltip', hidden: true, attributes: {'aria-hidden': 'true'}});

  /** @param rows [[name, value], ...] or [text] @param colors one per row, or none */
  show(x, y, host, heading, rows) {
    this.node.replaceChildren(element('strong', {text: heading}), element('dl', {}, rows.flatMap(([name, value, color]) => {
      const swatch = element('i');
      if (color) swatch.style.background = color;
      return [element('dt', {}, color ? [swatch, name] : [name]), element('dd', {text: value})];
    })));
    this.node.hidden = false;
    const {offsetWidth: width, offsetHeight: height} = this.node;
    const left = x + 18 + width > host.clientWidth ? x - width - 14 : x + 18;
    const top = y + 18 + height > host.clientHeight ? y - height - 10 : y + 18;
    this.node.style.transform = `translate(${Math.max(4, left)}px,${Math.max(4, top)}px)`;
  }

  hide() { this.node.hidden = true; }
}

/** The list of keys, built when asked for. */
export function helpPanel({tools, shortcuts, time, onClose}) {
  const list = rows => element('dl', {}, rows.flatMap(([keys, text]) => [element('dt', {}, [element('kbd', {text: keys})]), element('dd', {text})]));
  const parts = [];
  if (tools) parts.push(element('h4', {text: 'Tools'}), list(tools.map(t => [t.key.toUpperCase(), t.label])), element('h4', {text: 'Painting'}), list(SHORTCUTS));
  else if (shortcuts) parts.push(element('h4', {text: 'Trips'}), list(shortcuts));
  else parts.push(element('h4', {text: 'Cells'}), list(VIEW_SHORTCUTS));
  if (time) parts.push(element('h4', {text: 'Time'}), list(TIME_SHORTCUTS));
  parts.push(element('h4', {text: 'Map'}), list(CAMERA_SHORTCUTS));
  const close = element('button', {type: 'button', className: 'text-button', text: 'Close', on: {click: onClose}});
  const panel = element('div', {className: 'panel help', tabIndex: -1, attributes: {role: 'dialog', 'aria-label': 'Keys'}}, [...parts, close]);
  panel.addEventListener('keydown', event => { event.stopPropagation(); if (event.key === 'Escape') onClose(); });
  return panel;
}
