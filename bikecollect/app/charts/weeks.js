// Areas through the week: small charts with one scale, drawn as SVG.
const DAYS = ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'];
const HOURS = 168;
const SVG = 'http://www.w3.org/2000/svg';

export default function ({ data, parentElement }) {
  parentElement.querySelector('.weeks').replaceChildren(
    ...data.areas.map((area) => figureOf(area, data)),
  );
}

function figureOf({ name, values }, { low, high, is_share: isShare, title, tone }) {
  const figure = made('figure', ''), head = made('figcaption', '');
  const said = made('span', ''), plot = made('div', ''), svg = drawn('svg', {
    viewBox: `0 0 ${HOURS} 100`, preserveAspectRatio: 'none', role: 'img',
    'aria-label': `${title} in ${name} through the week, from ${written(low, isShare)} to ${written(high, isShare)}`,
  });
  if (tone) figure.style.setProperty('--tone', tone);
  for (let hour = 0; hour <= HOURS; hour += 24) svg.append(drawn('path', { d: `M${hour} 0V100`, class: 'grid' }));
  svg.append(drawn('path', { d: pathOf(values, low, high), class: 'line' }));
  head.append(made('b', name), said);
  plot.className = 'plot';
  plot.append(made('small', written(high, isShare)), svg, made('small', written(low, isShare)));
  const days = made('div', '');
  days.className = 'days';
  days.append(...DAYS.map((day) => made('span', day)));
  figure.append(head, plot, days);
  svg.addEventListener('pointermove', (e) => {
    const box = svg.getBoundingClientRect();
    const hour = Math.min(HOURS - 1, Math.max(0, Math.floor(((e.clientX - box.left) / box.width) * HOURS)));
    const value = values[hour] == null ? 'not seen' : written(values[hour], isShare);
    said.textContent = `${DAYS[Math.floor(hour / 24)]} ${String(hour % 24).padStart(2, '0')}:00  ${value}`;
  });
  svg.addEventListener('pointerleave', () => { said.textContent = ''; });
  return figure;
}

// Returns a path that is interrupted where an hour was not seen.
function pathOf(values, low, high) {
  const height = (value) => (100 - (100 * (Math.min(high, Math.max(low, value)) - low)) / (high - low)).toFixed(1);
  let path = '', isDown = false;
  values.forEach((value, hour) => {
    if (value != null) path += `${isDown ? 'V' : `M${hour} `}${height(value)}H${hour + 1}`;
    isDown = value != null;
  });
  return path;
}

function written(value, isShare) {
  return isShare ? percent(value) : value.toFixed(1);
}

function made(tag, text) {
  const element = document.createElement(tag);
  element.textContent = text;
  return element;
}

function drawn(tag, attributes) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}
