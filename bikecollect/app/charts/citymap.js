// The map of a city on a canvas: land, areas, stations; pan, zoom, pick, keys.
const FRAME = `<div class="figures"></div><div class="frame">
  <canvas class="map" role="application" tabindex="0"></canvas>
  <div class="modes" role="group" aria-label="Colour by"></div>
  <div class="zoom"><button aria-label="Zoom in" title="Zoom in">+</button>
  <button aria-label="Zoom out" title="Zoom out">−</button>
  <button aria-label="Whole city" title="Whole city">⤢</button></div>
  <div class="parts"></div><div class="key"><span></span><i></i><b></b><b></b><em></em></div>
  <div class="tip"></div><div class="credit"></div><section class="card" hidden aria-label="Station">
  <button class="close" aria-label="Close">×</button><h2></h2><p></p>
  <canvas></canvas><button class="open">Open this station</button></section></div>
  <div class="film" hidden><div class="controls"><button class="play" aria-label="Play">▶</button>
  <button class="speed" aria-label="Speed 1×" title="Speed">1×</button><output></output>
  <span class="said"></span><span class="peak"></span></div><canvas class="curve" role="slider" tabindex="0" aria-valuenow="0"
  aria-label="Time"></canvas></div><div class="spoken" aria-live="polite"></div>`;
const LABELLED = 5;  // nearest stations whose distance is written on a small map
const WALK = 12;  // stations that the Tab key visits before it leaves the map

