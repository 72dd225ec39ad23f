// Colours, projection and drawing of one station. Orange: no bike, grey: balanced,
// blue: no dock.
const UNSEEN = 65535;
const EARTH = 6371009;
const HOUR = 3600;
const THEMES = {
  light: { low: '#c2410c', middle: '#a3adb8', high: '#1d4ed8', land: '#ecefe8', water: '#cfe0ec',
    green: '#dde8d3', area: '#e4e7e0', road: '#ffffff', rail: '#c3c8cc' },
  dark: { low: '#fb923c', middle: '#657284', high: '#60a5fa', land: '#222c37', water: '#15273a',
    green: '#22352f', area: '#263240', road: '#3a4756', rail: '#44505e' },
};
const MODES = {
  fill: { title: 'How full', low: 'no bike', high: 'no free dock',
    legend: 'Share of the docks that hold a bike' },
  change: { title: 'Last hour', low: '8 fewer', high: '8 more',
    legend: 'Bikes gained or lost in an hour' },
  usual: { title: 'Against usual', low: '8 fewer', high: '8 more',
    legend: 'Bikes more or fewer than usual' },
  vehicles: { title: 'Vehicles', low: 'reserved', high: 'available',
    legend: 'Vehicles; crossed out: disabled' },
};
const LARGE_CHANGE = 8;
// Minutes between the times below the curve, and the pixels that each of them needs.
const TICKS = [1, 2, 5, 10, 15, 30, 60, 120, 240, 360, 720, 1440];
const TICK_WIDTH = 50;

// Returns the minutes between the times below a curve of *width* pixels.
const tickMinutes = (width, seconds) =>
  TICKS.find((minutes) => (minutes * 60 * width) / seconds >= TICK_WIDTH) || 1440;

// Returns the same longitude from -180 to 180 degrees.
const turned = (degrees) => (degrees + 540) % 360 - 180;

// Returns metres east and north (downwards) of a point beside the centre.
function projection(lat, lon) {
  const shrink = EARTH * Math.cos((lat * Math.PI) / 180);
  const rise = (degrees) => Math.log(Math.tan(Math.PI / 4 + (degrees * Math.PI) / 360));
  const zero = rise(lat);
  return {
    shrink, lon, zero,
    forth: (y, x) => [(turned(x - lon) * Math.PI / 180) * shrink, (zero - rise(y)) * shrink],
    back: ([x, y]) => [(Math.atan(Math.exp(zero - y / shrink)) * 360) / Math.PI - 90,
      turned(lon + (x / shrink) * (180 / Math.PI))],
  };
}

function channels(colour) {
  return [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
}

function mixed(from, to, share) {
  const a = channels(from), b = channels(to);
  return `rgb(${a.map((value, i) => Math.round(value + (b[i] - value) * share))})`;
}

// Returns the colour of a value between -1 (low) and 1 (high).
function tone(theme, value) {
  const share = Math.min(1, Math.abs(value));
  return mixed(theme.middle, value < 0 ? theme.low : theme.high, share);
}

// Returns how a station looks: a value between -1 and 1 (null: unknown), and whether it
// is an extreme: empty or full.
function look(station, mode) {
  const { bikes, docks, size, closed } = station;
  if (bikes == null) return { value: null, rank: -2 };
  if (closed) return { value: null, rank: -1, closed: true };
  if (mode === 'change' || mode === 'usual') {
    const other = mode === 'change' ? station.before : station.usual;
    if (other == null) return { value: null, rank: -1 };
    const value = Math.max(-1, Math.min(1, (bikes - other) / LARGE_CHANGE));
    return { value, rank: Math.abs(value) };
  }
  if (bikes === 0) return { value: -1, rank: 3, extreme: true };
  if (docks === 0) return { value: 1, rank: 2, extreme: true };
  const whole = docks == null ? size : bikes + docks;
  if (!whole) return { value: 0, rank: 0 };
  const value = Math.round((Math.min(1, bikes / whole) * 2 - 1) * 8) / 8;
  return { value: value * 0.8, rank: Math.abs(value) };
}

// Draws all stations that look alike: one path for thousands of them.
function dots(pens, points, shape, theme, paper) {
  const circles = (share) => {
    pens.beginPath();
    for (const [x, y, radius] of points) {
      pens.moveTo(x + radius * share, y);
      pens.arc(x, y, radius * share, 0, 7);
    }
  };
  circles(1);
  if (shape.value == null) {
    pens.lineWidth = 1;
    pens.strokeStyle = theme.middle;
    if (!shape.closed) pens.setLineDash([2, 2]);
    pens.stroke();
    pens.setLineDash([]);
    if (shape.closed) strikes(pens, points, theme.middle);
    return;
  }
  pens.globalAlpha = shape.extreme ? 1 : 0.55 + 0.4 * Math.min(1, Math.abs(shape.value));
  pens.fillStyle = tone(theme, shape.value);
  pens.fill();
  pens.globalAlpha = 1;
  if (!shape.extreme) return;
  pens.lineWidth = 1.4;
  pens.strokeStyle = paper;
  pens.stroke();
  if (shape.value > 0) return;
  circles(0.4);  // an empty station is a ring: it is known without its hue, too
  pens.fillStyle = paper;
  pens.fill();
}

function strikes(pens, points, colour) {
  pens.strokeStyle = colour;
  pens.lineWidth = 1.3;
  pens.beginPath();
  for (const [x, y, radius] of points) {
    const d = radius * 0.6;
    pens.moveTo(x - d, y - d); pens.lineTo(x + d, y + d);
    pens.moveTo(x - d, y + d); pens.lineTo(x + d, y - d);
  }
  pens.stroke();
}

function ring(pens, x, y, radius, ink) {
  pens.strokeStyle = ink;
  pens.lineWidth = 2.5;
  pens.beginPath();
  pens.arc(x, y, radius, 0, 7);
  pens.stroke();
}

function cross(pens, x, y, ink) {
  pens.strokeStyle = ink;
  pens.lineWidth = 2.5;
  pens.beginPath();
  pens.moveTo(x - 9, y); pens.lineTo(x + 9, y);
  pens.moveTo(x, y - 9); pens.lineTo(x, y + 9);
  pens.stroke();
}

function inflated(text) {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate'));
  return new Response(stream);
}

async function unpacked(text) { return new Uint16Array(await inflated(text).arrayBuffer()); }

function unpackedJson(text) { return inflated(text).json(); }
