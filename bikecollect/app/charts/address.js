// What a page shows of its own accord, noted in its address without a step in the
// history: Back would lead to the same page again.
function here(pages) {
  const last = location.pathname.split('/').pop();
  return pages.includes(last) ? last : 'now';
}

function note(data) {
  const address = new URL(location.href);
  if ((address.searchParams.get(data.key) || '') !== data.before) return;
  address.searchParams.set(data.key, data.value);
  history.replaceState(history.state, '', address);
}

export default function ({ data }) {
  // Streamlit draws a page before the browser has its path.
  let timer;
  const look = () => {
    if (here(data.pages) === data.page) note(data);
    else timer = setTimeout(look, 50);
  };
  look();
  return () => clearTimeout(timer);
}
