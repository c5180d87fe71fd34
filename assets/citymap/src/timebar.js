/** Play, pause, step, scrub and speed. Time passes in the browser only; Python is never asked. */
import {element} from './dom.js';
import {icon} from './icons.js';
import {iconButton, slider} from './toolbar.js';

const SPEEDS = [0.25, 0.5, 1, 2, 4, 8];

export class TimeBar {
  /**
   * @param time {begin, end, step, perSecond, loops, label(t), onTime(t)}; `step` is what one arrow key moves
   */
  constructor(time, {trail} = {}) {
    Object.assign(this, {time, now: time.begin, playing: false, speed: 1});
    this.toggle = iconButton({name: 'play', label: 'Play', id: 'play', pressed: false, key: 'Space', onClick: () => this.play(!this.playing)});
    this.slider = element('input', {type: 'range', className: 'time', attributes: {min: time.begin, max: time.end, step: time.step, 'aria-label': time.name, 'data-id': 'time'}});
    this.slider.addEventListener('input', () => { this.play(false); this.show(+this.slider.value); });
    this.clock = element('output', {className: 'clock'});
    this.choice = element('select', {className: 'speed', attributes: {'aria-label': 'Speed', 'data-id': 'speed', 'data-tip': 'Speed'}},
      SPEEDS.map(s => element('option', {value: s, text: `${s}×`, selected: s === 1})));
    this.choice.addEventListener('change', () => { this.speed = +this.choice.value; });
    const back = iconButton({name: 'step-back', label: 'One step back', id: 'back', key: ',', onClick: () => this.move(-1)});
    const forward = iconButton({name: 'step-forward', label: 'One step forward', id: 'forward', key: '.', onClick: () => this.move(1)});
    this.node = element('div', {className: 'bar timebar', attributes: {role: 'group', 'aria-label': 'Time'}},
      [element('div', {className: 'group'}, [back, this.toggle, forward]), this.slider, this.clock, this.choice]);
    if (trail) {
      this.trail = slider({label: 'Trail', id: 'trail', min: trail.min, max: trail.max, step: trail.step, value: trail.value, format: trail.format, onInput: trail.onInput});
      this.node.append(this.trail.node);
    }
  }

  show(now) {
    const {begin, end, onTime, label} = this.time;
    this.now = Math.max(begin, Math.min(end, now));
    if (+this.slider.value !== this.now) this.slider.value = this.now;
    const text = label(this.now);
    this.clock.textContent = text;
    this.slider.setAttribute('aria-valuetext', text);
    this.slider.style.setProperty('--part', `${100 * (this.now - begin) / (end - begin || 1)}%`);
    onTime(this.now);
  }

  move(steps) {
    this.play(false);
    this.show(Math.round((this.now - this.time.begin) / this.time.step + steps) * this.time.step + this.time.begin);
  }

  jump(to) { this.play(false); this.show(to === 'begin' ? this.time.begin : this.time.end); }

  play(on) {
    if (on === this.playing) return;
    this.playing = on;
    this.toggle.setAttribute('aria-pressed', String(on));
    this.toggle.setAttribute('aria-label', on ? 'Pause' : 'Play');
    this.toggle.dataset.tip = `${on ? 'Pause' : 'Play'}  ·  Space`;
    this.toggle.replaceChildren(icon(on ? 'pause' : 'play'));
    cancelAnimationFrame(this.frame);
    if (!on) return;
    if (this.now >= this.time.end) this.now = this.time.begin;
    let exact = this.now, last = performance.now();
    const tick = stamp => {
      exact += Math.max(0, stamp - last) / 1000 * this.time.perSecond * this.speed;
      last = stamp;
      if (exact > this.time.end) exact = this.time.begin;
      const shown = this.time.discrete ? Math.floor(exact) : exact;
      if (shown !== this.now) this.show(shown);
      this.frame = requestAnimationFrame(tick);
    };
    this.frame = requestAnimationFrame(tick);
  }

  destroy() { this.play(false); }
}
