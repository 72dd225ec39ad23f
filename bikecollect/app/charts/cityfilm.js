// Time: the curve of empty and full stations is the slider.
const TICK = 100;  // milliseconds of a slot while it plays
const SPEEDS = [1, 2, 4];
const WEEKDAYS = ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday'];

// Returns a word in a colour of the curve.
function coloured(name, word) {
  const element = document.createElement('b');
  element.className = name;
  element.textContent = word;
  return element;
}

class CityFilm {
  constructor(map) {
    this.map = map;
    this.box = map.root.querySelector('.film');
    this.slider = this.box.querySelector('.curve');
    this.button = this.box.querySelector('.play');
    this.at = 0;
    this.speed = 1;
    this.button.onclick = () => this.toggle();
    this.box.querySelector('.speed').onclick = (e) => {
      this.speed = SPEEDS[(SPEEDS.indexOf(this.speed) + 1) % SPEEDS.length];
      e.target.textContent = `${this.speed}×`;
      e.target.setAttribute('aria-label', `Speed ${this.speed}×`);
    };
    const drag = (e) => {
      if (!e.buttons && e.type !== 'pointerdown') return;
      const box = this.slider.getBoundingClientRect();
      this.seek(Math.floor(((e.clientX - box.left) / box.width) * this.count));
    };
    this.slider.addEventListener('pointerdown', (e) => { this.slider.setPointerCapture(e.pointerId); drag(e); });
    this.slider.addEventListener('pointermove', drag);
    this.slider.addEventListener('pointerup', () => this.tell());
    this.slider.addEventListener('keydown', (e) => this.key(e));
  }

  async take(data) {
    this.box.hidden = !data.labels;
    if (!data.labels) { this.packed = null; return; }
    this.labels = data.labels;
    this.states = data.states;
    this.count = data.labels.length;
    this.seconds = data.seconds || 300;
    this.hour = Math.max(1, Math.round(HOUR / this.seconds));
    const places = new Map(data.film_ids.map((id, i) => [id, i]));
    this.rows = data.stations.map((s) => places.get(s[0]) ?? -1);
    if (data.vehicles !== this.packed) {
      const first = this.packed == null, last = this.count - 1;
      const wasNewest = !first && this.at >= this.newest;
      this.packed = data.vehicles;
      [this.bikes, this.free, this.shut, this.usuals, this.days] = await Promise.all(
        [data.vehicles, data.docks, data.closed, data.usual, data.usual_days].map(unpacked));
      this.columns = data.slot_hours.map((hour) => data.usual_hours.indexOf(hour));
      this.count_all();
      const asked = data.labels.indexOf(data.at);
      if (first || wasNewest) this.at = asked >= 0 && first ? asked : this.newest;
      this.at = Math.max(0, Math.min(last, this.at));
    }
    this.seek(this.at);
  }

  value(numbers, row, slot) {
    const value = row < 0 || slot < 0 ? UNSEEN : numbers[row * this.count + slot];
    return value === UNSEEN ? null : value;
  }

  // Returns the usual bikes of a row at the hour of a slot, null if nothing is usual yet;
  // or, of *numbers* of days, how many are behind that mean.
  usual_of(row, slot, numbers = this.usuals) {
    const value = row < 0 ? UNSEEN : numbers[row * this.map.data.usual_hours.length + this.columns[slot]];
    return value === UNSEEN ? null : value ?? null;
  }

  row(station) { return this.packed ? this.rows[this.map.all.indexOf(station)] ?? -1 : -1; }

  // Returns what is usual for a station now, as text; nothing if that is unknown.
  usually(station) {
    const row = this.row(station), bikes = this.usual_of(row, this.at);
    if (bikes == null) return '';
    return `usually ${bikes} at this hour (${this.usual_of(row, this.at, this.days)} ${this.weekday()}s)`;
  }

  weekday() { return WEEKDAYS[Math.floor(this.map.data.slot_hours[this.at] / 24)]; }

  // Returns what a change of the last hour lacks, if it lacks it of all stations.
  lack() {
    const before = this.packed && this.at >= this.hour ? this.sums[this.at - this.hour] : null;
    return before ? '' : 'Unknown: nothing was seen an hour before';
  }

  // Returns the basis of what is usual at the hour of this slot, or what it lacks.
  basis() {
    const { slot_hours: hours, usual_hours: columns, usual_rule: rule } = this.map.data;
    if (!this.packed || !hours.length) return '';
    const days = this.rows.map((row) => this.usual_of(row, this.at, this.days)).filter((count) => count != null);
    const hour = `${String(hours[this.at] % 24).padStart(2, '0')}:00`, name = `${this.weekday()}s`;
    if (!days.length) {
      return `Usual number unknown: the hour from ${hour} was seen on fewer than ${rule.least} ${name} of the ${rule.of} days before`;
    }
    const least = days.reduce((a, b) => Math.min(a, b)), most = days.reduce((a, b) => Math.max(a, b));
    return `Usual: mean of ${least < most ? `${least} to ` : ''}${most} earlier ${name}, in the hour from ${hour}`;
  }

  // Counts the open stations that are empty or full in every slot; finds the newest seen.
  count_all() {
    this.newest = 0;
    this.sums = this.labels.map((_, slot) => {
      let seen = 0, empty = 0, full = 0, docks = 0;
      for (const row of this.rows) {
        const bikes = this.value(this.bikes, row, slot);
        if (bikes == null) continue;
        seen += 1;
        if (this.value(this.shut, row, slot)) continue;
        empty += bikes === 0;
        const free = this.value(this.free, row, slot);
        full += free === 0;
        docks += free != null;
      }
      if (seen) this.newest = slot;
      return seen ? { seen, empty, full, docks } : null;
    });
    const full = this.sums.some((sum) => sum && sum.docks) ? `, ${this.most('full')} full` : '';
    this.box.querySelector('.peak').textContent = `peak: ${this.most('empty')} empty${full}`;
  }

