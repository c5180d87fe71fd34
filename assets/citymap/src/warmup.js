/**
 * A browser compiles each kind of drawing when it is first drawn, which takes longer than all the rest of
 * a first frame. So a map of one cell is drawn out of sight, as soon as this script is there; the first
 * map in sight finds everything compiled.
 */
import {CityMap} from './citymap.js';
import {element} from './dom.js';

const SIDE_PX = 64;
const BOUNDS = [0, 0, 0.01, 0.01];
const RING = [[0, 0], [0.01, 0], [0.01, 0.01], [0, 0]];
const GREY = [128, 128, 128, 255];
const THEME = Object.fromEntries(['paper', 'background', 'ink', 'street'].map(name => [name, GREY]));

const feature = (type, coordinates) => ({type: 'Feature', properties: {width: 5}, geometry: {type, coordinates}});
const layer = (id, props, one) => ({'@@type': 'GeoJsonLayer', id, data: {type: 'FeatureCollection', features: [one]}, ...props});

/** As Python would send it: streets and one column. */
const SAMPLE = {
  kind: 'view', key: '', label: '', height: SIDE_PX, attribution: '', bounds: BOUNDS, is3d: true, tableOpen: false, themes: {light: THEME, dark: THEME}, remote: null,
  deck: {layers: [
    layer('base-street', {stroked: true, filled: false, getLineColor: GREY, getLineWidth: '@@=properties.width', lineWidthMinPixels: 1}, feature('LineString', RING)),
  ]},
  cells: {kind: 'grid', rows: 1, cols: 1, bounds: BOUNDS},
  view: {
    id: '', count: 1, times: null, framesPerSecond: 1, step: 0, shared: true, tellWhenDrawn: false,
    views: [{id: 'view0', title: '', steps: 1, offset: 0, quantum: 1, values: Uint16Array.of(1), scale: {kind: 'sequential', stops: {light: [GREY, GREY], dark: [GREY, GREY]}, low: 0, high: 1, unit: '', label: '', group: ''}}],
  },
};

let map = null, isOver = false;

/** Compile what a map is drawn with. */
export function warmUp() {
  if (map || isOver) return;
  const home = element('div', {attributes: {inert: '', 'aria-hidden': 'true'}});
  home.style.cssText = `position:fixed;top:0;left:0;width:${SIDE_PX}px;height:${SIDE_PX}px;overflow:hidden;visibility:hidden;contain:strict`;
  document.body.append(home);
  map = new CityMap(home);
  map.host.style.height = `${SIDE_PX}px`;
  map.open(SAMPLE);
}

/** A map in sight has taken over. */
export function endWarmUp() {
  isOver = true;
  if (!map) return;
  const home = map.box.parentElement;
  map.destroy();
  home.remove();
  map = null;
}
