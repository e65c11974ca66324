// Before the first paint, so that a chosen theme never flashes the other one. Its own file: no inline script is needed.
(function () {
  try {
    var theme = localStorage.getItem('lockstep.theme');
    if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
  } catch {
    // Storage may be blocked; the system's theme is used then.
  }
})();
