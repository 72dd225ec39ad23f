// A background of tiles, if the settings name one: their host sees where one looks.
const TILE = 256;  // pixels of a tile
const KEPT = 200;  // tiles that are kept

class CityTiles {
  constructor(map) {
    this.map = map;
    this.images = new Map();
  }

  // Draws the tiles of the view; returns whether there are any.
  draw(pens, address) {
    const { view, projection } = this.map;
    const whole = 2 * Math.PI * projection.shrink;  // the earth's width, in our metres
    const zoom = Math.max(0, Math.min(19, Math.round(Math.log2((whole * view.scale) / TILE))));
    const count = 2 ** zoom, size = whole / count;
    const width = this.map.width(), height = this.map.height();
    const first = this.tile(view.x - width / 2 / view.scale, view.y - height / 2 / view.scale, size);
    const last = this.tile(view.x + width / 2 / view.scale, view.y + height / 2 / view.scale, size);
    for (let y = Math.max(0, first[1]); y <= Math.min(count - 1, last[1]); y++) {
      for (let x = first[0]; x <= last[0]; x++) {
        const image = this.image(address, zoom, ((x % count) + count) % count, y);
        const [left, top] = this.map.point(this.corner(x, y, size));
        const side = size * view.scale;
        if (image) pens.drawImage(image, left, top, side + 0.5, side + 0.5);
      }
    }
  }

  // Returns the column and the row of the tile at a point in metres.
  tile(x, y, size) {
    const { shrink, lon, zero } = this.map.projection;
    const west = ((lon * Math.PI) / 180) * shrink + Math.PI * shrink;
    return [Math.floor((x + west) / size), Math.floor((y + (Math.PI - zero) * shrink) / size)];
  }

  corner(column, row, size) {
    const { shrink, lon, zero } = this.map.projection;
    const west = ((lon * Math.PI) / 180) * shrink + Math.PI * shrink;
    return [column * size - west, row * size - (Math.PI - zero) * shrink];
  }

  // Returns the image of a tile once it is loaded.
  image(address, z, x, y) {
    const url = address.replace('{z}', z).replace('{x}', x).replace('{y}', y);
    let image = this.images.get(url);
    if (!image) {
      image = new Image();
      image.onload = () => this.map.draw();
      image.src = url;
      this.images.set(url, image);
      if (this.images.size > KEPT) this.images.delete(this.images.keys().next().value);
    }
    return image.complete && image.naturalWidth ? image : null;
  }
}
