/** Entry for Streamlit Components v2: called on every change of data or theme, so it only updates. */
import {CityMap} from './citymap.js';
import {liveContexts} from './device.js';
import {element} from './dom.js';

const live = new WeakMap();       // the element Streamlit gave us -> {map, calls}
const maps = new Set();

/** For tests and for the curious in the browser's console. */
globalThis.__citymap ??= {maps, liveContexts, builtFrom: __SOURCE_HASH__};

export default function render(component) {
  if (!component.data) return undefined;   // only to have this script loaded
  const root = component.parentElement;
  let entry = live.get(root);
  if (!entry) {
    const home = root.querySelector('.citymap-root') ?? root;
    entry = {map: new CityMap(home), home, calls: 0};
    live.set(root, entry);
    maps.add(entry.map);
  }
  const call = entry.calls += 1;
  try {
    entry.map.update(component);
    entry.problem?.remove();
  } catch (error) {
    show(entry, error);
  }
  // Streamlit may clean up after an older call once a newer one has begun: only the newest ends the map.
  return () => {
    if (entry.calls !== call) return;
    live.delete(root);
    maps.delete(entry.map);
    entry.map.destroy();
  };
}

/** Never a blank page: say what went wrong where the map would be. */
function show(entry, error) {
  console.error(error);
  entry.problem?.remove();
  entry.problem = element('p', {className: 'citymap-problem', attributes: {role: 'alert'}, text: `The map could not be shown. ${error.message}`});
  entry.home.append(entry.problem);
}