class CityMap {
  constructor(root) {
    this.root = root;
    root.innerHTML = FRAME;
    this.canvas = root.querySelector('.map');
    this.pens = this.canvas.getContext('2d');
    this.pointers = new Map();
    this.mode = 'fill';
    this.stations = [];  // those with a position
    this.all = [];
    this.tiles = new CityTiles(this);
    this.base = new CityBase(this);
    this.film = new CityFilm(this);
    this.card = new StationCard(this);
    this.buttons();
    listen(this);
    new ResizeObserver(() => this.resized()).observe(root);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.film.recolour());
  }

  async take(data) {
    const known = new Set((data.shown || []).map(String));
    this.data = data;
    this.root.classList.toggle('mini', Boolean(data.mini));
    const isLocated = (s) => s[3] != null && s[4] != null, located = data.stations.filter(isLocated);
    const place = JSON.stringify([data.system, located.map((s) => [s[0], s[3], s[4]])]);
    const isNew = place !== this.place;
    this.place = place;
    if (isNew) {
      const centre = [middle(located.map((s) => s[3])), middle(located.map((s) => s[4]))];
      this.projection = projection(...centre);
    }
    this.all = data.stations.map((s) => ({ id: s[0], name: s[1] || s[0], area: s[2],
      at: isLocated(s) ? this.projection.forth(s[3], s[4]) : null, size: s[5],
      bikes: s[6], docks: s[7], closed: s[8],
      now: { bikes: s[6], docks: s[7], closed: s[8] }, vehicle: data.vehicles_only,
      shown: !data.shown || known.has(s[0]) }));
    this.stations = this.all.filter((s) => s.at);
    this.offer();
    this.mark = data.point ? this.projection.forth(...data.point) : null;
    if (isNew) {
      Object.assign(this, landOf(this.stations));
      this.choices();
      this.fit(this.opening());
    }
    await this.base.take(data.basemap, isNew);
    await this.film.take(data);
    this.card.show(this.stations.find((s) => s.id === data.selected) || null);
    this.figures();
    this.draw();
    this.root.dataset.drawn = 'yes';
  }

  // The parts to begin with: the largest if it would be small beside far others.
  opening() {
    const [first] = this.parts;
    if (!first || first.length < this.stations.length / 2) return this.stations;
    const whole = this.scaleOf(this.stations), one = this.scaleOf(first);
    return one > 1.6 * whole ? first : this.stations;
  }

  width() { return this.canvas.clientWidth || 600; }

  height() {
    if (this.data?.mini) return 230;
    const wide = this.width();
    this.top ??= Math.max(0, this.canvas.getBoundingClientRect().top);
    const room = window.innerHeight - this.top - (this.data?.labels ? 162 : 30);
    return Math.round(Math.max(300, Math.min(wide < 600 ? wide * 1.05 : wide * 0.7, room, 760)));
  }

  boxOf(stations) {
    let cut = Math.floor(stations.length * 0.002);
    const [xs, ys] = [0, 1].map((k) => stations.map((s) => s.at[k]).sort((a, b) => a - b));
    const last = xs.length - 1 - cut;
    return [xs[cut], ys[cut], xs[last], ys[last]];
  }

  scaleOf(stations) {
    const [left, top, right, bottom] = this.boxOf(stations);
    return Math.min((this.width() - 60) / Math.max(right - left, 600),
      (this.height() - 90) / Math.max(bottom - top, 600));
  }

  fit(stations) {
    if (!stations.length) { this.view = { x: 0, y: 0, scale: 0.05 }; return; }
    const [left, top, right, bottom] = this.boxOf(stations);
    this.view = { x: (left + right) / 2, y: (top + bottom) / 2, scale: this.scaleOf(stations) };
    this.first = this.scaleOf(this.opening());
    this.fitted = stations;
  }

  point(at) {
    const { x, y, scale } = this.view;
    return [(at[0] - x) * scale + this.width() / 2, (at[1] - y) * scale + this.height() / 2];
  }

  // Returns the latitude and longitude below a point of the canvas.
  place_of(px, py) {
    const { x, y, scale } = this.view;
    return this.projection.back([(px - this.width() / 2) / scale + x,
      (py - this.height() / 2) / scale + y]);
  }

  radius(station, shape) {
    const grown = Math.min(2.4, Math.max(1, Math.sqrt(this.view.scale / this.first)));
    const count = this.fitted ? this.fitted.length : this.stations.length;
    const few = count > 4000 ? 0.35 : count > 1000 ? 0.55 : count > 400 ? 0.75 : 1;
    const narrow = this.width() < 600 ? 0.8 : 1;
    const strong = shape.extreme ? 1.15 : 0.75 + 0.3 * Math.min(1, Math.max(0, shape.rank));
    return Math.max(1.7, Math.sqrt(Math.min(80, station.size || 15)) * 1.3 * few * narrow * grown * strong);
  }

  resized() {
    const width = this.canvas.clientWidth;
    if (!width || !this.view) return;
    if (this.lastWidth && this.lastWidth !== width) this.view.scale *= width / this.lastWidth;
    this.lastWidth = width;
    this.draw();
  }

  draw() {
    if (this.waiting || !this.view) return;
    this.waiting = requestAnimationFrame(() => { this.waiting = 0; this.paint(); });
  }

  paint() {
    const { canvas, pens } = this, ratio = window.devicePixelRatio || 1;
    const width = this.width(), height = this.height();
    this.lastWidth ||= width;
    canvas.style.height = `${height}px`;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    this.dress();
    pens.setTransform(ratio, 0, 0, ratio, 0, 0);
    pens.clearRect(0, 0, width, height);
    this.ground(ratio);
    this.dots();
    if (!this.data.mini) this.names();
    if (this.mark) cross(pens, ...this.point(this.mark), this.ink);
    const chosen = this.card.station;
    if (this.data.mini && chosen) this.distances(chosen);
    if (chosen) ring(pens, ...this.point(chosen.at), this.radius(chosen, { rank: 1 }) + 5, this.ink);
    this.rule();
  }

  // Takes the colours of the page.
  dress() {
    const style = getComputedStyle(this.root);
    this.ink = style.color;
    this.paper = style.getPropertyValue('--st-background-color').trim() || '#ffffff';
    const dark = channels(this.paper.length === 7 ? this.paper : '#ffffff')
      .reduce((sum, value) => sum + value, 0) < 380;
    this.theme = dark ? THEMES.dark : THEMES.light;
    this.root.style.setProperty('--low', this.theme.low);
    this.root.style.setProperty('--middle', this.theme.middle);
    this.root.style.setProperty('--high', this.theme.high);
  }

  ground(ratio) {
    const { tiles } = this.data, own = this.base.value;
    this.root.querySelector('.credit').textContent = own ? own.attribution : tiles ? this.data.attribution : '';
    if (tiles && !own) {
      this.tiles.draw(this.pens, tiles);
      return;
    }
    const { pens } = this, { x, y, scale } = this.view;
    if (this.base.hasAreas) {
      pens.fillStyle = this.theme.land;
      pens.fillRect(0, 0, this.width(), this.height());
    }
    pens.save();
    pens.setTransform(ratio * scale, 0, 0, ratio * scale,
      ratio * (this.width() / 2 - x * scale), ratio * (this.height() / 2 - y * scale));
    pens.fillStyle = pens.strokeStyle = this.theme.land;
    pens.fill(this.land);
    pens.lineWidth = 1.2 / scale;
    pens.stroke(this.land);
    if (own) this.base.draw(pens, this.theme, scale);
    if (!this.base.hasAreas) {
      pens.strokeStyle = this.paper;
      pens.lineCap = 'round';
      pens.lineWidth = 2.2 / scale;
      pens.stroke(this.borders);
    }
    pens.restore();
  }

  shape(station) { return look(station, this.mode); }

  dots() {
    const groups = new Map(), width = this.width(), height = this.height();
    for (const station of this.stations) {
      const [x, y] = this.point(station.at);
      if (!station.shown || x < -20 || y < -20 || x > width + 20 || y > height + 20) continue;
      const shape = this.shape(station);
      const key = `${shape.value} ${shape.extreme} ${shape.closed}`;
      if (!groups.has(key)) groups.set(key, { shape, points: [] });
      groups.get(key).points.push([x, y, this.radius(station, shape)]);
    }
    const sorted = [...groups.values()].sort((a, b) => a.shape.rank - b.shape.rank);
    for (const { shape, points } of sorted) dots(this.pens, points, shape, this.theme, this.paper);
  }

  names() {
    const areas = new Map();
    for (const s of this.stations) {
      if (!isName(s.area)) continue;
      if (!areas.has(s.area)) areas.set(s.area, []);
      areas.get(s.area).push(s.at);
    }
    if (areas.size < 2) return;
    const { pens } = this, taken = [];
    pens.font = '600 12.5px system-ui, "Noto Sans CJK TC", "Noto Sans", sans-serif';
    pens.textAlign = 'center';
    pens.lineJoin = 'round';
    pens.lineWidth = 3.5;
    for (const [area, places] of [...areas].sort((a, b) => b[1].length - a[1].length)) {
      if (places.length < 4) continue;
      const [px, py] = this.point([0, 1].map((k) => middle(places.map((at) => at[k]))));
      const half = pens.measureText(area).width / 2 + 6;
      const free = [0, -16, 16, -30, 30].find((dy) => !taken.some(([qx, qy, other]) =>
        Math.abs(px - qx) < half + other && Math.abs(py + dy - qy) < 18));
      if (free === undefined || px < half || px > this.width() - half) continue;
      taken.push([px, py + free, half]);
      pens.strokeStyle = this.paper;
      pens.globalAlpha = 0.8;
      pens.strokeText(area, px, py + free);
      pens.globalAlpha = 1;
      pens.fillStyle = this.ink;
      pens.fillText(area, px, py + free);
    }
  }

  // Writes how far the nearest stations are from the chosen one, and the minutes on foot.
  distances(chosen) {
    const { pens } = this, near = this.stations.filter((s) => s !== chosen)
      .sort((a, b) => apart(a.at, chosen.at) - apart(b.at, chosen.at)).slice(0, LABELLED);
    pens.font = '600 11px system-ui, sans-serif';
    pens.textAlign = 'center';
    pens.lineJoin = 'round';
    pens.lineWidth = 3;
    const middle = this.point(chosen.at), taken = [middle];
    for (const station of near) {
      const [x, at] = this.point(station.at), text = onFoot(apart(station.at, chosen.at));
      const y = at + (at < middle[1] ? -14 : 14);  // on the side away from the chosen one
      if (taken.some(([a, b]) => Math.abs(a - x) < 110 && Math.abs(b - y) < 14)) continue;
      taken.push([x, y]);
      pens.strokeStyle = this.paper;
      pens.strokeText(text, x, y + 4);
      pens.fillStyle = this.ink;
      pens.fillText(text, x, y + 4);
    }
  }

  rule() {
    const { pens } = this, y = this.height() - 14;
    const steps = [50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000];
    const step = steps.filter((s) => s * this.view.scale < 120).pop() || 50;
    pens.strokeStyle = pens.fillStyle = this.ink;
    pens.globalAlpha = 0.7;
    pens.lineWidth = 1.5;
    pens.beginPath();
    pens.moveTo(14, y); pens.lineTo(14 + step * this.view.scale, y);
    pens.stroke();
    pens.font = '11px system-ui, sans-serif';
    pens.textAlign = 'left';
    pens.fillText(step < 1000 ? `${step} m` : `${step / 1000} km`, 14, y - 5);
    pens.globalAlpha = 1;
  }

  nearest(px, py, reach = 14) {
    let best = null, least = reach;
    for (const s of this.stations) {
      const [x, y] = this.point(s.at), distance = Math.hypot(x - px, y - py);
      if (s.shown && distance < least) { best = s; least = distance; }
    }
    return best;
  }

  zoom(factor, px = this.width() / 2, py = this.height() / 2) {
    const { view } = this, dx = px - this.width() / 2, dy = py - this.height() / 2;
    const least = this.scaleOf(this.stations) / 2;
    const scale = Math.min(1.5, Math.max(least, view.scale * factor));
    view.x += dx / view.scale - dx / scale;
    view.y += dy / view.scale - dy / scale;
    view.scale = scale;
    this.draw();
  }

  pan(dx, dy) {
    this.view.x -= dx / this.view.scale;
    this.view.y -= dy / this.view.scale;
    this.draw();
  }

  pick(px, py) {
    const station = this.nearest(px, py);
    if (station) this.choose(station);
    else if (this.card.station) this.choose(null);
    else if (this.data.points) this.send('point', this.place_of(px, py).map((v) => v.toFixed(5)).join(', '));
  }

  choose(station) {
    this.card.show(station);
    this.draw();
    this.send('station', station ? station.id : '');
  }

  // Returns the figures of what is shown, for the strip above the map; stations without
  // a position count, too.
  sums() {
    const sums = { bikes: 0, seen: 0, empty: 0, full: 0, docks: 0, all: 0, closed: 0 };
    for (const s of this.all) {
      if (!s.shown) continue;
      sums.all += 1;
      if (s.bikes == null) continue;
      sums.seen += 1;
      sums.bikes += s.bikes;
      if (s.closed) { sums.closed += 1; continue; }
      sums.empty += s.bikes === 0;
      sums.full += s.docks === 0;
      sums.docks += s.docks != null;
    }
    return sums;
  }
}
