// A map of stations on a canvas: pan, zoom, pick; with a film, a slider over its slots.
const UNSEEN = 65535;
const HEIGHT = 500;

export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  const root = parentElement.querySelector('.city');
  const map = root.map || (root.map = new CityMap(root));
  map.send = setTriggerValue;
  map.take(data);
}

async function unpacked(text) {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate'));
  return new Uint16Array(await new Response(stream).arrayBuffer());
}

class CityMap {
  constructor(root) {
    this.root = root;
    root.innerHTML = `<div class="frame"><canvas role="img" tabindex="0"
      aria-label="Map of the stations; the table has the same"></canvas>
      <div class="zoom"><button title="Closer" aria-label="Closer">+</button>
      <button title="Farther" aria-label="Farther">−</button>
      <button title="The whole city" aria-label="The whole city">⤢</button></div>
      <div class="tip"></div></div><div class="film" hidden>
      <button aria-label="Play">▶</button>
      <input type="range" min="0" step="1" aria-label="Time of the day"><output></output>
      </div><div class="said"></div><div class="legend"></div>`;
    this.canvas = root.querySelector('canvas');
    this.tip = root.querySelector('.tip');
    this.slider = root.querySelector('input');
    this.pens = this.canvas.getContext('2d');
    this.pointers = new Map();
    this.listen();
  }

  async take(data) {
    const kin = JSON.stringify(data.stations.map((s) => [s[0], s[3], s[4]]));
    this.data = data;
    this.stations = data.stations.filter((s) => s[3] != null && s[4] != null)
      .map((s) => ({ id: s[0], name: s[1] || s[0], area: s[2], size: s[5], bikes: s[6],
        docks: s[7], closed: s[8], at: mercator(s[3], s[4]) }));
    this.mark = data.point ? mercator(...data.point) : null;
    const film = this.root.querySelector('.film');
    film.hidden = !data.labels;
    film.style.display = data.labels ? '' : 'none';
    if (kin !== this.kin) { this.kin = kin; this.fit(); }
    if (data.labels && data.vehicles !== this.packed) {
      this.packed = data.vehicles;
      const all = data.stations.map((s, i) => (s[3] != null && s[4] != null ? i : -1));
      this.rows = all.filter((i) => i >= 0);
      [this.bikes, this.free] = await Promise.all([unpacked(data.vehicles),
        unpacked(data.docks)]);
      this.slider.max = data.labels.length - 1;
      const asked = data.labels.indexOf(data.at);
      this.seek(asked >= 0 ? asked : this.opening());
    }
    this.draw();
    this.legend();
  }

  // The slot that was seen and is nearest to a third of the day: eight o'clock.
  opening() {
    const count = this.data.labels.length, third = Math.floor(count / 3);
    const seen = (slot) => this.rows.some((row) => this.bikes[row * count + slot] !== UNSEEN);
    const slots = [...Array(count).keys()].sort((a, b) => Math.abs(a - third) - Math.abs(b - third));
    return slots.find(seen) ?? third;
  }

  seek(index) {
    const { labels, states } = this.data;
    this.slider.value = index;
    this.root.querySelector('output').textContent = labels[index];
    let seen = 0, empty = 0, full = 0;
    this.stations.forEach((s, i) => {
      const place = this.rows[i] * labels.length + index;
      s.bikes = this.bikes[place] === UNSEEN ? null : this.bikes[place];
      s.docks = this.free[place] === UNSEEN ? null : this.free[place];
      seen += s.bikes != null; empty += s.bikes === 0; full += s.docks === 0;
    });
    const state = states[index];
    this.root.querySelector('.said').textContent = seen
      ? `${labels[index]}: ${empty} empty and ${full} full of ${seen} stations seen`
        + (state === 'collected' ? '' : ` (${state})`)
      : `${labels[index]}: nothing was seen (${state})`;
    this.draw();
  }

  fit() {
    const xs = this.stations.map((s) => s.at[0]).sort((a, b) => a - b);
    const ys = this.stations.map((s) => s.at[1]).sort((a, b) => a - b);
    if (!xs.length) { this.view = { x: 0, y: 0, scale: 100 }; return; }
    let cut = Math.floor(xs.length * 0.003);
    const spread = (all, skip) => all[all.length - 1 - skip] - all[skip];
    // A few stations very far away would make a speck of the city.
    if ([xs, ys].every((all) => spread(all, 0) < 2 * spread(all, cut))) cut = 0;
    const last = xs.length - 1 - cut;
    const width = this.canvas.clientWidth || 600;
    const wide = Math.max(xs[last] - xs[cut], 1e-5), high = Math.max(ys[last] - ys[cut], 1e-5);
    this.view = { x: (xs[cut] + xs[last]) / 2, y: (ys[cut] + ys[last]) / 2,
      scale: Math.min((width - 50) / wide, (this.height() - 60) / high) };
    this.first = this.view.scale;
  }

