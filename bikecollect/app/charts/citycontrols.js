// What stands around the map: figures, buttons, the station's card, fingers and keys.
Object.assign(CityMap.prototype, {
  buttons() {
    const { root } = this, [closer, farther, whole] = root.querySelectorAll('.zoom button');
    closer.onclick = () => this.zoom(1.6);
    farther.onclick = () => this.zoom(1 / 1.6);
    whole.onclick = () => { this.fit(this.stations); this.draw(); };
  },

  // Shows a button for each mode that the data have; none if there is no choice.
  offer() {
    const { data, root } = this, bar = root.querySelector('.modes');
    const modes = data.vehicles_only ? ['vehicles'] : data.labels ? ['fill', 'change', 'usual'] : ['fill'];
    if (!modes.includes(this.mode)) [this.mode] = modes;
    bar.hidden = modes.length < 2;
    if (bar.childElementCount === modes.length) { this.press(); return; }
    bar.replaceChildren(...modes.map((mode) => {
      const button = element('button', MODES[mode].title);
      button.dataset.mode = mode;
      button.onclick = () => { this.mode = mode; this.press(); this.draw(); };
      return button;
    }));
    this.press();
  },

  press() {
    const { title, low, high, legend } = MODES[this.mode];
    for (const button of this.root.querySelectorAll('.modes button')) {
      button.setAttribute('aria-pressed', button.dataset.mode === this.mode);
    }
    const [name, , left, right, basis] = this.root.querySelector('.key').children;
    name.parentElement.classList.toggle('kinds', this.mode === 'vehicles');
    name.textContent = legend;
    left.textContent = low;
    right.textContent = high;
    basis.textContent = this.mode === 'usual' ? this.film.basis() : this.mode === 'change' ? this.film.lack() : '';
    this.canvas.setAttribute('aria-label', `Map of the stations, coloured by: ${title}. `
      + 'Arrow keys move it, plus and minus zoom, Tab goes from station to station, '
      + 'Enter opens one. The table has the same figures.');
  },

  // Shows a button for each part of a city whose parts lie far from each other.
  choices() {
    const bar = this.root.querySelector('.parts');
    bar.replaceChildren();
    const parts = this.parts.filter((part) => part.length >= 5).slice(0, 4);
    if (parts.length < 2) return;
    for (const [number, part] of parts.entries()) {
      const counts = new Map();
      for (const s of part) if (s.area) counts.set(s.area, (counts.get(s.area) || 0) + 1);
      const [area] = [...counts].sort((a, b) => b[1] - a[1])[0] || [''];
      const button = element('button', `${isName(area) ? area : `Part ${number + 1}`} (${part.length})`);
      button.onclick = () => { this.fit(part); this.draw(); };
      bar.append(button);
    }
  },

  figures() {
    const sums = this.sums(), strip = this.root.querySelector('.figures');
    const share = (count) => (sums.seen ? percent(count / sums.seen) : '');
    const number = (value) => value.toLocaleString('en');
    // Of a slot without data nothing is known: it has no zeros.
    const count = (value) => (sums.seen ? number(value) : '-');
    const shown = this.data.vehicles_only ? [[number(sums.all), 'vehicles', '']]
      : [[count(sums.bikes), 'bikes at stations', ''],
        [count(sums.empty), 'without a bike', share(sums.empty), 'low'],
        sums.docks || !sums.seen
          ? [count(sums.full), 'without a free dock', share(sums.full), 'high']
          : ['?', 'free docks unknown', ''],
        [`${number(sums.seen)} / ${number(sums.all)}`, 'stations seen', '']];
    strip.replaceChildren(...shown.map(([value, text, more, kind]) => {
      const box = element('div', '');
      if (kind) box.className = kind;
      box.append(element('b', value), element('span', text), element('small', more));
      return box;
    }));
  },

  speak(text) { this.root.querySelector('.spoken').textContent = text; },
});

// Returns whether an area has a name: many feeds have a number only.
function isName(area) { return /\p{L}/u.test(area || ''); }

const DETOUR = 1.3;  // streets are longer than the line between two points
const PACE = 80;  // metres on foot in a minute

function element(tag, text) {
  const made = document.createElement(tag);
  made.textContent = text;
  return made;
}

