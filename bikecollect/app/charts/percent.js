// Returns a share as a percentage, as `percent` of bikecollect/core/text.py does: only
// an exact 1 becomes 100 %, and only a 0 becomes 0.0 %.
function percent(share) {
  if (share > 0 && share < 0.0005) return '<0.1 %';
  return share === 1 ? '100 %' : `${Math.min(100 * share, 99.9).toFixed(1)} %`;
}
