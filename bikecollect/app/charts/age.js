// The age of the newest data, counted on in the browser.
function ago(seconds) {
  const whole = Math.floor(seconds);
  if (whole < -60) return 'in the future';
  if (whole < 0) return 'just now';
  if (whole < 60) return `${whole} s ago`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ago`;
  const hours = Math.floor(whole / 3600);
  if (hours < 24) return `${hours} h ${Math.floor((whole % 3600) / 60)} min ago`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h ago`;
}

export default function ({ data, parentElement }) {
  const box = parentElement.querySelector('.age'), since = performance.now();
  const isBad = data.late || data.trouble;
  box.classList.toggle('late', isBad);
  box.classList.toggle('over', data.over && !isBad);
  const when = document.createElement('small');
  when.textContent = `(${data.when}${isBad ? '; see Collection' : ''})`;
  const text = document.createElement('span');
  box.replaceChildren(text, when);
  const show = () => {
    const age = ago(data.age + (performance.now() - since) / 1000);
    text.textContent = `Newest data: ${age}${data.late ? ', late' : ''}`;
  };
  show();
  clearInterval(box.timer);
  box.timer = setInterval(() => (box.isConnected ? show() : clearInterval(box.timer)), 1000);
}
