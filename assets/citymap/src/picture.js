/** A PNG of the view at double resolution: map, title, legends, scale bar, attribution. */
import {formatNumber} from './colors.js';
import {cssColor} from './theme.js';
import {scaleBarSize} from './furniture.js';

const RATIO = 2;
const MARGIN = 12;
const HEADER = 44;
const FOOTER = 78;

/** @param view {scene, title, titles: [{title, scale}], theme, attribution, font} */
export async function drawPicture({scene, overlaySvg, title, titles, theme, attribution, font}) {
  const map = await scene.capture(RATIO), width = map.width / RATIO, height = map.height / RATIO;
  const canvas = Object.assign(document.createElement('canvas'), {width: map.width, height: map.height + (HEADER + FOOTER) * RATIO});
  const draw = canvas.getContext('2d');
  draw.scale(RATIO, RATIO);
  draw.fillStyle = cssColor(theme.paper);
  draw.fillRect(0, 0, width, height + HEADER + FOOTER);
  draw.fillStyle = cssColor(theme.background);
  draw.fillRect(0, HEADER, width, height);
  draw.drawImage(map, 0, HEADER, width, height);
  strokeOverlay(draw, overlaySvg, theme);
  draw.fillStyle = cssColor(theme.ink);
  draw.textBaseline = 'middle';
  draw.font = `600 18px ${font}`;
  draw.fillText(title, MARGIN, HEADER / 2, width - 2 * MARGIN);
  titles.forEach((part, k) => drawLegend(draw, part, k * width / titles.length + MARGIN, HEADER + height + 8, width / titles.length - 2 * MARGIN, theme, font));
  drawScaleBar(draw, scene.metresPerPixel, width, HEADER + height, theme, font);
  draw.font = `11px ${font}`;
  draw.fillStyle = cssColor(theme.ink);
  draw.textAlign = 'right';
  draw.fillText(attribution, width - MARGIN, HEADER + height + FOOTER - 10, width - 2 * MARGIN);
  return new Promise(resolve => canvas.toBlob(resolve, 'image/png'));
}

/** The chosen cell's outline, as it is on the screen. */
function strokeOverlay(draw, svg, theme) {
  draw.save();
  draw.translate(0, HEADER);
  for (const path of svg.querySelectorAll('.selection .line, .closed .line')) {
    draw.strokeStyle = cssColor(theme.ink);
    draw.lineWidth = 2;
    draw.stroke(new Path2D(path.getAttribute('d')));
  }
  draw.restore();
}

function drawLegend(draw, {title, scale}, x, y, room, theme, font) {
  draw.textAlign = 'left';
  draw.fillStyle = cssColor(theme.ink);
  draw.font = `600 13px ${font}`;
  draw.fillText(title, x, y + 8, room);
  if (!scale) return;
  draw.font = `11px ${font}`;
  if (scale.categorical) return drawCategories(draw, scale, x, y + 28, room, theme);
  const width = Math.min(200, room), gradient = draw.createLinearGradient(x, 0, x + width, 0);
  scale.stops.forEach((stop, k) => gradient.addColorStop(k / (scale.stops.length - 1), cssColor(stop)));
  draw.fillStyle = cssColor(theme.background);
  draw.fillRect(x, y + 19, width, 9);
  draw.fillStyle = gradient;
  draw.fillRect(x, y + 19, width, 9);
  draw.fillStyle = cssColor(theme.ink);
  draw.fillText(formatNumber(scale.low), x, y + 38);
  draw.textAlign = 'right';
  draw.fillText(formatNumber(scale.high), x + width, y + 38);
  draw.textAlign = 'left';
  draw.fillText([scale.label, scale.unit].filter(Boolean).join(' · '), x, y + 54, room);
}

function drawCategories(draw, scale, x, y, room, theme) {
  let at = x;
  (scale.labels ?? []).forEach((label, k) => {
    const width = draw.measureText(label).width + 30;
    if (at + width > x + room && at > x) { at = x; y += 16; }
    draw.fillStyle = scale.css()[k];
    draw.fillRect(at, y - 5, 10, 10);
    draw.fillStyle = cssColor(theme.ink);
    draw.fillText(label, at + 15, y);
    at += width;
  });
}

function drawScaleBar(draw, metresPerPixel, width, bottom, theme, font) {
  const {text, width: length} = scaleBarSize(metresPerPixel), right = width - MARGIN, y = bottom + 22;
  draw.strokeStyle = draw.fillStyle = cssColor(theme.ink);
  draw.lineWidth = 1.5;
  draw.beginPath();
  draw.moveTo(right - length, y - 5); draw.lineTo(right - length, y); draw.lineTo(right, y); draw.lineTo(right, y - 5);
  draw.stroke();
  draw.font = `11px ${font}`;
  draw.textAlign = 'center';
  draw.fillText(text, right - length / 2, y - 10);
}

export function download(blob, name) {
  const link = Object.assign(document.createElement('a'), {href: URL.createObjectURL(blob), download: name});
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
