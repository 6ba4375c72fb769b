// Before the first paint: the colours that the reader has chosen.
try {
  const theme = localStorage.getItem('vocalizer-theme');
  if (theme) document.documentElement.dataset.theme = theme;
} catch { /* a browser that keeps nothing shows its own */ }