  height() { return Math.min(HEIGHT, Math.max(300, this.canvas.clientWidth * 0.8)); }

  place(at) {
    const { x, y, scale } = this.view;
    return [(at[0] - x) * scale + this.canvas.clientWidth / 2,
      (at[1] - y) * scale + this.height() / 2];
  }

  point(px, py) {
    const { x, y, scale } = this.view;
    const lon = ((px - this.canvas.clientWidth / 2) / scale + x) * 180 / Math.PI;
    const north = -((py - this.height() / 2) / scale + y);
    return [(Math.atan(Math.exp(north)) * 360) / Math.PI - 90, lon];
  }

  radius(station) {
    const grown = Math.min(2.2, Math.max(1, Math.sqrt(this.view.scale / this.first)));
    const few = this.stations.length > 600 ? 0.55 : this.stations.length > 150 ? 0.8 : 1;
    return Math.max(2, Math.sqrt(station.size || 12) * 1.5 * few * grown);
  }

  draw() {
    if (!this.view) return;
    const { canvas, pens } = this;
    const ratio = window.devicePixelRatio || 1, height = this.height();
    canvas.style.height = `${height}px`;
    canvas.width = canvas.clientWidth * ratio;
    canvas.height = height * ratio;
    pens.setTransform(ratio, 0, 0, ratio, 0, 0);
    const style = getComputedStyle(this.root);
    this.ink = style.color;
    this.paper = style.getPropertyValue('--st-background-color') || '#fff';
    for (const s of this.stations) {
      const [px, py] = this.place(s.at);
      if (px > -20 && py > -20 && px < canvas.clientWidth + 20 && py < height + 20) {
        dot(pens, px, py, this.radius(s), s, this.ink, this.paper);
        if (s.id === this.data.selected) ring(pens, px, py, this.radius(s) + 5, this.ink);
      }
    }
    this.areas();
    if (this.mark) cross(pens, ...this.place(this.mark), this.ink);
    this.rule();
  }

  areas() {
    const found = new Map();
    for (const s of this.stations) {
      if (!s.area) continue;
      const each = found.get(s.area) || [0, 0, 0];
      found.set(s.area, [each[0] + s.at[0], each[1] + s.at[1], each[2] + 1]);
    }
    const { pens } = this;
    pens.font = '600 13px sans-serif';
    pens.textAlign = 'center';
    pens.fillStyle = this.ink;
    pens.strokeStyle = this.paper;
    pens.lineWidth = 4;
    pens.lineJoin = 'round';
    const taken = [];
    for (const [area, [x, y, count]] of [...found].sort((a, b) => b[1][2] - a[1][2])) {
      const [px, py] = this.place([x / count, y / count]);
      const half = pens.measureText(area).width / 2 + 6;
      if (taken.some(([qx, qy, other]) => Math.abs(px - qx) < half + other
        && Math.abs(py - qy) < 20)) continue;
      taken.push([px, py, half]);
      pens.globalAlpha = 0.75;
      pens.strokeText(area, px, py);
      pens.globalAlpha = 1;
      pens.fillText(area, px, py);
    }
  }

  rule() {
    const [lat] = this.point(0, this.height() / 2);
    const metre = this.view.scale / (6371009 * Math.cos((lat * Math.PI) / 180));
    const steps = [20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000];
    const step = steps.filter((s) => s * metre < 130).pop() || 20;
    const { pens } = this, y = this.height() - 14;
    pens.strokeStyle = pens.fillStyle = this.ink;
    pens.lineWidth = 1.5;
    pens.beginPath();
    pens.moveTo(12, y - 4); pens.lineTo(12, y);
    pens.lineTo(12 + step * metre, y); pens.lineTo(12 + step * metre, y - 4);
    pens.stroke();
    pens.font = '11px sans-serif';
    pens.textAlign = 'left';
    pens.fillText(step < 1000 ? `${step} m` : `${step / 1000} km`, 14, y - 7);
  }

  legend() {
    const kinds = [['empty', { bikes: 0, docks: 9, size: 16 }],
      ['a third', { bikes: 3, docks: 6, size: 16 }],
      ['two thirds', { bikes: 6, docks: 3, size: 16 }],
      ['full', { bikes: 9, docks: 0, size: 16 }],
      ['closed', { bikes: 3, docks: 3, closed: true }], ['not seen', { bikes: null }]];
    const box = this.root.querySelector('.legend');
    box.innerHTML = '';
    const style = getComputedStyle(this.root);
    for (const [word, like] of kinds) {
      if (word === 'closed' && this.data.labels) continue;
      const line = document.createElement('span'), chip = document.createElement('canvas');
      chip.width = chip.height = 36;
      const pens = chip.getContext('2d');
      pens.scale(2, 2);
      dot(pens, 9, 9, 6, like, style.color, this.paper);
      line.append(chip, word);
      box.append(line);
    }
    const line = document.createElement('span');
    line.textContent = 'size: capacity';
    box.append(line);
  }

