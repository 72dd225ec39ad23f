// Land, and borders of areas, from the stations alone: no tiles, no other host.
const NEAREST = 260, FARTHEST = 750;  // metres of land around a station
const CORNERS = 20;

// Returns the land around stations as paths in metres, and the parts of the city.
function landOf(stations) {
  const land = new Path2D(), borders = new Path2D();
  const places = stations.map((s) => s.at);
  if (!places.length) return { land, borders, parts: [] };
  const mesh = d3.Delaunay.from(places);
  const pieces = mesh.voronoi(boxOf(places));
  const reach = places.map((_, i) => reachOf(mesh, places, i));
  bridges(land, mesh, places);
  places.forEach((place, i) => cell(land, pieces.cellPolygon(i), place, reach[i]));
  frontiers(borders, mesh, pieces, stations, reach);
  return { land, borders, parts: partsOf(mesh, stations) };
}

function boxOf(places) {
  const xs = places.map((p) => p[0]), ys = places.map((p) => p[1]);
  const least = (all) => all.reduce((a, b) => Math.min(a, b));
  const most = (all) => all.reduce((a, b) => Math.max(a, b));
  return [least(xs) - 9999, least(ys) - 9999, most(xs) + 9999, most(ys) + 9999];
}

// Returns the corners of all triangles, none of fewer than three stations.
function trianglesOf(mesh) { return mesh.hull.length > 2 ? mesh.triangles : []; }

function apart(a, b) { return Math.hypot(a[0] - b[0], a[1] - b[1]); }

function middle(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted.length ? sorted[sorted.length >> 1] : 0;
}

function reachOf(mesh, places, i) {
  const near = [...mesh.neighbors(i)].filter((j) => j >= 0).map((j) => apart(places[i], places[j]));
  near.sort((a, b) => a - b);
  const fourth = near[Math.min(3, near.length - 1)] ?? FARTHEST;
  return Math.max(NEAREST, Math.min(FARTHEST, fourth * 1.15));
}

// Fills the triangles between stations that are near each other: a city of few
// stations has a shape too.
function bridges(land, mesh, places) {
  const triangles = trianglesOf(mesh), lengths = [];
  const sides = (t) => [0, 1, 2].map((k) => [places[triangles[3 * t + k]],
    places[triangles[3 * t + ((k + 1) % 3)]]]);
  const count = triangles.length / 3;
  for (let t = 0; t < count; t++) lengths.push(...sides(t).map(([a, b]) => apart(a, b)));
  const limit = Math.max(900, Math.min(3000, middle(lengths) * 2.2));
  for (let t = 0; t < count; t++) {
    if (lengths.slice(3 * t, 3 * t + 3).some((length) => length > limit)) continue;
    // In the cells' direction: overlapping land of two directions would be a hole.
    sides(t).reverse().forEach(([a], k) => (k ? land.lineTo(...a) : land.moveTo(...a)));
    land.closePath();
  }
}

// Adds the part of a convex polygon that is within a circle around its station.
function cell(land, polygon, [x, y], radius) {
  if (!polygon) return;
  const edges = [];
  for (let k = 0; k + 1 < polygon.length; k++) {
    const [ax, ay] = polygon[k], [bx, by] = polygon[k + 1];
    let nx = by - ay, ny = ax - bx;
    const length = Math.hypot(nx, ny);
    if (!length) continue;
    nx /= length; ny /= length;
    const distance = (ax - x) * nx + (ay - y) * ny;
    edges.push(distance < 0 ? [-nx, -ny, -distance] : [nx, ny, distance]);
  }
  const angles = Array.from({ length: CORNERS }, (_, k) => (k / CORNERS) * 2 * Math.PI);
  for (const [px, py] of polygon) {
    if (Math.hypot(px - x, py - y) < radius) angles.push((Math.atan2(py - y, px - x) + 2 * Math.PI) % (2 * Math.PI));
  }
  angles.sort((a, b) => a - b).forEach((angle, k) => {
    const dx = Math.cos(angle), dy = Math.sin(angle);
    let far = radius;
    for (const [nx, ny, distance] of edges) {
      const towards = dx * nx + dy * ny;
      if (towards > 1e-9) far = Math.min(far, distance / towards);
    }
    if (k) land.lineTo(x + dx * far, y + dy * far);
    else land.moveTo(x + dx * far, y + dy * far);
  });
  land.closePath();
}

// Adds the edges between cells of stations in different areas.
function frontiers(borders, mesh, pieces, stations, reach) {
  const { halfedges } = mesh, { circumcenters } = pieces, triangles = trianglesOf(mesh);
  for (let e = 0; e < triangles.length; e++) {
    const twin = halfedges[e];
    if (twin <= e) continue;
    const i = triangles[e], j = triangles[e % 3 === 2 ? e - 2 : e + 1];
    if (!stations[i].area || !stations[j].area || stations[i].area === stations[j].area) continue;
    const [s, t] = [Math.floor(e / 3), Math.floor(twin / 3)];
    const a = [circumcenters[2 * s], circumcenters[2 * s + 1]];
    const b = [circumcenters[2 * t], circumcenters[2 * t + 1]];
    const cut = within(a, b, stations[i].at, Math.max(reach[i], reach[j]));
    if (cut) { borders.moveTo(...cut[0]); borders.lineTo(...cut[1]); }
  }
}

// Returns the part of a line within a circle, null if none does.
function within(a, b, [x, y], radius) {
  const dx = b[0] - a[0], dy = b[1] - a[1], fx = a[0] - x, fy = a[1] - y;
  const p = dx * dx + dy * dy, q = fx * dx + fy * dy;
  const root = q * q - p * (fx * fx + fy * fy - radius * radius);
  if (!p || root < 0) return null;
  const from = Math.max(0, (-q - Math.sqrt(root)) / p), to = Math.min(1, (-q + Math.sqrt(root)) / p);
  return from < to && [[a[0] + dx * from, a[1] + dy * from], [a[0] + dx * to, a[1] + dy * to]];
}

// Returns the parts of a city that lie far from each other, the largest first.
function partsOf(mesh, stations) {
  const parent = stations.map((_, i) => i);
  const root = (i) => { while (parent[i] !== i) { parent[i] = parent[parent[i]]; i = parent[i]; } return i; };
  const links = [], triangles = trianglesOf(mesh);
  for (let e = 0; e < triangles.length; e++) {
    const i = triangles[e], j = triangles[e % 3 === 2 ? e - 2 : e + 1];
    links.push([i, j, apart(stations[i].at, stations[j].at)]);
  }
  const limit = Math.max(4000, middle(links.map((link) => link[2])) * 6);
  for (const [i, j, length] of links) if (length < limit) parent[root(i)] = root(j);
  const parts = new Map();
  stations.forEach((s, i) => {
    const key = root(i);
    if (!parts.has(key)) parts.set(key, []);
    parts.get(key).push(s);
  });
  return [...parts.values()].sort((a, b) => b.length - a.length);
}
