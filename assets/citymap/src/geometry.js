/** Plane geometry on (lon, lat) at the scale of a city. */
export const METRES_PER_DEGREE = 111_320;

const cosLat = lat => Math.cos(lat * Math.PI / 180);

export function distanceM([lonA, latA], [lonB, latB]) {
  return Math.hypot((lonB - lonA) * cosLat(latA), latB - latA) * METRES_PER_DEGREE;
}

/** Points on the line a -> b (b included), at most `stepM` metres apart. */
export function* walk(a, b, stepM) {
  const count = Math.min(4096, Math.max(1, Math.ceil(distanceM(a, b) / stepM)));
  for (let i = 1; i <= count; i++) yield [a[0] + (b[0] - a[0]) * i / count, a[1] + (b[1] - a[1]) * i / count];
}

export function inPolygon([x, y], ring) {
  let inside = false;
  for (let i = 0, j = ring.length - 1; i < ring.length; j = i++) {
    const [xi, yi] = ring[i], [xj, yj] = ring[j];
    if ((yi > y) !== (yj > y) && x < (xj - xi) * (y - yi) / (yj - yi) + xi) inside = !inside;
  }
  return inside;
}

/** Distance in metres from point p to the segment a-b. */
export function distanceToSegmentM(p, a, b) {
  const k = cosLat(p[1]);
  const ax = (a[0] - p[0]) * k, ay = a[1] - p[1], bx = (b[0] - p[0]) * k, by = b[1] - p[1];
  const dx = bx - ax, dy = by - ay, length2 = dx * dx + dy * dy;
  const t = length2 ? Math.max(0, Math.min(1, -(ax * dx + ay * dy) / length2)) : 0;
  return Math.hypot(ax + t * dx, ay + t * dy) * METRES_PER_DEGREE;
}

/** `to`, moved so that from -> to runs along the nearest multiple of 45 degrees on the screen. */
export function constrainAngle([x0, y0], [x, y]) {
  const angle = Math.round(Math.atan2(y - y0, x - x0) / (Math.PI / 4)) * (Math.PI / 4);
  const length = (x - x0) * Math.cos(angle) + (y - y0) * Math.sin(angle);
  return [x0 + length * Math.cos(angle), y0 + length * Math.sin(angle)];
}

/** `to`, moved so that from and to span a square on the screen. */
export function constrainSquare([x0, y0], [x, y]) {
  const side = Math.max(Math.abs(x - x0), Math.abs(y - y0));
  return [x0 + Math.sign(x - x0 || 1) * side, y0 + Math.sign(y - y0 || 1) * side];
}

/** Nice round step not above `value`: 1, 2 or 5 times a power of ten. */
export function roundDown(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [5, 2, 1].find(m => m * power <= value) * power;
}