  nearest(px, py) {
    let best = null, least = 18;
    for (const s of this.stations) {
      const [x, y] = this.place(s.at), far = Math.hypot(x - px, y - py) - this.radius(s) / 2;
      if (far < least) { best = s; least = far; }
    }
    return best;
  }

  say(px, py) {
    const s = this.nearest(px, py), { tip } = this;
    tip.style.display = s ? 'block' : 'none';
    if (!s) return;
    const counts = s.bikes == null ? 'not seen in this slot'
      : `${s.bikes} bikes, ${s.docks ?? '?'} free docks`;
    tip.textContent = `${s.name}\n${counts}${s.closed ? '\nclosed' : ''}`
      + `${s.size ? `\ncapacity ${s.size}` : ''}${s.area ? `, ${s.area}` : ''}`;
    const left = Math.min(px + 14, this.canvas.clientWidth - tip.offsetWidth - 4);
    tip.style.left = `${Math.max(4, left)}px`;
    tip.style.top = `${py > this.height() - 100 ? py - tip.offsetHeight - 12 : py + 14}px`;
  }

  zoom(factor, px, py) {
    const { view, canvas } = this;
    const dx = px - canvas.clientWidth / 2, dy = py - this.height() / 2;
    const scale = Math.min(this.first * 80, Math.max(this.first / 3, view.scale * factor));
    view.x += dx / view.scale - dx / scale;
    view.y += dy / view.scale - dy / scale;
    view.scale = scale;
    this.draw();
  }

  listen() {
    const { canvas, root, pointers } = this;
    const at = (e) => { const r = canvas.getBoundingClientRect(); return [e.clientX - r.left, e.clientY - r.top]; };
    canvas.addEventListener('wheel', (e) => {
      if (!e.ctrlKey && !e.metaKey && document.activeElement !== canvas
        && canvas.getRootNode().activeElement !== canvas) return;
      e.preventDefault();
      this.zoom(Math.exp(-e.deltaY / 300), ...at(e));
    }, { passive: false });
    canvas.addEventListener('pointerdown', (e) => {
      pointers.set(e.pointerId, at(e));
      this.moved = 0;
      canvas.setPointerCapture(e.pointerId);
    });
    canvas.addEventListener('pointermove', (e) => this.move(e.pointerId, ...at(e)));
    const up = (e) => {
      const was = pointers.delete(e.pointerId);
      if (was && e.type === 'pointerup' && this.moved < 5) this.pick(...at(e));
    };
    canvas.addEventListener('pointerup', up);
    canvas.addEventListener('pointercancel', up);
    canvas.addEventListener('pointerleave', () => { this.tip.style.display = 'none'; });
    const middle = () => [canvas.clientWidth / 2, this.height() / 2];
    const [closer, farther, whole] = root.querySelectorAll('.zoom button');
    closer.onclick = () => this.zoom(1.6, ...middle());
    farther.onclick = () => this.zoom(1 / 1.6, ...middle());
    whole.onclick = () => { this.fit(); this.draw(); };
    this.slider.oninput = () => this.seek(Number(this.slider.value));
    this.slider.onchange = () => this.send('at', this.data.labels[Number(this.slider.value)]);
    root.querySelector('.film button').onclick = (e) => this.play(e.target);
    new ResizeObserver(() => this.draw()).observe(root);
  }

  move(id, px, py) {
    const { pointers, view } = this;
    const before = pointers.get(id);
    if (!before) { this.say(px, py); return; }
    const others = [...pointers].filter(([key]) => key !== id);
    if (others.length) {
      const [ox, oy] = others[0][1];
      const factor = Math.hypot(px - ox, py - oy)
        / Math.max(1, Math.hypot(before[0] - ox, before[1] - oy));
      this.zoom(factor, (px + ox) / 2, (py + oy) / 2);
      this.moved = 9;
    } else {
      view.x -= (px - before[0]) / view.scale;
      view.y -= (py - before[1]) / view.scale;
      this.moved += Math.abs(px - before[0]) + Math.abs(py - before[1]);
      this.draw();
    }
    pointers.set(id, [px, py]);
  }

  pick(px, py) {
    const found = this.nearest(px, py);
    this.say(px, py);
    if (found) this.send('station', found.id);
    else this.send('point', this.point(px, py).map((v) => v.toFixed(5)).join(', '));
  }

  play(button) {
    if (this.timer) {
      clearInterval(this.timer);
      this.timer = null;
      this.send('at', this.data.labels[Number(this.slider.value)]);
    } else {
      this.timer = setInterval(() => {
        if (!this.root.isConnected) { clearInterval(this.timer); return; }
        this.seek((Number(this.slider.value) + 1) % this.data.labels.length);
      }, 100);
    }
    button.textContent = this.timer ? '❚❚' : '▶';
    button.setAttribute('aria-label', this.timer ? 'Pause' : 'Play');
  }
}
