// What a page shows of its own accord, noted in its address without a step in the
// history: Back would lead to the same page again.
const PATIENCE = 100;

function here(pages) {
  const last = location.pathname.split('/').pop();
  return pages.includes(last) ? last : 'now';
}

function note(data, left) {
  // Streamlit draws a page before the browser has its path.
  if (here(data.pages) !== data.page) {
    if (left > 0) setTimeout(note, 50, data, left - 1);
    return;
  }
  const address = new URL(location.href);
  if ((address.searchParams.get(data.key) || '') !== data.before) return;
  address.searchParams.set(data.key, data.value);
  history.replaceState(history.state, '', address);
}

export default function ({ data }) {
  note(data, PATIENCE);
}