  // Returns the largest of a count of all slots.
  most(name) { return Math.max(0, ...this.sums.filter(Boolean).map((sum) => sum[name])); }

  // Returns bikes and docks of a station in every slot, null without a film.
  day(station) {
    const row = this.row(station);
    if (row < 0) return null;
    return this.labels.map((_, slot) => [this.value(this.bikes, row, slot),
      this.value(this.free, row, slot)]);
  }

  seek(index) {
    this.at = Math.max(0, Math.min(this.count - 1, index));
    const { map, at } = this, live = map.data.live && at === this.newest;
    map.all.forEach((s, i) => {
      const row = this.rows[i];
      s.bikes = live ? s.now.bikes : this.value(this.bikes, row, at);
      s.docks = live ? s.now.docks : this.value(this.free, row, at);
      s.closed = live ? s.now.closed : this.value(this.shut, row, at) === 1;
      s.before = this.value(this.bikes, row, at - this.hour);
      s.usual = this.usual_of(row, at);
    });
    const label = this.labels[at], sums = this.sums[at], state = this.states[at];
    this.box.querySelector('output').textContent = label;
    const said = this.box.querySelector('.said');
    const counted = sums ? [`${sums.empty} `, coloured('low', 'empty'),
      ...(sums.docks ? [` and ${sums.full} `, coloured('high', 'full')] : []),
      ` of ${sums.seen} stations seen`] : ['nothing was seen'];
    said.replaceChildren(...counted, state === 'collected' ? '' : ` (${state})`);
    const text = said.textContent;
    this.slider.setAttribute('aria-valuemin', 0);
    this.slider.setAttribute('aria-valuemax', this.count - 1);
    this.slider.setAttribute('aria-valuenow', at);
    this.slider.setAttribute('aria-valuetext', `${label}: ${text}`);
    this.curve();
    map.press();
    if (map.view) {
      map.card.show(map.card.station);
      map.figures();
      map.draw();
    }
  }

  tell() { this.map.send('at', this.at === this.newest ? '' : this.labels[this.at]); }

  key(e) {
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowDown: -1, ArrowUp: 1, PageUp: this.hour, PageDown: -this.hour };
    if (steps[e.key]) this.seek(this.at + steps[e.key]);
    else if (e.key === 'Home') this.seek(0);
    else if (e.key === 'End') this.seek(this.newest);
    else if (e.key === ' ' || e.key === 'Enter') this.toggle();
    else return;
    e.preventDefault();
    clearTimeout(this.late);
    this.late = setTimeout(() => this.tell(), 400);
  }

  // Draws all in the colours that the page has now.
  recolour() {
    this.map.draw();
    if (this.packed) this.curve();
  }

  curve() {
    this.map.dress();
    const { pens, width, height } = sharp(this.slider, 84), { theme, ink } = this.map;
    const step = width / this.count, floor = height - 16, sums = this.sums;
    const top = Math.max(1, this.most('empty') + this.most('full'));
    const zero = (floor * Math.max(this.most('empty'), top * 0.1)) / Math.max(top, 1);
    sums.forEach((sum, slot) => {
      if (!sum) {
        pens.fillStyle = ink;
        pens.globalAlpha = slot > this.newest ? 0.04 : 0.16;
        pens.fillRect(slot * step, 0, step + 0.4, floor);
        pens.globalAlpha = 1;
        return;
      }
      const [up, down] = [sum.empty, sum.full].map((count) => (count / top) * floor);
      pens.fillStyle = theme.low;
      pens.fillRect(slot * step, zero - up, step + 0.4, up);
      pens.fillStyle = theme.high;
      pens.fillRect(slot * step, zero, step + 0.4, Math.min(down, floor - zero));
    });
    pens.fillStyle = ink;
    pens.globalAlpha = 0.25;
    pens.fillRect(0, zero - 0.5, width, 1);
    pens.globalAlpha = 1;
    pens.fillRect(Math.min(width - 2, (this.at + 0.5) * step - 1), 0, 2, floor);
    this.hours(pens, width, height);
  }

  // Writes times centred below their slots, as many as there is room for.
  hours(pens, width, height) {
    const gap = tickMinutes(width, this.count * this.seconds);
    pens.fillStyle = this.map.ink;
    pens.globalAlpha = 0.75;
    pens.font = '11px system-ui, sans-serif';
    pens.textAlign = 'center';
    const half = pens.measureText('00:00').width / 2;
    this.labels.forEach((label, slot) => {
      const [, hour, minute, second] = label.match(/(\d+):(\d+)(?::(\d+))?/);
      const x = Math.min(width - half, Math.max(half, (slot / this.count) * width));
      const begins = !Number(second ?? 0) && label !== this.labels[slot - 1];
      const isTick = begins && (hour * 60 + Number(minute)) % gap === 0;
      if (isTick) pens.fillText(label.slice(0, 5), x, height - 3);
    });
    pens.globalAlpha = 1;
  }

  toggle() {
    if (this.timer) {
      clearInterval(this.timer);
      this.timer = null;
      this.tell();
    } else {
      this.timer = setInterval(() => {
        if (!this.map.root.isConnected) { clearInterval(this.timer); return; }
        this.seek((this.at + this.speed) % (this.newest + 1));
      }, TICK);
    }
    this.button.textContent = this.timer ? '❚❚' : '▶';
    this.button.setAttribute('aria-label', this.timer ? 'Pause' : 'Play');
  }
}