function counts(station) {
  if (station.vehicle) return station.closed ? 'disabled' : station.bikes ? 'available' : 'reserved';
  if (station.bikes == null) return 'not seen in this slot';
  const docks = station.docks == null ? 'free docks unknown' : `${station.docks} free ${station.docks === 1 ? 'dock' : 'docks'}`;
  return `${station.bikes} ${station.bikes === 1 ? 'bike' : 'bikes'}, ${docks}`
    + `${station.size ? ` of ${station.size}` : ''}${station.closed ? ', closed' : ''}`;
}

// Returns a distance as the crow flies, and the minutes on foot by streets.
function onFoot(metres) {
  const far = metres < 995 ? `${Math.round(metres / 10) * 10} m` : `${(metres / 1000).toFixed(1)} km`;
  return `${far}, ${Math.max(1, Math.round((metres * DETOUR) / PACE))} min walk`;
}

class StationCard {
  constructor(map) {
    this.map = map;
    this.box = map.root.querySelector('.card');
    this.station = null;
    this.box.querySelector('.close').onclick = () => { map.choose(null); map.canvas.focus(); };
    this.box.querySelector('.open').onclick = () => map.send('open', this.station.id);
  }

  show(station) {
    const isNew = station && station.id !== this.station?.id;
    this.station = station;
    this.box.hidden = !station;
    if (!station) return;
    this.box.querySelector('h2').textContent = station.name;
    this.box.querySelector('p').textContent = [station.area, counts(station),
      this.map.film.usually(station)].filter(Boolean).join(' · ');
    this.box.querySelector('.open').hidden = Boolean(this.map.data.vehicles_only || this.map.data.is_static);
    this.curve(station);
    if (isNew) this.reveal();
  }

  // Moves the map if the card would hide its station.
  reveal() {
    const { map, box } = this, [x, y] = map.point(this.station.at), edge = 20;
    const isBeside = x < box.offsetLeft - edge || x > box.offsetLeft + box.offsetWidth + edge;
    if (box.offsetParent && !isBeside && y > box.offsetTop - edge) map.pan(0, box.offsetTop - 2 * edge - y);
  }

  // Draws the bikes of the day as an area below the capacity.
  curve(station) {
    const canvas = this.box.querySelector('canvas'), day = this.map.film.day(station);
    canvas.style.display = day ? '' : 'none';
    if (!day) return;
    const { pens, width, height } = sharp(canvas, 74), { theme, ink } = this.map;
    const whole = day.map(([bikes, docks]) => (bikes ?? 0) + (docks ?? 0));
    const top = Math.max(1, station.size || 0, ...whole), step = width / day.length;
    day.forEach(([bikes, docks], i) => {
      if (bikes == null) return;
      const bar = (value, alpha) => {
        const high = (Math.min(value, top) / top) * (height - 14);
        pens.globalAlpha = alpha;
        pens.fillRect(i * step, height - 12 - high, step + 0.4, high);
      };
      pens.fillStyle = theme.high;
      bar(bikes + (docks ?? 0), 0.16);
      bar(bikes, 0.8);
    });
    pens.globalAlpha = 1;
    this.usual(station, (bikes) => height - 12 - (Math.min(bikes, top) / top) * (height - 14), pens, step);
    pens.fillStyle = ink;
    pens.fillRect((this.map.film.at + 0.5) * step, 0, 1.5, height - 12);
    this.map.film.hours(pens, width, height);
  }

  // Draws the usual bikes of each hour as a dashed line; *high* places a number of bikes.
  usual(station, high, pens, step) {
    const { film, ink } = this.map, row = film.row(station);
    pens.strokeStyle = ink;
    pens.lineWidth = 1.5;
    pens.setLineDash([4, 3]);
    pens.beginPath();
    let before = null;
    film.labels.forEach((_, slot) => {
      const bikes = film.usual_of(row, slot);
      if (bikes != null && before == null) pens.moveTo(slot * step, high(bikes));
      if (bikes != null) { pens.lineTo(slot * step, high(bikes)); pens.lineTo((slot + 1) * step, high(bikes)); }
      before = bikes;
    });
    pens.stroke();
    pens.setLineDash([]);
  }
}

// Returns a canvas cleared for drawing at the screen's own resolution.
function sharp(canvas, height) {
  const ratio = window.devicePixelRatio || 1, width = canvas.clientWidth;
  canvas.style.height = `${height}px`;
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  const pens = canvas.getContext('2d');
  pens.scale(ratio, ratio);
  return { pens, width, height };
}

