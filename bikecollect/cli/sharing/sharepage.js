// The map of a shared page: it takes its film from the page, then from film.json.
const LOOK_AGAIN = 60_000;
if (new URLSearchParams(location.search).get('embed') === 'true') {
  document.documentElement.classList.add('embed');
}
const map = new CityMap(document.querySelector('.city'));
map.send = () => {};

async function show(film) {
  const head = await unpackedJson(film.head), card = map.card.station;
  await map.take({ basemap: first.basemap, ...head, ...film, selected: card ? card.id : '' });
  return head.live;
}

function age() {
  const place = document.querySelector('.age');
  if (!place) return;
  const minutes = Math.max(0, Math.floor((Date.now() / 1000 - place.dataset.newest) / 60));
  const hours = Math.floor(minutes / 60);
  place.textContent = hours >= 48 ? `${Math.floor(hours / 24)} days ago`
    : hours ? `${hours} h ${minutes % 60} min ago` : `${minutes} min ago`;
}

async function follow(film) {
  age();
  const answer = await fetch('film.json', { cache: 'no-cache' }).catch(() => null);
  const next = answer && answer.ok ? await answer.json().catch(() => film) : film;
  if (next.newest !== film.newest) {
    document.querySelector('.when b').textContent = next.when;
    document.querySelector('.age').dataset.newest = next.newest;
    await show(next);
    age();
  }
  setTimeout(() => follow(next), LOOK_AGAIN);
}

const first = JSON.parse(document.getElementById('film').textContent);
show(first).then((live) => {
  if (live && location.protocol !== 'file:') setTimeout(() => follow(first), LOOK_AGAIN);
  age();
  if (live) setInterval(age, 15_000);
});
