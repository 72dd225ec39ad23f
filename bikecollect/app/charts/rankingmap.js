// The map of a ranking as a component of the data app: an SVG of dots and numbers.
const SVG = 'http://www.w3.org/2000/svg';

function drawn(tag, attributes, text = '') {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.textContent = text;
  return element;
}

export default function (component) {
  const { data, parentElement } = component;
  const { width, height, colour, title, dots, leads, marks } = data;
  const map = drawn('svg', { class: `ranking-map ${colour}`, role: 'img',
    'aria-label': title, viewBox: `0 0 ${width} ${height}` });
  map.append(drawn('path', { d: dots }));
  map.append(drawn('path', { d: leads, class: 'leads' }));
  for (const [number, x, y] of marks.reverse()) {
    map.append(drawn('circle', { cx: x, cy: y, r: 8 }), drawn('text', { x, y: y + 3.5 }, number));
  }
  parentElement.querySelector('.ranking').replaceChildren(map);
}