function listen(map) {
  const { canvas, pointers } = map, tip = map.root.querySelector('.tip');
  const at = (e) => {
    const box = canvas.getBoundingClientRect();
    return [e.clientX - box.left, e.clientY - box.top];
  };
  canvas.addEventListener('wheel', (e) => {
    const focused = canvas.getRootNode().activeElement === canvas;
    if (!e.ctrlKey && !e.metaKey && !focused) return;
    e.preventDefault();
    map.zoom(Math.exp(-e.deltaY / 300), ...at(e));
  }, { passive: false });
  // One finger scrolls the page (touch-action: pan-y), two move and zoom the map.
  canvas.addEventListener('touchmove', (e) => { if (e.touches.length > 1) e.preventDefault(); },
    { passive: false });
  canvas.addEventListener('pointerdown', (e) => {
    pointers.set(e.pointerId, at(e));
    map.moved = 0;
    if (e.pointerType === 'mouse') canvas.setPointerCapture(e.pointerId);
  });
  canvas.addEventListener('pointermove', (e) => {
    const before = pointers.get(e.pointerId), now = at(e);
    if (!before) { hover(map, tip, ...now); return; }
    const other = [...pointers].find(([key]) => key !== e.pointerId);
    if (other) {
      const [ox, oy] = other[1], spread = ([x, y]) => Math.max(1, Math.hypot(x - ox, y - oy));
      map.pan((now[0] - before[0]) / 2, (now[1] - before[1]) / 2);
      map.zoom(spread(now) / spread(before), (now[0] + ox) / 2, (now[1] + oy) / 2);
      map.moved = 9;
    } else {
      map.moved += Math.hypot(now[0] - before[0], now[1] - before[1]);
      if (e.pointerType !== 'touch') map.pan(now[0] - before[0], now[1] - before[1]);
    }
    pointers.set(e.pointerId, now);
  });
  canvas.addEventListener('pointerup', (e) => {
    if (pointers.delete(e.pointerId) && map.moved < 6) map.pick(...at(e));
  });
  canvas.addEventListener('pointercancel', (e) => pointers.delete(e.pointerId));
  canvas.addEventListener('pointerleave', () => { tip.style.display = 'none'; });
  canvas.addEventListener('dblclick', (e) => map.zoom(1.8, ...at(e)));
  canvas.addEventListener('keydown', (e) => { if (!e.ctrlKey && !e.metaKey && !e.altKey) key(map, e); });
  canvas.addEventListener('focus', () => { map.visited = null; });
}

function hover(map, tip, px, py) {
  const station = map.nearest(px, py);
  tip.style.display = station ? 'block' : 'none';
  map.canvas.style.cursor = station ? 'pointer' : 'grab';
  if (!station) return;
  tip.textContent = `${station.name}\n${counts(station)}${station.area ? `\n${station.area}` : ''}`;
  tip.style.left = `${Math.max(4, Math.min(px + 14, map.width() - tip.offsetWidth - 4))}px`;
  tip.style.top = `${py > map.height() - 100 ? py - tip.offsetHeight - 12 : py + 14}px`;
}

const MOVES = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] };

function key(map, e) {
  const { card } = map;
  if (MOVES[e.key]) map.pan(...MOVES[e.key]);
  else if (e.key === '+' || e.key === '=') map.zoom(1.4);
  else if (e.key === '-' || e.key === '_') map.zoom(1 / 1.4);
  else if (e.key === '0') { map.fit(map.stations); map.draw(); }
  else if (e.key === 'Escape') { map.visited = []; map.choose(null); }
  else if (e.key === 'Enter' && card.station) map.send('open', card.station.id);
  else if (e.key === 'Tab') { if (!walk(map, e.shiftKey)) return; }
  else return;
  e.preventDefault();
}

// Goes to the next station by nearness; returns whether there was one.
function walk(map, back) {
  if (!map.visited) {
    const from = map.card.station ? map.card.station.at : [map.view.x, map.view.y];
    map.visited = map.stations.filter((s) => s.shown)
      .sort((a, b) => apart(a.at, from) - apart(b.at, from)).slice(0, WALK);
    map.step = -1;
  }
  map.step += back ? -1 : 1;
  const station = map.visited[map.step];
  if (!station) { map.visited = null; return false; }
  map.card.show(station);
  map.speak(`${station.name}: ${counts(station)}`);
  map.draw();
  return true;
}
