// A basemap of the user's own file: water, parks, roads below the stations.
const GRID = 1e-5;  // degrees of a step
const FILLED = ['land', 'area', 'green', 'water'];
const DRAWN = { river: [2.6, 40], border: [1.1, 0], minor: [0.9, 9], line: [0.9, 9], major: [1.9, 20], rail: [1, 6] };
const FINE = 0.02;  // pixels of a metre below which small streets are not drawn

class CityBase {
  constructor(map) {
    this.map = map;
    this.text = '';
    this.value = null;
  }

  // Takes a packed basemap, if it is another one; or another projection.
  async take(text, isNew) {
    if (text === this.text && !isNew) return;
    if (text !== this.text) {
      this.text = text || '';
      this.value = this.text ? await unpackedJson(this.text) : null;
    }
    this.paths = new Map();
    for (const [kind, shapes] of Object.entries(this.value?.shapes || {})) {
      this.paths.set(kind, this.path(shapes, FILLED.includes(kind)));
    }
  }

  path(shapes, isArea) {
    const path = new Path2D(), [west, south] = this.value.origin;
    for (const steps of shapes) {
      let x = 0, y = 0;
      for (let k = 0; k < steps.length; k += 2) {
        x += steps[k];
        y += steps[k + 1];
        const at = this.map.projection.forth(south + y * GRID, west + x * GRID);
        if (k) path.lineTo(...at); else path.moveTo(...at);
      }
      if (isArea) path.closePath();
    }
    return path;
  }

  get hasAreas() { return FILLED.some((kind) => this.paths?.has(kind)); }

  // Draws it; a metre is a unit of *pens*, and *scale* pixels wide.
  draw(pens, theme, scale) {
    for (const kind of FILLED) {
      if (!this.paths.has(kind)) continue;
      pens.fillStyle = theme[kind];
      pens.fill(this.paths.get(kind));
    }
    pens.lineJoin = pens.lineCap = 'round';
    for (const [kind, [pixels, metres]] of Object.entries(DRAWN)) {
      if (!this.paths.has(kind) || (kind === 'minor' && scale < FINE)) continue;
      pens.strokeStyle = theme[kind === 'river' ? 'water' : kind === 'major' || kind === 'minor' ? 'road' : 'rail'];
      pens.lineWidth = Math.max(pixels / scale, metres);
      if (kind === 'border') pens.setLineDash([4 / scale, 4 / scale]);
      pens.stroke(this.paths.get(kind));
      pens.setLineDash([]);
    }
  }
}
