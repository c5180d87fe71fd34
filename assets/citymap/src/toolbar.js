/** Buttons and sliders above the map. */
import {element} from './dom.js';
import {icon} from './icons.js';

/** A button with an icon; its tooltip names the key. `pressed` makes it a toggle. */
export function iconButton({name, label, key, pressed, disabled, onClick, id}) {
  const button = element('button', {
    className: 'button', type: 'button', disabled: Boolean(disabled),
    attributes: {
      'aria-label': label, 'aria-pressed': pressed === undefined ? undefined : String(Boolean(pressed)),
      'aria-keyshortcuts': key?.aria, 'data-id': id, 'data-tip': key ? `${label}  ·  ${key.text ?? key}` : label,
    },
    on: {click: onClick},
  });
  button.append(icon(name));
  return button;
}

export function setPressed(button, pressed) { button.setAttribute('aria-pressed', String(pressed)); }

/** A labelled slider that shows its value. */
export function slider({label, id, min, max, step, value, format, onInput}) {
  const output = element('output', {text: format(value)});
  const input = element('input', {type: 'range', attributes: {min, max, step, 'aria-label': label, 'data-id': id, 'aria-valuetext': format(value)}});
  input.value = value;
  const show = v => { output.textContent = format(v); input.setAttribute('aria-valuetext', format(v)); };
  input.addEventListener('input', () => { show(+input.value); onInput(+input.value); });
  const node = element('label', {className: 'slider'}, [element('span', {text: label}), input, output]);
  return {node, input, set(v) { if (+input.value !== v) input.value = v; show(v); }};
}

export const group = (label, children) => element('div', {className: 'group', attributes: {role: 'group', 'aria-label': label}}, children);

/** Arrow keys move between the buttons of a toolbar, Tab leaves it, as the ARIA pattern has it. */
export function roveFocus(bar) {
  const buttons = () => [...bar.querySelectorAll('button:not(:disabled)')];
  const retab = active => buttons().forEach(b => { b.tabIndex = b === active ? 0 : -1; });
  bar.addEventListener('keydown', event => {
    if (event.target.tagName !== 'BUTTON') return;
    const all = buttons(), at = all.indexOf(event.target);
    const next = {ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: all.length - 1}[event.key];
    if (next === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    const button = all[(next + all.length) % all.length];
    retab(button);
    button.focus();
  });
  bar.addEventListener('focusin', event => { if (event.target.tagName === 'BUTTON') retab(event.target); });
  return () => {
    const all = buttons(), current = all.find(b => b.tabIndex === 0 && b.isConnected);
    retab(all.find(b => b.getAttribute('aria-pressed') === 'true') ?? current ?? all[0]);
  };
}
