/** Colour scales: values to colours, and numbers to text. */
const STEPS = 256;
export const BLOCKED = -1;          // in an occupancy map: a hard zero, nobody may enter
export const BLOCKED_COLOR = [58, 62, 70, 235];

/** `[[r, g, b, a?], ...]` -> 256 x RGBA. */
function table(stops) {
  const out = new Uint8Array(STEPS * 4), last = stops.length - 1;
  for (let i = 0; i < STEPS; i++) {
    const t = (i / (STEPS - 1)) * last, k = Math.min(last - 1, Math.floor(t)), f = t - k;
    const a = stops[k], b = stops[k + 1] ?? a;
    for (let c = 0; c < 4; c++) out[i * 4 + c] = Math.round((a[c] ?? 255) * (1 - f) + (b[c] ?? 255) * f);
  }
  return out;
}

/** Four bytes of colour as one number. */
const whole = ({buffer, byteOffset, byteLength}) => new Uint32Array(buffer, byteOffset, byteLength >> 2);

export class Scale {
  /**
   * @param spec {kind, stops: {light, dark}, low, high, unit, label, labels, group}, as engine/render/palettes.py writes it
   * @param theme 'light' | 'dark'
   */
  constructor(spec, theme) {
    Object.assign(this, spec);
    this.spec = spec;
    this.theme = theme;
    this.stops = spec.stops[theme];
    this.categorical = spec.kind === 'categorical';
    this.table = this.categorical ? null : table(this.stops);
  }

  with(changes) { return new Scale({...this.spec, low: this.low, high: this.high, ...changes}, this.theme); }
  /** Without the transparent colours next to the background: for thin lines. */
  opaque() {
    const stops = Object.fromEntries(Object.entries(this.spec.stops).map(([name, all]) => [name, all.slice(this.kind === 'sequential' ? 3 : 0).map(c => [...c.slice(0, 3), 255])]));
    return new Scale({...this.spec, stops}, this.theme);
  }

  inTheme(theme) { return new Scale({...this.spec, low: this.low, high: this.high}, theme); }

  /** Write the colour of each value into `out` (RGBA); a value that is no number is left out. */
  paint(values, out) {
    if (this.categorical) return this.paintCategories(values, out);
    const {low, high} = this, factor = (STEPS - 1) / (high - low || 1), all = whole(out), colors = whole(this.table);
    const blocked = low >= 0 ? BLOCKED : NaN, [blockedColor] = whole(Uint8Array.from(BLOCKED_COLOR));
    for (let i = 0; i < values.length; i++) {
      const value = values[i];
      if (value !== value) all[i] = 0;
      else if (value === blocked) all[i] = blockedColor;
      else all[i] = colors[Math.max(0, Math.min(STEPS - 1, Math.round((value - low) * factor)))];
    }
  }

  paintCategories(values, out) {
    for (let i = 0, j = 0; i < values.length; i++, j += 4) {
      const color = this.stops[values[i]];
      if (!color) { out[j + 3] = 0; continue; }
      out[j] = color[0]; out[j + 1] = color[1]; out[j + 2] = color[2]; out[j + 3] = color[3] ?? 255;
    }
  }

  color(value) {
    const out = new Uint8Array(4);
    this.paint([value], out);
    return out;
  }

  /** Height of a column, 0 to 1; a diverging scale rises with the distance from its middle. */
  height(value) {
    if (!(value > -Infinity) || (value === BLOCKED && this.low >= 0)) return 0;
    if (this.categorical) return this.heights?.[value] ?? 0;
    if (this.kind === 'diverging') return Math.min(1, Math.abs(value) / (Math.max(Math.abs(this.low), Math.abs(this.high)) || 1));
    return Math.max(0, Math.min(1, (value - this.low) / (this.high - this.low || 1)));
  }

  text(value) {
    if (!(value > -Infinity)) return 'no data';
    if (value === BLOCKED && this.low >= 0) return 'blocked';
    if (this.categorical) return this.labels?.[value] ?? String(value);
    return this.unit ? `${this.number(value)} ${this.unit}` : this.number(value);
  }

  /** Digits that mean something on this scale: a ten-thousandth of its width is nothing. */
  number(value) {
    if (!(value > -Infinity)) return 'no data';
    return formatNumber(Math.abs(value) < (this.high - this.low) * 1e-4 ? 0 : value);
  }

  css() {
    const color = ([r, g, b, a = 255]) => `rgba(${r},${g},${b},${(a / 255).toFixed(3)})`;
    return this.categorical ? this.stops.map(color) : `linear-gradient(90deg,${this.stops.map(color).join(',')})`;
  }
}

/** Three significant digits, thousands grouped, no trailing zeros. */
export function formatNumber(value) {
  if (!Number.isFinite(value)) return '–';
  const size = Math.abs(value);
  const sign = value < 0 ? '−' : '';
  if (size >= 1000) return sign + Math.round(size).toLocaleString('en-US');
  if (size > 0 && size < 0.001) return sign + size.toExponential(1);
  return sign + +size.toPrecision(3);
}

export const formatCount = count => count.toLocaleString('en-US');

export function formatPosition([lon, lat]) {
  return `${Math.abs(lat).toFixed(5)}° ${lat < 0 ? 'S' : 'N'}, ${Math.abs(lon).toFixed(5)}° ${lon < 0 ? 'W' : 'E'}`;
}
