/** Light or dark, as Streamlit's theme says; the colours of each come from Python with the data. */
export function themeName(element) {
  const color = getComputedStyle(element).getPropertyValue('--st-background-color').trim();
  const [r, g, b] = parseColor(color) ?? [255, 255, 255];
  return 0.299 * r + 0.587 * g + 0.114 * b < 128 ? 'dark' : 'light';
}

function parseColor(text) {
  const hex = /^#([0-9a-f]{3,8})$/i.exec(text)?.[1];
  if (hex) {
    const wide = hex.length < 6 ? [...hex].map(c => c + c).join('') : hex;
    return [0, 2, 4].map(i => parseInt(wide.slice(i, i + 2), 16));
  }
  const numbers = /rgba?\(([^)]+)\)/.exec(text)?.[1].split(/[\s,/]+/).map(Number);
  return numbers?.length >= 3 ? numbers : null;
}

export const cssColor = ([r, g, b, a = 255]) => `rgba(${r},${g},${b},${a / 255})`;
export const prefersReducedMotion = () => matchMedia('(prefers-reduced-motion: reduce)').matches;
