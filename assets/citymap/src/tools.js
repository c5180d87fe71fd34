/**
 * The tools of the toolbar and their keys. `way`: how a tool takes cells; `on`: what it works on.
 * A region tool (rectangle, lasso, fill) applies the paint action chosen last.
 */
export const TOOLS = [
  {id: 'pan', label: 'Move the map', key: 'v', icon: 'hand', group: 'move', way: 'pan', on: ['mask', 'occupancy', 'streets']},
  {id: 'brush', label: 'Brush', key: 'b', icon: 'paintbrush', group: 'paint', way: 'stroke', on: ['mask', 'occupancy']},
  {id: 'erase', label: 'Erase', key: 'e', icon: 'eraser', group: 'paint', way: 'stroke', on: ['mask', 'occupancy']},
  {id: 'raise', label: 'Raise', key: 'r', icon: 'arrow-up-from-line', group: 'value', way: 'stroke', on: ['occupancy']},
  {id: 'lower', label: 'Lower', key: 'l', icon: 'arrow-down-to-line', group: 'value', way: 'stroke', on: ['occupancy']},
  {id: 'set', label: 'Set to the value', key: 's', icon: 'target', group: 'value', way: 'stroke', on: ['occupancy']},
  {id: 'smooth', label: 'Smooth', key: 'm', icon: 'waves', group: 'value', way: 'stroke', on: ['occupancy']},
  {id: 'block', label: 'Block: nobody may enter', key: 'x', icon: 'ban', group: 'value', way: 'stroke', on: ['occupancy']},
  {id: 'pick', label: 'Pick a value', key: 'i', icon: 'pipette', group: 'value', way: 'pick', on: ['occupancy']},
  {id: 'rectangle', label: 'Rectangle', key: 't', icon: 'square-dashed', group: 'region', way: 'rectangle', on: ['mask', 'occupancy']},
  {id: 'lasso', label: 'Lasso', key: 'o', icon: 'lasso', group: 'region', way: 'lasso', on: ['mask', 'occupancy']},
  {id: 'fill', label: 'Fill a region', key: 'g', icon: 'paint-bucket', group: 'region', way: 'fill', on: ['mask', 'occupancy']},
  {id: 'street', label: 'Close or reopen a street', key: 'c', icon: 'construction', group: 'street', way: 'street', on: ['streets']},
  {id: 'street-brush', label: 'Close streets by brush', key: 'w', icon: 'waypoints', group: 'street', way: 'street-brush', on: ['streets']},
];

export const MAX_RADIUS = 16;

/** Everything else that has a key: shown in the help and wired in keyboard.js. */
export const SHORTCUTS = [
  ['Arrows', 'Move the cursor by one cell'],
  ['Shift + arrows', 'Paint along'],
  ['Ctrl + arrows', 'Move the map'],
  ['Space or Enter', 'Use the tool at the cursor'],
  ['Escape', 'Give up the stroke'],
  ['[  ]', 'Smaller, larger brush'],
  ['{  }', 'Lower, raise the value'],
  ['<  >', 'Weaker, stronger brush'],
  ['Shift while dragging', 'Straight line, square'],
  ['Alt while painting', 'Erase'],
  ['Ctrl + Z, Ctrl + Y', 'Undo, redo'],
  ['Delete', 'Clear all cells'],
  ['Shift + Delete', 'Reset to the baseline'],
  ['D', 'Difference to the baseline'],
  ['K', 'Keep the total'],
];
export const VIEW_SHORTCUTS = [
  ['Arrows', 'Move the cursor by one cell'],
  ['Enter', 'Choose the cell'],
  ['Ctrl + arrows', 'Move the map'],
  ['Shift + arrows', 'Turn and tilt'],
];
export const LINE_SHORTCUTS = [
  ['L', 'Draw a line to count trips across it'],
  ['Arrows, Space', 'Go to an end of the line, set it there'],
  ['Delete', 'Take the line away'],
];
export const TIME_SHORTCUTS = [
  ['Space', 'Play, pause'],
  [',  .', 'One step back, forward'],
  ['Home, End', 'First, last step'],
];
export const CAMERA_SHORTCUTS = [
  ['+  -', 'Zoom'],
  ['0', 'Show the whole city'],
  ['3', '2D or 3D'],
  ['N', 'Table of values'],
  ['F', 'Full screen'],
  ['P', 'Save a picture'],
  ['?', 'This list'],
];

export const toolById = id => TOOLS.find(tool => tool.id === id);

export function toolsFor(document) {
  const kinds = [document.painting?.kind, document.streets && 'streets'].filter(Boolean);
  return TOOLS.filter(tool => tool.on.some(kind => kinds.includes(kind)));
}
