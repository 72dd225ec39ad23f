// How a station is drawn, and where: colour by how full it is, a shape for empty,
// full and closed. Read before citymap.js.
const VIRIDIS = [[68, 1, 84], [65, 68, 135], [42, 120, 142], [34, 168, 132],
  [122, 209, 81], [253, 231, 37]];

function mercator(lat, lon) {
  const y = Math.log(Math.tan(Math.PI / 4 + (lat * Math.PI) / 360));
  return [(lon * Math.PI) / 180, -y];
}

function shade(share) {
  const at = Math.min(0.9999, Math.max(0, share)) * (VIRIDIS.length - 1);
  const low = VIRIDIS[Math.floor(at)], high = VIRIDIS[Math.floor(at) + 1];
  return `rgb(${low.map((c, i) => Math.round(c + (high[i] - c) * (at % 1)))})`;
}

function dot(pens, x, y, r, s, ink, paper) {
  pens.lineWidth = 1;
  pens.beginPath();
  pens.arc(x, y, r, 0, 7);
  if (s.bikes == null) {
    pens.setLineDash([2, 2]);
    pens.strokeStyle = '#8c8c8c';
    pens.stroke();
    pens.setLineDash([]);
    return;
  }
  const whole = s.docks != null ? s.bikes + s.docks : s.size || s.bikes;
  pens.fillStyle = s.closed ? '#8c8c8c88' : shade(whole ? s.bikes / whole : 0);
  if (s.bikes === 0 && !s.closed) pens.fillStyle = paper;
  pens.fill();
  pens.strokeStyle = s.bikes === 0 || s.docks === 0 ? '#d55e00' : ink;
  pens.lineWidth = s.bikes === 0 || s.docks === 0 ? 1.8 : 0.6;
  pens.stroke();
  if (s.closed || s.docks === 0) {
    pens.strokeStyle = s.closed ? ink : '#d55e00';
    pens.lineWidth = 1.2;
    pens.beginPath();
    const d = r * 0.6;
    pens.moveTo(x - d, y - d); pens.lineTo(x + d, y + d);
    if (s.closed) { pens.moveTo(x - d, y + d); pens.lineTo(x + d, y - d); }
    pens.stroke();
  }
}

function ring(pens, x, y, r, ink) {
  pens.strokeStyle = ink;
  pens.lineWidth = 2.5;
  pens.beginPath();
  pens.arc(x, y, r, 0, 7);
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
