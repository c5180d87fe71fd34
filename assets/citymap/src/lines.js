/**
 * Streets and rails as single segments. A path with joints costs the GPU many times as much, and joints
 * show only where lines are wide: without a graphics card this is most of the time of a frame.
 */
import {LineLayer} from '@deck.gl/layers';

const WIDE_M_PER_PIXEL = 2.5;   // from here on a main street is more than six pixels wide

export const showsJoints = metresPerPixel => metresPerPixel < WIDE_M_PER_PIXEL;

/** Flat arrays of all segments of paths [[lon, lat], ...], for a LineLayer. */
export function segmentsOf(paths, widthOf = () => 1) {
  const length = paths.reduce((sum, path) => sum + Math.max(0, path.length - 1), 0);
  const from = new Float64Array(length * 3), to = new Float64Array(length * 3), widths = new Float32Array(length);
  let i = 0;
  paths.forEach((path, k) => {
    for (let j = 1; j < path.length; j++, i++) {
      from.set(path[j - 1].slice(0, 2), i * 3);
      to.set(path[j].slice(0, 2), i * 3);
      widths[i] = widthOf(k);
    }
  });
  return {length, attributes: {getSourcePosition: {value: from, size: 3}, getTargetPosition: {value: to, size: 3}, getWidth: {value: widths, size: 1}}};
}

/** The lines of GeoJSON features, each as wide as `getLineWidth` says. */
export function segmentsOfFeatures({features}, getLineWidth) {
  const paths = [], widths = [], widthOf = typeof getLineWidth === 'function' ? getLineWidth : () => getLineWidth;
  for (const feature of features) {
    const {type, coordinates} = feature.geometry;
    for (const path of type === 'MultiLineString' ? coordinates : [coordinates]) {
      paths.push(path);
      widths.push(widthOf(feature));
    }
  }
  return segmentsOf(paths, k => widths[k]);
}

export const segmentLayer = props => new LineLayer({widthUnits: 'meters', ...props});
