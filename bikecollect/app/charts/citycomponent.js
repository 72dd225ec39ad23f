// The map as a component of the data app.
export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  const root = parentElement.querySelector('.city');
  const map = root.map || (root.map = new CityMap(root));
  map.send = setTriggerValue;
  map.take(data);
}
