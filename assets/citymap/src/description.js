/**
 * Reads the JSON of a `pydeck.Deck`. Only the layer types below exist, and an accessor is the name of
 * a property (`"@@=path"`) or a list of names: no expression of a description is ever evaluated.
 */
import {GeoJsonLayer, LineLayer, PathLayer, PolygonLayer, ScatterplotLayer} from '@deck.gl/layers';
import {segmentsOfFeatures} from './lines.js';

const CLASSES = {GeoJsonLayer, LineLayer, PathLayer, PolygonLayer, ScatterplotLayer};
const TEMPLATES = new Set(['ColumnLayer', 'H3HexagonLayer', 'TripsLayer']); // their data comes as arrays

/** -> {layers: [{Class, props, segments}], templates: {id: props}, views: [{id}], camera} */
export function readDescription(deck) {
  const layers = [], templates = {};
  for (const {'@@type': type, ...raw} of deck.layers ?? []) {
    const props = Object.fromEntries(Object.entries(raw).map(([name, value]) => [name, accessor(value)]));
    if (TEMPLATES.has(type)) templates[props.id] = props;
    else if (CLASSES[type]) layers.push({Class: CLASSES[type], props, segments: isOfLines(type, props) ? segmentsOfFeatures(props.data, props.getLineWidth) : null});
    else throw new Error(`The map has no layer of type ${type}.`);
  }
  const views = (deck.views ?? []).map(({id}) => ({id}));
  return {layers, templates, views: views.length ? views : [{id: 'main'}], camera: deck.initialViewState ?? {}};
}

const isOfLines = (type, {filled, data}) =>
  type === 'GeoJsonLayer' && filled === false && data.features.every(({geometry}) => geometry.type.endsWith('LineString'));

function accessor(value) {
  if (typeof value !== 'string' || !value.startsWith('@@=')) return value;
  const expression = value.slice(3).trim();
  const read = name => { const steps = name.trim().split('.'); return row => steps.reduce((value, step) => value?.[step], row); };
  if (!expression.startsWith('[')) return read(expression);
  const readers = expression.slice(1, -1).split(',').map(read);
  return row => readers.map(reader => reader(row));
}
