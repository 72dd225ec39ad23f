// The map of a ranking as a component of the data app: an SVG made on the server.
export default function (component) {
  const { data, parentElement } = component;
  parentElement.querySelector('.ranking').innerHTML = data.svg;
}
