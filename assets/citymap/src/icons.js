/** Icons from Lucide (ISC licence), as elements. */
import ban from 'lucide-static/icons/ban.svg';
import arrowDown from 'lucide-static/icons/arrow-down-to-line.svg';
import arrowUp from 'lucide-static/icons/arrow-up-from-line.svg';
import box from 'lucide-static/icons/box.svg';
import columns from 'lucide-static/icons/columns-2.svg';
import construction from 'lucide-static/icons/construction.svg';
import diff from 'lucide-static/icons/diff.svg';
import eraser from 'lucide-static/icons/eraser.svg';
import hand from 'lucide-static/icons/hand.svg';
import help from 'lucide-static/icons/keyboard.svg';
import history from 'lucide-static/icons/history.svg';
import imageDown from 'lucide-static/icons/image-down.svg';
import lasso from 'lucide-static/icons/lasso.svg';
import layers from 'lucide-static/icons/layers.svg';
import link from 'lucide-static/icons/link-2.svg';
import locate from 'lucide-static/icons/locate-fixed.svg';
import maximize from 'lucide-static/icons/maximize.svg';
import minimize from 'lucide-static/icons/minimize.svg';
import minus from 'lucide-static/icons/minus.svg';
import paintBucket from 'lucide-static/icons/paint-bucket.svg';
import paintbrush from 'lucide-static/icons/paintbrush.svg';
import pause from 'lucide-static/icons/pause.svg';
import pipette from 'lucide-static/icons/pipette.svg';
import play from 'lucide-static/icons/play.svg';
import plus from 'lucide-static/icons/plus.svg';
import redo from 'lucide-static/icons/redo-2.svg';
import ruler from 'lucide-static/icons/ruler.svg';
import scale from 'lucide-static/icons/scale.svg';
import square from 'lucide-static/icons/square.svg';
import squareDashed from 'lucide-static/icons/square-dashed.svg';
import stepBack from 'lucide-static/icons/step-back.svg';
import stepForward from 'lucide-static/icons/step-forward.svg';
import tableIcon from 'lucide-static/icons/table-2.svg';
import target from 'lucide-static/icons/target.svg';
import trash from 'lucide-static/icons/trash-2.svg';
import undo from 'lucide-static/icons/undo-2.svg';
import waves from 'lucide-static/icons/waves.svg';
import waypoints from 'lucide-static/icons/waypoints.svg';
import close from 'lucide-static/icons/x.svg';

const ICONS = {
  ban, box, close, columns, construction, diff, eraser, hand, help, history, lasso, layers, link, locate, maximize, minimize, minus,
  paintbrush, pause, pipette, play, plus, redo, ruler, scale, square, target, trash, undo, waves, waypoints,
  'arrow-down-to-line': arrowDown, 'arrow-up-from-line': arrowUp, 'image-down': imageDown, 'paint-bucket': paintBucket,
  'square-dashed': squareDashed, 'step-back': stepBack, 'step-forward': stepForward, table: tableIcon,
};

export function icon(name) {
  const template = document.createElement('template');
  template.innerHTML = ICONS[name];               // a constant of this bundle, never data
  const svg = template.content.querySelector('svg');
  svg.setAttribute('aria-hidden', 'true');
  svg.setAttribute('class', 'icon');
  return svg;
}
